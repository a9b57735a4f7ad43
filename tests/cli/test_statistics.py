"""``mlbkg limit-counting`` and ``mlbkg significance``: statistics without a config."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]
COUNT = ("limit-counting", "--observed", "3", "--background", "3", "--confidence-level", "0.9")
HEAVY = ["awkward", "iminuit", "matplotlib", "mlflow", "numba", "pyhf", "scipy.optimize", "scipy.stats", "sklearn"]


@pytest.mark.parametrize(
    ("method", "upper"),
    # Helene's formula, and Feldman and Cousins' Table IV.
    [("bayesian", 4.3624), ("cls", 4.3624), ("feldman-cousins", 4.42)],
)
def test_limit(mlbkg: Run, method: str, upper: float) -> None:
    done = mlbkg(*COUNT, "--method", method, "--json", "--quiet")
    assert (done.code, done.err) == (0, "")
    found = done.json
    assert found["upper_limit"] == pytest.approx(upper, abs=0.0055)
    assert (found["lower_limit"], found["method"], found["confidence_level"]) == (0, method, 0.9)
    assert (found["observed"], found["background"]) == (3, 3)
    assert "expected" not in found


def test_limit_with_uncertainties(mlbkg: Run) -> None:
    arguments = ("--background-uncertainty", "0.2", "--efficiency-uncertainty", "0.1", "--method", "bayesian")
    found = mlbkg(*COUNT, *arguments, "--expected", "--json").json
    assert found["upper_limit"] == pytest.approx(4.5173, abs=5e-5)  # 61 x 61 Gauss-Hermite quadrature
    band = [found["expected"][key] for key in ("minus_2sigma", "minus_1sigma", "median", "plus_1sigma", "plus_2sigma")]
    assert band == sorted(band)
    text = mlbkg(*COUNT, *arguments, "--expected").out
    assert "signal < 4.5173 events at 90 % confidence level (bayesian)" in text
    assert "observed 3, background 3 ± 20 %, efficiency ± 10 %" in text
    assert "expected without signal: 4.5173" in text


def test_limit_by_toys_depends_on_the_seed_alone(mlbkg: Run) -> None:
    toys = (*COUNT, "--method", "cls", "--toys", "5000", "--json")
    first, again, other = (mlbkg(*toys, "--seed", seed).json for seed in ("1", "1", "2"))
    assert first == again
    assert first["upper_limit"] != other["upper_limit"]
    assert abs(first["upper_limit"] - 4.3624) < 5 * first["upper_limit_error"]


def test_an_interval_is_printed_as_one(mlbkg: Run) -> None:
    done = mlbkg("limit-counting", "--observed", "6", "--background", "3", "--method", "feldman-cousins")
    assert done.out.startswith("signal [0.1519, 8.4693] events at 90 % confidence level")


@pytest.mark.parametrize(
    ("change", "error", "hint"),
    [
        (("--confidence-level", "90"), "the confidence level must lie between 0 and 1; got 90", "Give 0.9 for 90 %."),
        (("--background", "-1"), "the background must be a number that is not negative; got -1", ""),
        (("--observed", "-1"), "the observed count must be a number that is not negative; got -1", ""),
        (("--method", "feldman"), "unknown counting method 'feldman'; did you mean 'feldman-cousins'?", "Known: bayesian"),
        (("--background-uncertainty", "20"), "the background uncertainty is relative and at most 5; got 20", "Give 0.2"),
        (("--method", "bayesian", "--toys", "500"), "method 'bayesian' uses no toys; got 500", "Methods with toys"),
    ],
)
def test_wrong_numbers(mlbkg: Run, change: tuple[str, ...], error: str, hint: str) -> None:
    done = mlbkg(*COUNT, *change, "--json")
    assert done.code == 2
    assert done.json["error"] == error
    assert done.json["hint"].startswith(hint)


def test_a_fraction_of_a_count_is_refused(mlbkg: Run) -> None:
    done = mlbkg("limit-counting", "--observed", "2.5", "--background", "3", "--json")
    assert done.code == 2
    assert done.json["error"] == "the observed count must be a whole number of events; got 2.5"


def test_significance_of_a_count(mlbkg: Run) -> None:
    found = mlbkg("significance", "--observed", "150", "--background", "100", "--json").json
    assert found["significance"]["asymptotic"] == pytest.approx(4.6518, abs=5e-5)  # Eq. (97), arXiv:1007.1727
    assert set(found["significance"]) == {"asymptotic", "exact"} == set(found["p_value"])


def test_expected_significance(mlbkg: Run) -> None:
    arguments = ("--signal", "50", "--background", "100", "--background-uncertainty", "0.1")
    found = mlbkg("significance", *arguments, "--json").json
    assert found["significance"] == {"asimov": pytest.approx(3.1730, abs=5e-5)}  # G. Cowan (2012)
    both = mlbkg("significance", *arguments, "--observed", "150", "--json").json["significance"]
    assert both["asymptotic"] == both["asimov"]
    assert both["z_bi"] == pytest.approx(both["asymptotic"], abs=0.1)


def test_significance_on_and_off(mlbkg: Run) -> None:
    done = mlbkg("significance", "--observed", "17", "--off", "40.11", "--tau", "10.56")
    assert (done.code, done.err) == (0, "")
    assert "4.4582" in done.out  # 4.46 and 4.57 in physics/0702156
    assert "4.5748" in done.out


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((), "give an observed count, a signal to expect, or both"),
        (
            ("--observed", "5"),
            "give the background that is expected, or for an observed count both off and tau; got observed",
        ),
        (
            ("--observed", "5", "--off", "3"),
            "give the background that is expected, or for an observed count both off and tau",
        ),
        (("--signal", "5", "--off", "3", "--tau", "1"), "give the background that is expected"),
        (("--observed", "5", "--background", "2", "--tau", "1"), "give the background that is expected"),
        (("--observed", "5", "--off", "3", "--tau", "1", "--signal", "2"), "off and tau measure the background"),
        (("--observed", "5", "--background", "0"), "the background must be a number above 0; got 0"),
    ],
)
def test_significance_of_too_little_or_too_much(mlbkg: Run, arguments: tuple[str, ...], error: str) -> None:
    done = mlbkg("significance", *arguments, "--json")
    assert done.code == 2
    assert done.json["error"].startswith(error)


def test_counting_loads_no_heavy_library() -> None:
    program = (
        "import sys\nfrom mlbkg.cli.main import main\n"
        f"sys.argv = ['mlbkg', *{list(COUNT)}, '--json']\n"
        "try: main()\nexcept SystemExit as end: assert not end.code\n"
        f"print('loaded:', [name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "loaded: []"
