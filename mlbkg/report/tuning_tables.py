"""Tables and sentences of a search for hyper-parameters: what was tried, what won, and whether that is more than noise."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mlbkg.evaluation.estimates import Estimate
from mlbkg.report.quantity import Scale
from mlbkg.report.tables import Table, format_estimate, format_number, format_value_error
from mlbkg.report.tuning_result import (
    DISTINGUISHED,
    Contestant,
    FigureOfMerit,
    SearchTold,
    TuningTold,
    measured,
    significance,
    varied,
)
from mlbkg.tuning.importance import Importance
from mlbkg.tuning.trial import Trial

BEST = 5
MOST_OF_FRONT = 12
NOTHING = "–"
UNBROKEN = "\N{NO-BREAK SPACE}"
SECONDS_PER_MINUTE, SECONDS_PER_HOUR = 60.0, 3600.0


def result_text(told: TuningTold) -> list[Table | str]:
    """What the winner is worth on events that no search saw, beside others."""
    several = [searches_table(told)] if len(told.searches) > 1 else []
    return [*several, *(contestants_table(told.contestants, of) for of in told.judged_by), *verdicts(told)]


def search_text(told: TuningTold) -> list[Table | str]:
    """What was tried, and what it tells of the parameters."""
    parts: list[Table | str] = [trials_table(told)]
    for search in told.searches:
        part = f", {_part(search)}" if len(told.searches) > 1 else ""
        parts.append(best_trials_table(search, told.goals, part=part))
        if len(told.goals) > 1:
            parts.append(front_table(search, told.goals, part=part))
        parts += importance_text(search.importance, told.goals[0], part=part)
    return parts


def trials_table(told: TuningTold) -> Table:
    """How many there were, and how long they took; a line for each backend where there are several."""
    rows: list[tuple[str, ...]] = []
    for search in told.searches:
        backends = sorted({trial.backend for trial in search.trials})
        name = _part(search) if len(told.searches) > 1 else "all"
        if len(backends) != 1 or len(told.searches) > 1:
            rows.append(_trials_row(name, search))
        if len(told.searches) == 1:
            rows += [_trials_row(backend, search.of_backend(backend)) for backend in backends]
    return Table("Trials", ("search", "complete", "pruned", "failed", "time", "saved by pruning"), tuple(rows))


def _trials_row(name: str, search: SearchTold) -> tuple[str, ...]:
    counts = (str(len(search.ended(state))) for state in ("complete", "pruned", "failed"))
    saved = format_seconds(search.seconds_saved()) if search.ended("pruned") else NOTHING
    return (name, *counts, format_seconds(sum(trial.seconds for trial in search.trials)), saved)


def format_seconds(seconds: float) -> str:
    """``"42 s"``, ``"3.1 min"``, ``"1.4 h"``."""
    if abs(seconds) < 2 * SECONDS_PER_MINUTE:
        return f"{format_number(seconds)} s"
    if abs(seconds) < 2 * SECONDS_PER_HOUR:
        return f"{format_number(seconds / SECONDS_PER_MINUTE)} min"
    return f"{format_number(seconds / SECONDS_PER_HOUR)} h"


def best_trials_table(search: SearchTold, goals: Sequence[FigureOfMerit], *, part: str = "") -> Table:
    """The best that keep the constraints, by the first goal, side by side: what they reach, and where they differ."""
    best = search.best(goals[0], BEST)
    rows: list[tuple[str, ...]] = []
    for number, goal in enumerate(goals):
        found = [measured(trial, goals, number) for trial in best]
        scale = goal.quantity.scale(estimate.value for estimate in found)
        pairs = [_scaled(one, scale).partition(" ± ") for one in found]
        rows.append((scale.label, *(value for value, _, _ in pairs)))
        if any(error for _, _, error in pairs):
            rows.append(("± error", *(error for _, _, error in pairs)))
    if any(trial.start for trial in best):
        rows.append(("tried first", *(trial.start or "" for trial in best)))
    if len({trial.backend for trial in best}) > 1:
        rows.append(("backend", *(trial.backend for trial in best)))
    rows += [(name, *(_setting(trial, name) for trial in best)) for name in varied(best)]
    left_out = f" ({NOTHING}: the backend's default)" if any(NOTHING in row for row in rows) else ""
    title = f"Best trials by {goals[0].label}{part}{left_out}"
    return Table(title, ("", *(f"trial {trial.number}" for trial in best)), tuple(rows))


def _setting(trial: Trial, name: str) -> str:
    """Four digits."""
    value = trial.parameters.get(name, NOTHING)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def front_table(search: SearchTold, goals: Sequence[FigureOfMerit], *, part: str = "") -> Table:
    """The trials that no other surpasses in every goal, the best by the first goal on top."""
    front = sorted((search.trial(number) for number in search.front), key=lambda trial: -goals[0].gain(_first(trial)))
    values = [[measured(trial, goals, number) for trial in front] for number in range(len(goals))]
    scales = [goal.quantity.scale(estimate.value for estimate in found) for goal, found in zip(goals, values, strict=True)]
    rows = tuple(
        (
            str(trial.number),
            f"{trial.backend}{' (winner)' if trial.number == search.winner else ''}",
            *(_scaled(found[place], scale) for found, scale in zip(values, scales, strict=True)),
        )
        for place, trial in list(enumerate(front))[:MOST_OF_FRONT]
    )
    title = f"Pareto front{part}"
    if len(front) > len(rows):
        title += f"; {len(rows)} of {len(front)} trials"
    return Table(title, ("trial", "backend", *(scale.label for scale in scales)), rows)


def importance_text(importance: Importance, goal: FigureOfMerit, *, part: str = "") -> list[Table | str]:
    """A column for each backend; where nothing can be said of one, why."""
    shares, parts = importance.shares, []
    if shares:
        names = dict.fromkeys(name for found in shares.values() for name in found)
        rows = tuple((name, *(_percent(found.get(name)) for found in shares.values())) for name in names)
        parts.append(Table(f"Share of the variance of {goal.label} [%]{part}", ("parameter", *shares), rows))
    missing = "; ".join(f"{backend}: {reason}" for backend, reason in importance.missing.items())
    return [*parts, *([f"Importance of the parameters of {missing}."] if missing else [])]


def _percent(share: Estimate | None) -> str:
    return NOTHING if share is None else format_value_error(100 * share.value, max(100 * share.error, 0.1))


def searches_table(told: TuningTold) -> Table:
    """The winner of each search by the first goal, on the part that it did not see."""
    goal = told.goals[0]
    winners = [(search, search.contestants[0].figures[goal.name]) for search in told.searches]
    scale = goal.quantity.scale(judged.honest.value for _, judged in winners)
    small = _small(goal, [judged.gap for _, judged in winners])
    rows = tuple(
        (
            str(search.held_out),
            str(search.winner),
            search.contestants[0].backend,
            _scaled(judged.search, scale),
            _scaled(judged.honest, scale),
            _scaled(judged.gap, small),
        )
        for search, judged in winners
    )
    columns = ("part", "trial", "backend", "search value", "honest value", _with_power("gap", small))
    return Table(f"Winners of the searches, {scale.label}", columns, rows)


def contestants_table(contestants: Sequence[Contestant], of: FigureOfMerit) -> Table:
    """Side by side by one figure. The gap is positive where the search value is too good, and the last column where the
    winner is better.
    """
    judged = [one.figures[of.name] for one in contestants]
    scale = of.quantity.scale(each.honest.value for each in judged)
    small = _small(of, [estimate for each in judged for estimate in (each.gap, each.to_winner)])
    searched = any(each.search is not None for each in judged)
    rows = tuple(
        (
            one.name,
            *((_scaled(each.search, scale),) if searched else ()),
            _scaled(each.honest, scale),
            *((_scaled(each.gap, small),) if searched else ()),
            _scaled(each.to_winner, small),
            _sigma(-of.gain(significance(each.to_winner))) if each.to_winner else NOTHING,
        )
        for one, each in zip(contestants, judged, strict=True)
    )
    columns = [
        "classifier",
        *(("search value",) if searched else ()),
        "honest value",
        *((_with_power("gap", small),) if searched else ()),
        _with_power("to winner", small),
        "worse [σ]",
    ]
    return Table(scale.label, tuple(columns), rows)


def verdicts(told: TuningTold) -> Iterator[str]:
    """Plain words on the winner: against the config's first classifier by every goal, and its optimism by the first."""
    winner, *others = told.contestants
    first = next((other for other in others if other.origin == "config"), None)
    if first is not None:
        yield from (_against(winner, first, goal) for goal in told.goals)
    for search in told.searches:
        of_part = f" ({_part(search)})" if len(told.searches) > 1 else ""
        yield from _selected(search, told.goals[0], of_part)


def _against(winner: Contestant, first: Contestant, goal: FigureOfMerit) -> str:
    difference = first.figures[goal.name].to_winner
    assert difference is not None
    subject, other = f"{goal.title}: on events that the search never saw, {winner.name}", f"the config's '{first.name}'"
    sigma = -goal.gain(significance(difference))
    if difference.value == 0 and not difference.error > 0:
        return f"{subject} is as {other}, for nothing better was found."
    told = _told(difference, goal)
    if not abs(sigma) >= DISTINGUISHED:
        return f"{subject} is not distinguishable from {other}: they differ by {told}."
    return f"{subject} is {'better' if sigma > 0 else 'worse'} than {other} by {told}."


def _selected(search: SearchTold, goal: FigureOfMerit, of_part: str) -> Iterator[str]:
    """What the search itself saw: the gain on the first start, and how much too good the winner looked."""
    gain = search.improvement.get(goal.name)
    if gain is not None and gain.error > 0:
        side = "better" if goal.gain(gain.value) >= 0 else "worse"
        told = _told(gain, goal)
        yield (
            f"{goal.title}: on the events that were searched on{of_part}, the winner is {side} than what was tried first by "
            f"{told}."
        )
    gap = search.contestants[0].figures[goal.name].gap
    if gap is not None and gap.value != 0:
        side = "better" if gap.value > 0 else "worse"
        yield f"{goal.title}: the winner's search value{of_part} is {side} than its honest value by {_told(gap, goal)}."


def _told(difference: Estimate, goal: FigureOfMerit) -> str:
    """Size, error, unit and significance; numbers and what belongs to them stay on one line."""
    size = Estimate(abs(difference.value), difference.error)
    text = f"{format_estimate(size) if size.error != 0 else format_number(size.value)} {goal.unit}".rstrip()
    sigma = abs(significance(difference))
    parts = [text, *([f"{sigma:.1f} σ"] if math.isfinite(sigma) else [])]
    return ", ".join(part.replace(" ", UNBROKEN) for part in parts)


def winner_yaml(winner: Contestant) -> str:
    """An entry of ``training.classifiers``, with every digit."""
    import yaml

    entry: Mapping[str, Any] = {"backend": winner.backend, "name": winner.name, **winner.parameters}
    dumped: str = yaml.safe_dump(dict(entry), default_flow_style=True, sort_keys=False, width=math.inf, allow_unicode=True)
    return f"- {dumped.strip()}"


def _part(search: SearchTold) -> str:
    return f"part {search.held_out} held out"


def _first(trial: Trial) -> float:
    return trial.values[0] if trial.values else math.nan


def _small(of: FigureOfMerit, differences: Iterable[Estimate | None]) -> Scale:
    """For differences: one power of ten for all of them."""
    return of.quantity.scale(part for each in differences if each is not None for part in (each.value, each.error))


def _with_power(name: str, scale: Scale) -> str:
    """Unit and power stand behind the last bracket of a scale's label."""
    return f"{name} {scale.label[scale.label.rindex('[') :]}" if scale.label.endswith("]") else name


def _scaled(estimate: Estimate | None, scale: Scale) -> str:
    """Without an error that is zero: costs by the size of a forest are exact."""
    if estimate is None:
        return NOTHING
    return format_value_error(scale(estimate.value), scale(estimate.error) or math.nan)


def _sigma(number: float) -> str:
    text = f"{number:.1f}" if math.isfinite(number) else NOTHING
    return "0.0" if text == "-0.0" else text
