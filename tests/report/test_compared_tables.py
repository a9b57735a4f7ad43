"""Runs side by side: what is shown of them, which metrics are better when smaller, and where parameters differ."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from mlbkg.evaluation.estimates import Estimate
from mlbkg.evaluation.paired import PairedTest
from mlbkg.report.compared_metrics import Column, champions, known, most_telling
from mlbkg.report.compared_runs import ComparedRun, Difference, Differences, NotComparable, differing, listed
from mlbkg.report.compared_tables import (
    differences_table,
    everything_table,
    fitting_runs_table,
    identities_table,
    matrix_table,
    only_in_some,
    parameter_tables,
    runs_table,
    shown_parameters,
    text_width,
)


def run(
    number: int,
    *,
    metrics: Mapping[str, float] | None = None,
    params: Mapping[str, str] | None = None,
    classifier: str = "xgboost",
    status: str = "finished",
) -> ComparedRun:
    began = 1_700_000_000.0 + number  # 2023-11-14 22:13:20 UTC, by `date`
    return ComparedRun(
        number, f"id{number}", f"a{number} {classifier}", status, began, classifier, metrics or {}, params or {}
    )


AUC = [run(1, metrics={"auc": 0.9932, "auc_error": 0.00041}), run(2, metrics={"auc": 0.98, "trees": 120.0})]


def test_one_line_for_each_run():
    table = runs_table("two", AUC, ["auc", "trees"])
    assert table.columns == ("run", "when (UTC)", "champion", "AUC", "trees")
    assert table.rows == (
        ("#1 a1", "2023-11-14 22:13", "xgboost", "0.9932 ± 0.0004", "-"),
        ("#2 a2", "2023-11-14 22:13", "xgboost", "0.98", "120"),
    )
    assert "status" in runs_table("", [*AUC, run(3, status="pruned")], ["auc"]).columns
    assert "status" not in runs_table("", [*AUC, run(3, status="complete")], ["auc"]).columns


def test_metrics_give_way_where_there_is_no_room():
    metrics = dict.fromkeys(("auc", "background_rejection", "log_loss", "sculpting"), 0.5)
    runs = [run(1, metrics=metrics, classifier="hist_gradient_boosting")]
    table = fitting_runs_table("", runs, list(metrics), width=80)
    assert table.columns[3:] == ("AUC", "background rejection [%]", "log-loss")
    assert text_width(table) <= 80
    assert max(map(len, table.text(80).splitlines())) <= 80
    assert fitting_runs_table("", runs, list(metrics), width=20).columns[3:] == ("AUC",)


def test_small_numbers_share_a_power_of_ten():
    column = Column.of("expected_limit", [Estimate(3.874e-5, 1.5e-6), None, Estimate(9e-6, float("nan"))])
    assert column.heading == "expected limit [10⁻⁵]"
    assert [column.text(of) for of in (Estimate(3.874e-5, 1.5e-6), None, Estimate(9e-6, float("nan")))] == [
        "3.87 ± 0.15",
        "-",
        "0.9",
    ]
    assert Column.of("cost", []).text(Estimate(335.18947501, 6e-14)) == "335.2"
    assert Column.of("background_rejection", [Estimate(0.68, 0.01)]).heading == "background rejection [%]"


@pytest.mark.parametrize(
    ("name", "label", "smaller_is_better"),
    [
        ("auc", "AUC", False),
        ("expected_limit", "expected limit", True),
        ("punzi_fb", "Punzi", True),
        ("log_loss", "log-loss", True),
        ("xgboost/auc", "xgboost: AUC", False),
        ("sculpting/mass", "sculpting: mass", True),
        ("background_efficiency/qqbar", "background efficiency: qqbar", True),
        ("auc/search", "AUC: search", False),
        ("auc/gap", "AUC: gap", True),
        ("expected_limit/gain_on_xgboost", "expected limit: gain on xgboost", False),
        ("violation/0", "violation: 0", True),
        ("trees", "trees", None),
        ("my_own", "my own", None),
        ("my_own/part", "my own: part", None),
    ],
)
def test_what_a_metric_is(name: str, label: str, smaller_is_better: bool | None):
    assert (known(name).label, known(name).smaller_is_better) == (label, smaller_is_better)


def test_the_most_telling_metric_is_one_that_most_runs_have():
    limit, ranking = {"expected_limit": 1e-5, "auc": 0.9}, {"auc": 0.8, "seconds": 3.0}
    assert most_telling([run(1, metrics=limit), run(2, metrics=limit)]) == "expected_limit"
    assert most_telling([run(1, metrics=limit), run(2, metrics=ranking), run(3)]) == "auc"
    assert most_telling([run(1, metrics={"auc": float("nan"), "log_loss": 0.4})]) == "log_loss"
    assert most_telling([run(1, metrics={"seconds": 3.0})]) is None


def test_champions_have_no_group():
    names = {"own", "xgboost/auc", "auc_error", "auc_by_fold", "log_loss", "auc"}
    assert champions([run(1, metrics=dict.fromkeys(names, 1.0))]) == ("auc", "log_loss", "own")


BETWEEN = Differences(
    "background_rejection",
    {
        (2, 1): Difference(PairedTest(Estimate(-0.012, 0.004), 0.0027, -3.0), "events", 25_400),
        (3, 1): NotComparable("other folds: 3, not 5"),
        (4, 1): Difference(PairedTest(Estimate(0.0, 0.0), 1.0, 0.0), "folds", 5),
        (2, 4): Difference(PairedTest(Estimate(-0.02, 0.0), 0.0, float("-inf")), "folds", 5),
    },
)
RUNS = [run(n) for n in (1, 2, 3, 4)]


def test_differences_to_one_run():
    table = differences_table(RUNS, BETWEEN, against=1)
    assert table.title == "background rejection minus that of #1; positive is better"
    assert table.columns == ("run", "difference [%]", "p-value", "significance", "test over")
    assert table.rows == (
        ("#2 a2", "-1.2 ± 0.4", "0.0027", "-3.0 σ", "25,400 events"),
        ("#3 a3", "-", "-", "-", "(other folds: 3, not 5)"),
        ("#4 a4", "equal", "-", "-", "5 folds"),
    )


def test_differences_turn_their_sign_with_the_runs():
    table = differences_table(RUNS[:2], BETWEEN, against=2)
    assert table.rows == (("#1 a1", "+1.2 ± 0.4", "0.0027", "+3.0 σ", "25,400 events"),)
    matrix = matrix_table(RUNS, BETWEEN)
    assert matrix.columns == ("run minus", "#1", "#2", "#3", "#4")
    assert [row[1:] for row in matrix.rows] == [
        ("-", "+3.0 σ", "-", "+0.0 σ"),
        ("-3.0 σ", "-", "-", "-∞"),
        ("-", "-", "-", "-"),
        ("+0.0 σ", "+∞", "-", "-"),
    ]


def test_only_parameters_that_differ_are_shown():
    runs = [
        run(1, params={"folds": "5", "seed": "1", "xgboost.eta": "0.036302110771", "xgboost.depth": "4", "new": "1"}),
        run(2, params={"folds": "3", "seed": "1", "xgboost.eta": "0.1", "xgboost.depth": "4"}),
        run(3, params={"folds": "5", "seed": "1", "lightgbm.depth": "7"}),
        run(4, params={"folds": "5", "seed": "1", "xgboost.depth": "4"}),
    ]
    assert shown_parameters(runs) == ["folds", "xgboost.eta"]
    assert differing(runs) == ("folds", "xgboost.eta", "xgboost.depth", "new", "lightgbm.depth")
    (table,) = parameter_tables(runs, against=1)
    assert table.columns == ("parameter", "#1", "#2", "#3", "#4")
    assert table.rows == (("folds", "5", "3", "5", "5"), ("xgboost.eta", "0.0363", "0.1", "-", "-"))
    assert only_in_some(runs) == "Not all runs have parameters of xgboost (#1, #2, #4), lightgbm (#3)."
    assert parameter_tables(runs[:1], against=1) == []
    assert only_in_some(runs[:2]) == ""


def test_wide_parameters_are_folded_into_several_tables():
    params = {f"xgboost.a_rather_long_name_{i}": str(i) for i in range(12)}
    other = {name: f"{value}0000" for name, value in params.items()}
    runs = [run(n, params=params if n % 2 else other) for n in range(1, 31)]
    tables = parameter_tables(runs, against=1, width=80)
    assert len(tables) > 1
    assert all(len(line) <= 80 for table in tables for line in table.text(80).splitlines())
    shown = {row[0] for table in tables for row in table.rows}
    assert shown == set(params) or shown == {of.label for of in runs}


def test_lists_tell_what_is_more_and_what_is_less():
    features = [f"a_feature_{i}" for i in range(6)]
    texts = [", ".join(features), ", ".join([*features[1:], "new"]), ", ".join(features[::-1])]
    runs = [run(n, params={"features": text}) for n, text in enumerate(texts, start=1)]
    (table,) = parameter_tables(runs, against=1)
    (row,) = table.rows
    assert row[1:] == ("6 of them", "+new −a_feature_0", "other order")


def test_everything_is_in_its_table():
    table = everything_table("metric", AUC, [of.metrics for of in AUC])
    assert table.columns == ("metric", "#1", "#2")
    assert table.rows == (("auc", "0.9932", "0.98"), ("auc_error", "0.00041", "-"), ("trees", "-", "120"))
    assert identities_table(AUC[:1]).rows == (("#1", "a1 xgboost", "id1", "finished"),)


def test_numbers_in_a_row_are_listed_by_their_ends():
    assert listed([7, 3, 1, 4, 5]) == "#1, #3 to #5, #7"
    assert listed([1, 2]) == "#1, #2"
