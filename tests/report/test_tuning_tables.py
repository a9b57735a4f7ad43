"""Tables and sentences of a search for hyper-parameters; the whole text is kept in tests/messages."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from mlbkg.evaluation.estimates import Estimate
from mlbkg.report.tables import Table
from mlbkg.report.tuning_result import Contestant, TuningTold, measured, significance
from mlbkg.report.tuning_tables import (
    best_trials_table,
    contestants_table,
    format_seconds,
    front_table,
    importance_text,
    result_text,
    search_text,
    searches_table,
    trials_table,
    verdicts,
    winner_yaml,
)

Maker = Callable[..., TuningTold]
MESSAGES = Path(__file__).resolve().parents[1] / "messages"
CASES: dict[str, dict[str, object]] = {
    "one_goal": {},
    "two_goals": {"goals": ("expected_limit", "cost"), "judged_by": ("expected_limit", "cost", "auc"), "searches": 2},
}


@pytest.mark.parametrize("case", CASES)
def test_text(make_tuning: Maker, case: str) -> None:
    told = make_tuning(**CASES[case])
    parts = [part if isinstance(part, str) else part.text(80) for part in (*search_text(told), *result_text(told))]
    found = "\n\n".join(parts) + "\n"
    assert found == (MESSAGES / f"tuning_{case}.txt").read_text(encoding="utf-8")
    assert max(len(line) for part in parts if "─" in part for line in part.splitlines()) <= 80


def test_counts_and_times(make_tuning: Maker) -> None:
    # of 30 trials, 4, 9, 14, ... are pruned, and 7 fails; complete ones take 9 s, pruned ones 2 s, the failed one 1 s
    table = trials_table(make_tuning())
    assert table.rows[0] == ("all", "23", "6", "1", "3.67 min", "42 s")
    assert [row[0] for row in table.rows] == ["all", "lightgbm", "xgboost"]
    one, *others = trials_table(make_tuning(searches=2)).rows
    assert one[0] == "part 0 held out"
    assert len(others) == 1


def test_best_trials_differ_in_what_is_shown(make_tuning: Maker) -> None:
    told = make_tuning()
    search = told.searches[0]
    table = best_trials_table(search, told.goals)
    best = search.best(told.goals[0], 5)
    assert table.columns == ("", *(f"trial {trial.number}" for trial in best))
    assert [trial.values for trial in best] == sorted(
        (trial.values for trial in search.trials if trial.values), reverse=True
    )[:5]
    shown = [row[0] for row in table.rows]
    assert "learning_rate" in shown
    assert "n_estimators" not in shown  # is one in all
    broken = replace(search, trials=tuple(replace(trial, violation=(0.1,)) for trial in search.trials[:4]))
    assert broken.best(told.goals[0], 5) == ()


def test_contestants_against_each_other(make_tuning: Maker) -> None:
    table = contestants_table(make_tuning().contestants, make_tuning().goals[0])
    columns = ("classifier", "search value", "honest value", "gap [10⁻³]", "to winner [10⁻³]", "worse [σ]")
    assert table.columns == columns
    # the gap is half of the honest error of 0.6, its error sqrt(0.6^2 + 0.3^2) = 0.67
    assert table.rows[0] == ("tuned", "0.99330 ± 0.00030", "0.9930 ± 0.0006", "0.3 ± 0.7", "–", "–")
    assert table.rows[1] == ("default", "0.99270 ± 0.00030", "0.9924 ± 0.0006", "0.3 ± 0.7", "-0.60 ± 0.24", "2.5")
    assert table.rows[2][-1] == "5.0"
    pooled = make_tuning(searches=2)
    assert contestants_table(pooled.contestants, pooled.goals[0]).columns == ("classifier", "honest value", *columns[4:])


def test_small_is_better_for_limits(make_tuning: Maker) -> None:
    told = make_tuning(("expected_limit",))
    rows = contestants_table(told.contestants, told.goals[0]).rows
    assert rows[1] == ("default", "3.635 ± 0.035", "3.67 ± 0.07", "0.04 ± 0.08", "0.070 ± 0.028", "2.5")


def test_what_is_exact_has_no_error(make_tuning: Maker) -> None:
    told = make_tuning(("cost",))
    cheap = with_difference(told, Estimate(-77.4, 0.0), of="cost").contestants
    rows = contestants_table(cheap, told.goals[0]).rows
    assert rows[1][4:] == ("-77.4", "–")
    search = told.searches[0]
    trials = tuple(replace(trial, record={"cost": {"error": 0.0}}) for trial in search.trials)
    shown = best_trials_table(replace(search, trials=trials), told.goals).rows
    assert [row[0] for row in shown][:2] == ["Cost [ns]", "tried first"]


def with_difference(told: TuningTold, difference: Estimate, *, of: str = "auc") -> TuningTold:
    """The config's classifier that far from the winner."""
    search = told.searches[0]
    figures = {of: replace(search.contestants[1].figures[of], to_winner=difference)}
    contestants = (search.contestants[0], replace(search.contestants[1], figures=figures))
    return replace(told, searches=(replace(search, contestants=contestants, improvement={}),))


APART = "not distinguishable from the config's 'default': they differ by"


@pytest.mark.parametrize(
    ("difference", "told"),
    [
        (Estimate(-0.0034, 0.001), "tuned is better than the config's 'default' by 0.0034 ± 0.0010, 3.4 σ."),
        (Estimate(0.0034, 0.001), "tuned is worse than the config's 'default' by 0.0034 ± 0.0010, 3.4 σ."),
        (Estimate(-8e-4, 0.001), f"tuned is {APART} 0.0008 ± 0.0010, 0.8 σ."),
        (Estimate(-0.5, 0.0), "tuned is better than the config's 'default' by 0.5."),
        (Estimate(0.0, 0.0), "tuned is as the config's 'default', for nothing better was found."),
        (Estimate(-0.001, math.nan), f"tuned is {APART} 0.001."),
    ],
)  # fmt: skip
def test_verdict(make_tuning: Maker, difference: Estimate, told: str) -> None:
    found = next(iter(verdicts(with_difference(make_tuning(), difference)))).replace("\N{NO-BREAK SPACE}", " ")
    assert found == f"AUC: on events that the search never saw, {told}"


def test_optimism_and_gain_are_told(make_tuning: Maker) -> None:
    found = [line.replace("\N{NO-BREAK SPACE}", " ") for line in verdicts(make_tuning())]
    # three errors of 0.0006, and 0.5 / sqrt(1 + 0.25) = 0.447 standard deviations
    assert found[1].endswith("the winner is better than what was tried first by 0.0018 ± 0.0006, 3.0 σ.")
    assert found[2].endswith("the winner's search value is better than its honest value by 0.0003 ± 0.0007, 0.4 σ.")
    assert len(found) == 3


def test_front_and_winners_of_searches(make_tuning: Maker) -> None:
    told = make_tuning(("expected_limit", "cost"), searches=2)
    front = front_table(told.searches[0], told.goals)
    assert front.columns == ("trial", "backend", "Expected limit [fb]", "Cost [ns]")
    assert front.rows[0][1].endswith(" (winner)")
    # 12 * 1.25^2 ns for trees of depth 2, (log10(0.1 / 0.08))^2 + 0.05 * 4 above 3.6 fb
    assert front.rows[1] == ("0", "xgboost", "3.81 ± 0.07", "18.8 ± 3.0")
    assert [row[0] for row in searches_table(told).rows] == ["0", "1"]


def test_importance_with_what_is_missing(make_tuning: Maker) -> None:
    told = make_tuning()
    table, note = importance_text(told.searches[0].importance, told.goals[0])
    assert isinstance(table, Table)
    assert table.rows == (("learning_rate", "80.0 ± 3.0"), ("max_depth", "20.0 ± 1.0"))
    assert note == "Importance of the parameters of lightgbm: 8 complete trials, and 10 are needed."


def test_winner_can_be_pasted() -> None:
    parameters = {"learning_rate": 0.08731234567890123, "max_depth": 6, "note": "a: b", "missing": None}
    line = winner_yaml(Contestant("tuned", "xgboost", parameters, "winner", {}))
    assert "\n" not in line
    assert yaml.safe_load(line) == [{"backend": "xgboost", "name": "tuned", **parameters}]


def test_json_and_back(make_tuning: Maker) -> None:
    told = make_tuning(("auc", "cost"), searches=2)
    content = json.loads(json.dumps(told.to_json(), allow_nan=False))
    back = TuningTold.from_json({**content, "more": 1})
    assert back.contestants == told.contestants
    assert back.searches[0].importance == told.searches[0].importance
    first, again = told.searches[0].trials[0], back.searches[0].trials[0]
    assert again == replace(
        first, losses={}, fold_costs={}, record={name: {"error": first.record[name]["error"]} for name in first.record}
    )
    assert measured(again, back.goals, 1) == measured(first, told.goals, 1)


def test_error_of_a_trial_from_its_replicas(make_tuning: Maker) -> None:
    told = make_tuning()
    trial = replace(told.searches[0].trials[0], values=(0.5,), record={"auc": {"replicas": [0.1, 0.2, 0.3]}})
    assert measured(trial, told.goals) == Estimate(0.5, pytest.approx(0.1))
    assert math.isnan(measured(replace(trial, record={}), told.goals).error)
    assert math.isnan(measured(replace(trial, record={"auc": {"error": None}}), told.goals).error)


def test_significance() -> None:
    assert significance(Estimate(-3.4, 2.0)) == pytest.approx(-1.7)
    assert significance(Estimate(-1.0, 0.0)) == -math.inf
    assert math.isnan(significance(Estimate(0.0, 0.0)))
    assert math.isnan(significance(Estimate(1.0, math.nan)))


@pytest.mark.parametrize(
    ("seconds", "text"), [(42.0, "42 s"), (119.0, "119 s"), (186, "3.1 min"), (9000, "2.5 h"), (-3.0, "-3 s")]
)
def test_times(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text
