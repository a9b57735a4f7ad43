"""Optuna's own plots of a study, for whoever has a place to draw them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

Plot = Callable[[], Any]
"""Draws a figure by pyplot, in Optuna's style; returns its axes, one or an array of them."""

MOST_AXES = 3
"""Goals of which a Pareto front can be drawn."""
MOST_PARAMETERS = 8
"""That stand side by side: the most important ones."""


def plots(study: Study, *, labels: Sequence[str]) -> Mapping[str, Plot]:
    """Name -> plot. ``labels``: of the goals, with units. What shows one goal shows the first; the front shows all."""
    import optuna.visualization.matplotlib as drawn

    several = len(study.directions) > 1
    shown: dict[str, Any] = {"target": _first if several else None, "target_name": labels[0]}
    # Optuna's colours for one of several goals would take the best for the worst
    by_rank: dict[str, Any] = {} if several else shown

    def important(number: int) -> list[str]:
        return _most_important(study, shown["target"], number)

    found: dict[str, Plot] = {
        "optimization_history": lambda: drawn.plot_optimization_history(study, **shown),
        "param_importances": lambda: drawn.plot_param_importances(study, **shown),
        "parallel_coordinate": lambda: drawn.plot_parallel_coordinate(study, params=important(MOST_PARAMETERS), **by_rank),
        "slice": lambda: drawn.plot_slice(study, params=important(MOST_PARAMETERS), **shown),
        "contour": lambda: drawn.plot_contour(study, params=important(2), **shown),
        "edf": lambda: drawn.plot_edf(study, **shown),
        "timeline": lambda: drawn.plot_timeline(study),
    }
    if not several:
        found["intermediate_values"] = lambda: drawn.plot_intermediate_values(study)
    elif len(labels) <= MOST_AXES:
        found["pareto_front"] = lambda: drawn.plot_pareto_front(study, target_names=list(labels))
    return found


def _first(trial: FrozenTrial) -> float:
    value: float = trial.values[0]
    return value


def _most_important(study: Study, target: Callable[[FrozenTrial], float] | None, number: int) -> list[str]:
    """Names in the storage, by Optuna's default, which knows parameters that not every trial has."""
    from optuna.importance import get_param_importances

    return list(get_param_importances(study, target=target))[:number]
