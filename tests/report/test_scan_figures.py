"""Figures and tables of searches over masses: of what can happen, every one is drawn, and tells what it must."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mlbkg.limits.excesses import excesses
from mlbkg.limits.hypotheses import Effect, Experiments, UpperLimits
from mlbkg.physics.coupling import FavouredBand
from mlbkg.report.quantity import Quantity
from mlbkg.report.scan_figures import (
    CouplingLimits,
    SpectrumView,
    draw_coupling_limits,
    draw_cross_section_limits,
    draw_expectation,
    draw_local_p,
    draw_spectrum,
)
from mlbkg.report.scan_tables import (
    MOST_ROWS,
    beside_table,
    excess_table,
    hypotheses_table,
    scan_limits_table,
    shown_rows,
)
from mlbkg.report.style import Caption

CAPTION = Caption("e⁺e⁻ → μ⁺μ⁻ Z′, Z′ → invisible", 0.276)
MASS = Quantity("M(Z′)", "GeV")
N = 70
MASSES = np.linspace(0.1, 8, N)
PNG = b"\x89PNG"


def experiments(*, observed: bool = True) -> Experiments:
    background = 30 * np.exp(-MASSES / 2)
    counts = np.random.default_rng(1).poisson(background)
    counts[40] += 12
    return Experiments(
        masses=MASSES[:, None],
        low=MASSES[:, None] ** 2 - 0.4,
        high=MASSES[:, None] ** 2 + 0.4,
        observed=counts if observed else None,
        background=background,
        background_error=0.1 * background,
        signal_per_fb=np.full(N, 0.01),
        efficiency=np.full(N, 0.036),
        efficiency_error=np.full(N, 0.001),
        effects=(Effect("trigger", np.full(N, 0.06), np.full(N, 0.06)),),
    )


def limits(method: str, *, observed: bool = True) -> UpperLimits:
    median = 200 * np.exp(MASSES / 20)
    expected = median * np.array([0.5, 0.7, 1.0, 1.4, 1.9])[:, None]
    return UpperLimits(method, 0.9, median * 1.1 if observed else None, expected)


def found(*, largest: float = 4.2) -> object:
    rng = np.random.default_rng(2)
    z = rng.normal(0, 1, N).clip(-3, 2)
    z[40], z[3] = largest, -np.inf
    return excesses(z, rng.normal(0, 1, (500, N)), above=3.0, in_line=True)


@pytest.mark.parametrize("data", [True, False])
def test_spectrum(data: bool, tmp_path: Path) -> None:
    edges = np.linspace(-1, 65, 81)
    counts = np.random.default_rng(3).poisson(8, 80).astype(float)
    view = SpectrumView(
        variable=Quantity("m2Recoil", "GeV^2"),
        edges=edges,
        background={"tautau": np.full(80, 5.0), "eemumu": np.linspace(0, 3, 80)},
        data=counts if data else None,
        data_name="pseudo-data",
        signals={"M(Z′) = 3 GeV, 100 fb": np.where(np.arange(80) == 12, 20.0, 0.0)},
        low=experiments().low[:, 0],
        high=experiments().high[:, 0],
        excess=40 if data else None,
    )
    assert draw_spectrum(view, tmp_path / "a.png", caption=CAPTION).read_bytes().startswith(PNG)


@pytest.mark.parametrize("observed", [True, False])
def test_expectation_and_limits(observed: bool, tmp_path: Path) -> None:
    simulated = {"mass": MASSES[::10], "efficiency": np.full(7, 0.036), "error": np.full(7, 0.002)}
    told = {"caption": CAPTION, "data_name": "pseudo-data"}
    path = draw_expectation(experiments(observed=observed), simulated, MASS, tmp_path / "a.png", **told)
    assert path.read_bytes().startswith(PNG)
    both = [limits(method, observed=observed) for method in ("cls", "bayesian")]
    path = draw_cross_section_limits(MASSES, both, Quantity("σ", "fb"), MASS, tmp_path / "b.png", caption=CAPTION)
    assert path.read_bytes().startswith(PNG)


@pytest.mark.parametrize("largest", [0.5, 4.2, 9.0])
def test_local_p_values(largest: float, tmp_path: Path) -> None:
    told = {"caption": CAPTION, "data_name": "data"}
    path = draw_local_p(MASSES, found(largest=largest), MASS, tmp_path / "a.png", **told)  # type: ignore[arg-type]
    assert path.read_bytes().startswith(PNG)


def test_couplings(tmp_path: Path) -> None:
    """With infinite limits where the process is closed."""
    g = np.sqrt(limits("cls").expected) / 100
    closed = np.where(MASSES > 7, np.inf, 1.0)
    band = FavouredBand("(g−2)_μ ± 2σ", lambda mass: (0.003 * mass, 0.006 * mass))
    published = {"a paper": (np.array([1.0, 6.0]), np.array([0.05, 1.0]), "observed")}
    path = draw_coupling_limits(
        MASSES,
        [
            CouplingLimits("L_μ − L_τ", g[2] * closed, 1.4 * g * closed, {}, band),
            CouplingLimits("B(Z′ → invisible) = 1", None, g, published, None),
        ],
        Quantity("g′"),
        MASS,
        tmp_path / "a.png",
        caption=CAPTION,
        method="bayesian",
        confidence_level=0.9,
    )
    assert path.read_bytes().startswith(PNG)


def test_tables() -> None:
    excess = found()
    table = hypotheses_table(experiments(), excess, [MASS])  # type: ignore[arg-type]
    assert len(table.rows) <= MOST_ROWS + 1
    assert f"{MASSES[40]:.4g}" in [row[0] for row in table.rows], "the largest excess is always there"
    assert "+4.20" in [row[-1] for row in table.rows]
    told = dict(excess_table(excess, experiments(), [MASS]).rows)  # type: ignore[arg-type]
    assert told["largest excess"] == f"M(Z′) = {MASSES[40]:.4g} GeV"
    assert told["hypotheses above 3 σ"] == "1"
    rows = scan_limits_table(
        MASSES[:, None],
        [limits("cls"), limits("bayesian", observed=False)],
        Quantity("σ", "fb"),
        [MASS],
        confidence_level=0.9,
    )
    assert rows.columns == (
        "M(Z′) [GeV]", "CLs observed", "CLs −1σ", "CLs expected", "CLs +1σ", "Bayes −1σ", "Bayes expected", "Bayes +1σ",
    )  # fmt: skip
    assert rows.rows[0][:4] == ("0.1", "221", "141", "201")


def test_beside_published_limits_there_is_a_ratio() -> None:
    published = np.where((MASSES > 1) & (MASSES < 6), 0.5, np.nan)
    table = beside_table(MASSES, {"cls": np.full(N, 0.25)}, published, MASS, name="a paper, observed", symbol="g′")
    assert {row[1:] for row in table.rows} == {("0.5", "0.25", "0.50")}
    assert 1 < float(table.rows[0][0]) < float(table.rows[-1][0]) < 6


@pytest.mark.parametrize("number", [0, 1, 5, 36, 37, 70, 9000])
def test_rows_that_are_shown(number: int) -> None:
    rows = shown_rows(number)
    assert len(rows) <= MOST_ROWS
    assert rows == sorted(set(rows))
    assert not number or (rows[0], rows[-1]) == (0, number - 1)
