"""``mlbkg theory`` and ``mlbkg couplings``: the models' predictions without a config."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
ZPRIME = ("theory", "zprime", "--mass", "1", "--sqrt-s", "10.58", "--g-prime", "0.1")
HIGGS = ("theory", "dark-higgs", "--mass-u", "8", "--mass-h", "1", "--sqrt-s", "10.58")
G_MINUS_2 = ("theory", "g-minus-2", "--mass", "1", "--g-prime", "0.005")


def test_zprime(mlbkg: Run) -> None:
    done = mlbkg(*ZPRIME, "--json", "--quiet")
    assert (done.code, done.err) == (0, "")
    found = done.json
    # full tree level by two other programs; widths by hand
    assert found["cross_section_fb"] == pytest.approx(995.635, rel=1e-5)
    assert found["cross_section_massless_leptons_fb"] == pytest.approx(1001.66, rel=1e-5)
    assert found["branching_fraction_invisible"] == pytest.approx(0.50019, abs=5e-6)
    assert found["width_gev"] == pytest.approx(5.30315e-4, rel=1e-5)
    assert found["partial_widths_gev"]["mumu"] == pytest.approx(2.65057e-4, rel=1e-5)
    assert found["cross_section_invisible_fb"] == pytest.approx(995.635 * 0.50019, rel=2e-5)
    assert found["cross_section_without_isr_fb"] == found["cross_section_fb"]


def test_zprime_with_radiation(mlbkg: Run) -> None:
    found = mlbkg("theory", "zprime", "--mass", "5", "--isr", "--json").json
    assert found["isr"]
    # adaptive quadrature of the radiator
    assert found["cross_section_fb"] / found["cross_section_without_isr_fb"] == pytest.approx(0.9182, abs=1e-4)


def test_muon_and_electron_say_what_they_are(mlbkg: Run) -> None:
    found = mlbkg(*ZPRIME, "--final-state", "mue", "--json").json
    assert found["cross_section_fb"] == pytest.approx(998.5, rel=1e-3)  # between two muons (995.6) and massless (1001.7)
    assert "together" in found["model"]
    assert found["width_gev"] is None
    assert found["branching_fraction_invisible"] == 1


def test_closed_between_the_threshold_and_the_energy(mlbkg: Run) -> None:
    assert mlbkg("theory", "zprime", "--mass", "10.5", "--json").json["cross_section_fb"] == 0
    assert mlbkg("theory", "dark-higgs", "--mass-u", "10", "--mass-h", "5", "--json").json["cross_section_fb"] == 0


def test_no_coupling(mlbkg: Run) -> None:
    done = mlbkg("theory", "zprime", "--mass", "1", "--g-prime", "0")
    assert done.code == 0
    assert "= 0 fb" in done.out


def test_dark_higgs(mlbkg: Run) -> None:
    done = mlbkg(*HIGGS, "--json", "--quiet")
    assert (done.code, done.err) == (0, "")
    found = done.json
    assert found["cross_section_fb"] == pytest.approx(4.00902e8, rel=1e-5)  # arXiv:0903.0363, by another program
    assert found["branching_fraction_mumu"] == pytest.approx(0.154, abs=0.003)  # 1/(3 + R), R = 3.5
    assert sum(found["branching_fractions"].values()) == pytest.approx(1)


def test_g_minus_2(mlbkg: Run) -> None:
    found = mlbkg(*G_MINUS_2, "--json", "--quiet").json
    assert found["delta_a_mu"] == pytest.approx(25 * 8.6003e-11, rel=5e-5)  # the one-loop integral, by adaptive quadrature
    assert {name: band["within"] for name, band in found["bands"].items()} == {"2019": True, "2021": True, "2025": False}
    assert found["bands"]["2025"]["g_prime_low"] == 0
    narrow = mlbkg(*G_MINUS_2, "--sigmas", "0.1", "--json").json["bands"]["2019"]
    # 27.1e-10 over the integral at g' = 1
    assert narrow["g_prime_low"] < (27.1e-10 / 8.6003e-5) ** 0.5 < narrow["g_prime_high"]


@pytest.mark.parametrize(
    ("arguments", "texts"),
    [
        (ZPRIME, ("σ(e⁺e⁻ → μ⁺μ⁻Z′) = 995.634 fb", "B(Z′ → invisible) = 0.50019", "νν̄")),
        ((*ZPRIME, "--isr"), ("without radiation off the beams: 995.634 fb",)),
        (HIGGS, ("4.00902e+08 fb × α_D ε²", "hadrons")),
        (("theory", "dark-higgs", "--mass-u", "1", "--mass-h", "2"), ("Such an h′ is not invisible",)),
        (G_MINUS_2, ("Δa_μ = 2.1501e-09", "27.1 ± 7.3", "outside")),
        (("couplings",), ("zprime_lmu_ltau", "g′²", "dark_higgs")),
        (("theory", "--help"), ("zprime", "dark-higgs", "g-minus-2")),
    ],
)
def test_text(mlbkg: Run, arguments: tuple[str, ...], texts: tuple[str, ...]) -> None:
    done = mlbkg(*arguments)
    assert (done.code, done.err) == (0, "")
    for text in texts:
        assert text in done.out


@pytest.mark.parametrize(
    ("arguments", "error", "where"),
    [
        (("zprime", "--mass", "0"), "mass must be a number above 0; got 0", "--mass"),
        (("zprime", "--mass", "-1"), "mass must be a number above 0; got -1", "--mass"),
        (("zprime", "--mass", "nan"), "mass must be a number above 0; got nan", "--mass"),
        (("zprime", "--mass", "11"), "mass must be below sqrt-s, which is 10.58 GeV; got 11", "--mass"),
        (("zprime", "--mass", "1", "--sqrt-s", "0"), "sqrt-s must be a number above 0; got 0", "--sqrt-s"),
        (
            ("zprime", "--mass", "1", "--g-prime", "-0.1"),
            "g-prime must be a number that is not negative; got -0.1",
            "--g-prime",
        ),
        (
            ("zprime", "--mass", "1", "--final-state", "emu"),
            "unknown final state 'emu'; did you mean 'mue'?",
            "--final-state",
        ),
        (
            ("dark-higgs", "--mass-u", "5", "--mass-h", "20"),
            "mass-h must be below sqrt-s, which is 10.58 GeV; got 20",
            "--mass-h",
        ),
        (("dark-higgs", "--mass-u", "-5", "--mass-h", "1"), "mass-u must be a number above 0; got -5", "--mass-u"),
        (("g-minus-2", "--mass", "0"), "mass must be a number above 0; got 0", "--mass"),
        (("g-minus-2", "--mass", "1", "--sigmas", "-2"), "sigmas must be a number above 0; got -2", "--sigmas"),
        (
            ("g-minus-2", "--mass", "1", "--plot", "x.doc"),
            "a figure's name must end with .png, .pdf, .svg; got 'x.doc'",
            "--plot",
        ),
    ],
)
def test_wrong_numbers(mlbkg: Run, arguments: tuple[str, ...], error: str, where: str) -> None:
    done = mlbkg("theory", *arguments, "--json")
    assert done.code == 2
    assert (done.json["error"], done.json["where"]) == (error, where)


@pytest.mark.parametrize(
    "arguments",
    [
        ZPRIME,
        ("theory", "zprime", "--mass", "10.5", "--final-state", "mue"),
        HIGGS,
        ("theory", "dark-higgs", "--mass-u", "0.5", "--mass-h", "0.3", "--sqrt-s", "1.0194"),
        G_MINUS_2,
        ("theory", "g-minus-2", "--mass", "20", "--g-prime", "0"),
    ],
)
def test_plots(mlbkg: Run, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    figure = tmp_path / "new" / "figure.png"
    done = mlbkg(*arguments, "--plot", str(figure), "--json")
    assert (done.code, done.err) == (0, "")
    assert done.json["figure"] == str(figure)
    content = figure.read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) > 20_000


def test_couplings(mlbkg: Run) -> None:
    rows = {row["name"]: row for row in mlbkg("couplings", "--json").json["couplings"]}
    assert {"zprime_lmu_ltau", "zprime_invisible", "zprime_lfv", "dark_higgs"} <= rows.keys()
    assert (rows["zprime_lmu_ltau"]["power"], rows["dark_higgs"]["power"]) == (2, 1)
