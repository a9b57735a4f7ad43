"""The commands from the selection to the limit answer as the design binds, and say what they did."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlbkg.fitting.base import SHAPES
from mlbkg.ntuples.write import AtomicRootWriter

Run = Callable[..., Any]
FIT = """\
fit:
  variable: mass
  window: [0, 1]
  bins: 20
  signal: gaussian
  background: {shape: chebyshev, order: 1}
limit: {methods: [cls]}
"""


@pytest.fixture
def selected(tiny: Path, mlbkg: Run) -> Path:
    """With a signal that peaks."""
    rng = np.random.default_rng(4)
    with AtomicRootWriter("signal.root", tree="t") as writer:
        columns = {name: rng.normal(1, 1, 400) for name in ("x", "y")}
        writer.extend({**columns, "mass": rng.normal(0.5, 0.05, 400), "event": np.arange(400)})
    tiny.write_text(tiny.read_text(encoding="utf-8") + FIT, encoding="utf-8")
    for command in ("train", "select"):
        assert mlbkg(command, str(tiny), "-q", "-j", "1").code == 0
    return tiny


def test_every_shape_is_listed_with_its_settings(mlbkg: Run) -> None:
    done = mlbkg("shapes", "--json")
    assert [shape["name"] for shape in done.json["shapes"]] == list(SHAPES.names())
    assert "order" in next(shape for shape in done.json["shapes"] if shape["name"] == "chebyshev")["parameters"]
    assert "double_gaussian" in mlbkg("shapes").out


def test_json_of_fit_limit_and_study(selected: Path, mlbkg: Run) -> None:
    found = mlbkg("fit", str(selected), "--json", "-q").json
    assert {
        "yields",
        "converged",
        "chi2_per_ndf",
        "parameters",
        "correlation",
        "dataset",
        "method",
        "p_value",
    } <= found.keys()
    assert found["yields"].keys() == {"signal", "background"}
    for told in found["yields"].values():
        assert {"value", "error", "error_low", "error_high"} <= told.keys()
        assert told["error_low"] < 0 < told["error_high"]

    found = mlbkg("limit", str(selected), "--json", "-q").json
    assert {"confidence_level", "quantity", "unit", "methods", "statistical_only", "impacts", "efficiency"} <= found.keys()
    keys = ("observed", "expected", "minus_2sigma", "minus_1sigma", "plus_1sigma", "plus_2sigma")
    assert set(keys) <= found["methods"]["cls"].keys()
    assert (found["efficiency"], found["events_per_unit"]) == (None, 1.0)

    found = mlbkg("study", str(selected), "--toys", "10", "--signal", "0", "--signal", "2", "--json", "-q").json
    assert [point["value"] for point in found["points"]] == pytest.approx([0, 2 * found["expected_limit"]])


def test_people_are_told_what_was_fitted(selected: Path, mlbkg: Run) -> None:
    done = mlbkg("fit", str(selected), "-q")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("No data: fitted to what is expected, without fluctuation.")
    assert "Fitted candidates" in done.out
    assert "90 % upper limits on signal yield" in mlbkg("limit", str(selected), "-q").out


@pytest.mark.parametrize("command", ["fit", "limit", "study"])
def test_without_a_selection_the_command_that_makes_one_is_named(tiny: Path, mlbkg: Run, command: str) -> None:
    tiny.write_text(tiny.read_text(encoding="utf-8") + FIT, encoding="utf-8")
    done = mlbkg(command, str(tiny), "--json", "-q")
    assert done.code == 1
    assert done.json["error"] == "no finished 'select' of analysis 'tiny' under runs/tiny"
    assert done.json["hint"] == "Make one: mlbkg select tiny.yaml"


def test_a_run_that_is_none(selected: Path, mlbkg: Run) -> None:
    done = mlbkg("fit", str(selected), "--run", "runs/tiny/nothing", "--json", "-q")
    assert (done.code, done.json["error"]) == (1, "runs/tiny/nothing holds no finished selection")
