"""Expressions are the same in the graph and in Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mlbkg.errors import MlbkgError
from mlbkg.export.metadata import FeatureInfo
from mlbkg.features.resolve import FeatureColumns, FeatureSpec, resolve
from mlbkg.ntuples.expression_functions import FUNCTIONS

HARD = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 3.0, 1e-30, -1e-30, 1e-45, 9.4, 100.0, -745.0, 1e8, 1e20, 1e38, 3.4028235e38]
HARD += [np.nan, np.inf, -np.inf, np.pi, np.pi / 2, -np.pi, 1e6, 8.0, 1000.0, 1.0000001, 0.99999994]
BOOST = "(energy - 0.28 * pz) / sqrt(1 - 0.28**2)"
EXACT = (
    "a + b - a * b / c",
    "-a",
    "a / b",
    "a**2",
    "a**0.5",
    "sqrt(a * a + b * b)",
    "abs(a) - abs(b)",
    "min(a, b, c)",
    "max(a, 0)",
    "floor(a) + ceil(b)",
    "round(a)",
    "sign(a)",
    "a > 0.5",
    "9.4 < a <= 9.6 && b > 0",
    "a == b || !(c >= 1)",
    "a != b",
    "(a > 0) & (b > 0) | (c > 0)",
    "~(a > 0)",
    "!a",
    "a && b",
    "where(a > b, a, c)",
    "where(a, b > 0, c > 0)",
    "isnan(a) + 2 * isinf(b) + 4 * isfinite(c)",
    "(a > 1) + (b > 1)",
    "a % 3",
    "a % b",
    "-(a > 1) + (b > 1) * 2",
    "abs(a > 1) - sign(b > 1) / 3",
    "(a > 1) % 2 + (b > 1)**2",
    "min(a > 1, b, c > 1)",
    "where(a > 1, b > 1, 2)",
    "where(a > 1, 3, -1)",
    "(a > 1) == (b > 1)",
    "(a > 1) < (b > 1)",
    "((a > 1) + 2 * (b > 1)) & 3 | 4",
    "~((a > 1) | (b > 1))",
    "floor(a > 1) + 1 / 0 * 0",
)
"""Of operations that are the same in every program, bit by bit."""
NEAR = (
    *(f"{name}(a)" for name, function in FUNCTIONS.items() if function.least == function.most == 1),
    "atan2(a, b)",
    "hypot(a, b)",
    "pow(a, b)",
    "a**3",
    "a + pi",
    "sqrt((10.58 - energy)**2 - (0.1 - px)**2 - py**2 - pz**2)",
    BOOST,
    "acos(pz / sqrt(px**2 + py**2 + pz**2))",
    "cos(a) * sin(b)",
)


def columns(rows: int = 3000) -> dict[str, Any]:
    """Every pair of hard numbers, and many of a usual size."""
    rng = np.random.default_rng(3)
    a, b = (grid.ravel() for grid in np.meshgrid(HARD, HARD))
    names = ("a", "b", "c", "px", "py", "pz", "energy")
    values = {name: np.concatenate([rng.permutation(a), rng.normal(0, 2, rows)]) for name in names}
    values["a"][: len(a)], values["b"][: len(b)] = a, b
    values["energy"] = np.abs(values["energy"])
    return {name: value.astype(np.float32) for name, value in values.items()}


def python(expression: str, given: dict[str, Any]) -> Any:
    library = resolve([FeatureSpec("x", expression=expression)], registered=False)
    with np.errstate(all="ignore"):
        return FeatureColumns(given, library)["x"]


@pytest.mark.parametrize("expression", EXACT)
def test_arithmetic_is_the_same(expression: str, make_graph: Callable[..., Any]) -> None:
    graph, run = make_graph([FeatureInfo("x", expression=expression)])
    given = columns()
    np.testing.assert_array_equal(run(given)[:, 0], python(expression, given))
    assert graph.sources[0].made == "computed"


@pytest.mark.parametrize("expression", NEAR)
def test_functions_are_near(expression: str, make_graph: Callable[..., Any]) -> None:
    graph, run = make_graph([FeatureInfo("x", expression=expression)])
    given = columns()
    expected, found = python(expression, given), run(given)[:, 0]
    assert graph.sources[0].made == "computed"
    np.testing.assert_allclose(found, expected, rtol=2 * np.finfo(np.float32).eps, atol=1e-6)
    assert np.isfinite(expected).any()


def test_every_function_is_tried() -> None:
    tried = " ".join((*EXACT, *NEAR))
    assert {name for name in FUNCTIONS if f"{name}(" not in tried} == {"pi"}


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("a & 4", "needs conditions or whole numbers"),
        ("3 * 4", "a constant"),
        ("x + y", "in a circle"),
        ("~a", "whole numbers"),
    ],
)
def test_what_is_no_graph_is_an_input(expression: str, reason: str, make_graph: Callable[..., Any]) -> None:
    features = [FeatureInfo("x", "GeV", expression=expression), FeatureInfo("y", expression="x + 1")]
    graph, run = make_graph(features[: 1 + ("y" in expression)])
    assert [(one.name, one.unit, one.feature) for one in graph.inputs][:1] == [("x", "GeV", True)]
    assert reason in graph.inputs[0].reason
    found = run({"x": [1.5, np.nan], "y": [0, 0]})[:, 0]
    np.testing.assert_array_equal(found, np.array([1.5, np.nan], dtype=np.float32))


def test_features_of_features(make_graph: Callable[..., Any]) -> None:
    """Each is rounded to float32, spectators are found, and a feature sees the branch of its own name."""
    features = [
        FeatureInfo("a", expression="a / 3"),
        FeatureInfo("third", expression="a * 3 + s"),
        FeatureInfo("b", column="c"),
        FeatureInfo("sum", expression="b + a"),
    ]
    spectators = [{"name": "s", "column": None, "expression": "px * 1e-3"}]
    graph, run = make_graph(features, spectators=spectators)
    given = columns()
    specs = [FeatureSpec(f.name, f.column, f.expression) for f in features]
    library = resolve([*specs, FeatureSpec("s", expression="px * 1e-3")], registered=False)
    with np.errstate(all="ignore"):
        expected = np.column_stack([FeatureColumns(given, library)[f.name] for f in features])
    np.testing.assert_array_equal(run(given), expected)
    assert [source.made for source in graph.sources] == ["computed", "computed", "branch", "computed"]
    assert {one.name for one in graph.inputs} == {"a", "c", "px"}


def test_one_name_for_two_things(make_graph: Callable[..., Any]) -> None:
    with pytest.raises(MlbkgError, match="'a' is a branch that features are computed from"):
        make_graph([FeatureInfo("a", expression="a & 1"), FeatureInfo("b", column="a")])


def test_two_features_of_one_name(make_graph: Callable[..., Any]) -> None:
    with pytest.raises(MlbkgError, match="one name"):
        make_graph([FeatureInfo("a"), FeatureInfo("a", column="b")])


@pytest.mark.parametrize(
    "expression", ["(" * 5000 + "a" + ")" * 5000, "a +" * 20_000 + "a", "a b", "", "nosuch(a)", "-" * 9999 + "a"]
)
def test_hostile_expressions(expression: str, make_graph: Callable[..., Any]) -> None:
    graph, run = make_graph([FeatureInfo("x", expression=expression)])
    assert graph.sources[0].made in ("computed", "input")
    assert run({one.name: [1.0] for one in graph.inputs}).shape == (1, 1)


@pytest.mark.parametrize("candidates", [{}, {"pair": "nosuch", "beams": "Y4S"}, {"pair": ["pipi"], "beams": None}])
def test_unknown_candidates(candidates: Any, make_graph: Callable[..., Any]) -> None:
    with pytest.raises(MlbkgError, match="unknown pair"):
        make_graph([FeatureInfo("mRecoil")], candidates=candidates)
