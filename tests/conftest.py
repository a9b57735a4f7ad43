"""Toy chunks of events for tests of candidates and features: no physics in them, only the branches and their ranges.

And a search for hyper-parameters that was never done.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import awkward as ak
import numpy as np
import pytest

from mlbkg.evaluation.estimates import Estimate
from mlbkg.report.tuning_result import Contestant, FigureOfMerit, Judged, SearchTold, TuningTold
from mlbkg.simulation.events import CLUSTER, EVENT, KLM, TRACK
from mlbkg.tuning.importance import Importance
from mlbkg.tuning.trial import Trial

EventMaker = Callable[..., dict[str, Any]]


def _values(name: str, n: int, rng: np.random.Generator) -> np.ndarray:
    draws: dict[str, Callable[[], np.ndarray]] = {
        "charge": lambda: rng.choice([-1, 1], n),
        "d0": lambda: rng.normal(0, 0.01, n),
        "z0": lambda: rng.normal(0, 0.02, n),
        "d0_error": lambda: rng.uniform(0.001, 0.02, n),
        "z0_error": lambda: rng.uniform(0.002, 0.03, n),
        "energy": lambda: rng.exponential(0.3, n) + 0.02,
        "theta": lambda: np.arccos(rng.uniform(-0.9, 0.95, n)),
        "phi": lambda: rng.uniform(-np.pi, np.pi, n),
        "hadronic": lambda: rng.integers(0, 2, n),
        "mc_background": lambda: rng.integers(0, 2, n),
        "mc_from_dipion": lambda: rng.integers(0, 2, n),
        "mc_pdg": lambda: rng.choice([-211, 211, 13, -13, 11, -11], n),
    }
    if name in ("px", "py", "pz"):
        return rng.normal(0.1 if name == "pz" else 0.0, 0.5, n)
    return draws[name]() if name in draws else rng.uniform(0, 1, n)


def _make_events(*, n_tracks: Any, n_clusters: Any = None, n_klm: Any = None, seed: int = 1) -> dict[str, Any]:
    """A chunk with the given multiplicity of each event; as many clusters as tracks and no KLM cluster by default."""
    rng = np.random.default_rng(seed)
    counts = {"track": np.asarray(n_tracks, dtype=np.int64)}
    counts["cluster"] = counts["track"] if n_clusters is None else np.asarray(n_clusters, dtype=np.int64)
    counts["klm"] = 0 * counts["track"] if n_klm is None else np.asarray(n_klm, dtype=np.int64)
    n_events = len(counts["track"])
    events: dict[str, Any] = {
        name: np.arange(n_events).astype(branch.dtype) + (name == "__event__") for name, branch in EVENT.items()
    }
    for collection, branches in (("track", TRACK), ("cluster", CLUSTER), ("klm", KLM)):
        for name, branch in branches.items():
            values = _values(name, int(counts[collection].sum()), rng).astype(branch.dtype)
            events[f"{collection}_{name}"] = ak.unflatten(values, counts[collection])
    return events


@pytest.fixture(scope="session")
def make_events() -> EventMaker:
    return _make_events


FIGURES = {
    "auc": FigureOfMerit("auc", "AUC", "", larger_is_better=True),
    "expected_limit": FigureOfMerit("expected_limit", "expected limit", "fb", larger_is_better=False),
    "cost": FigureOfMerit("cost", "cost", "ns", larger_is_better=False),
}
ERRORS = {"auc": 0.0006, "expected_limit": 0.07, "cost": 3.0}
SECONDS = {"complete": 9.0, "pruned": 2.0, "failed": 1.0}
POLICIES = ("depthwise", "lossguide")
RATES = (0.1, 0.3, 0.05, 0.12, 0.02, 0.08, 0.5, 0.03)


def _reached(rate: float, depth: int) -> dict[str, float]:
    """The best shrinkage is 0.08, the best depth 6."""
    loss = math.log10(rate / 0.08) ** 2 + 0.05 * abs(depth - 6)
    return {"auc": 0.993 - 0.01 * loss, "expected_limit": 3.6 + loss, "cost": 12.0 * 1.25**depth}


def _trial(number: int, goals: Sequence[str]) -> Trial:
    """Every fifth is pruned, the eighth fails. The first is the config's classifier."""
    state = "failed" if number == 7 else "pruned" if number % 5 == 4 else "complete"
    rate, depth = RATES[number % len(RATES)], 2 + number % 7
    values = _reached(rate, depth)
    times = rate * np.arange(1, 20 if state == "pruned" else 100, 9)
    losses = {(0, float(time)): 1 - values["auc"] + 0.6 * math.exp(-time) for time in times}
    return Trial(
        number,
        state,
        "lightgbm" if number % 3 == 1 else "xgboost",
        {"learning_rate": rate, "max_depth": depth, "n_estimators": 400}
        | ({"policy": POLICIES[number % 4 // 2]} if number % 2 else {}),
        "default" if number == 0 else None,
        tuple(values[name] for name in goals) if state == "complete" else None,
        (),
        {name: {"value": values[name], "error": ERRORS[name], "replicas": [1.0, 2.0]} for name in goals},
        losses,
        {0: losses[0, float(times[-1])]},
        1.7e9 + 10 * number,
        1.7e9 + 10 * number + SECONDS[state],
        {"failed": "MemoryError", "pruned": "fold 0"}.get(state),
    )


def _contestants(judged_by: Sequence[str], *, pooled: bool = False) -> tuple[Contestant, ...]:
    """The honest values of others are 2.5 and 5 errors worse, of the difference; search values are one error too good."""
    who = (("tuned", "winner", "xgboost"), ("default", "config", "xgboost"), ("FastBDT's settings", "compared", "xgboost"))
    found = []
    for place, (name, origin, backend) in enumerate(who):
        figures = {}
        for of in (FIGURES[name] for name in judged_by):
            error = ERRORS[of.name]
            best = _reached(0.08, 6)[of.name]
            honest = Estimate(best - of.gain(place * error), error)
            search = None if pooled else Estimate(honest.value + of.gain(0.5 * error), error / 2)
            gap = of.optimism(search, honest) if search else None
            figures[of.name] = Judged(search, honest, gap, Estimate(-of.gain(place * error), 0.4 * error) if place else None)
        parameters = {"learning_rate": 0.08, "max_depth": 6, "n_estimators": 400} if place == 0 else {"max_depth": 3}
        found.append(Contestant(name, backend, parameters, origin, figures))
    return tuple(found)


def _make_tuning(
    goals: Sequence[str] = ("auc",), *, judged_by: Sequence[str] | None = None, searches: int = 1, trials: int = 30
) -> TuningTold:
    """Told of ``searches`` for ``goals``, all of which found the same."""
    judged_by = judged_by or goals
    tried = tuple(_trial(number, goals) for number in range(trials))
    first = FIGURES[goals[0]]
    best = max((trial for trial in tried if trial.values), key=lambda trial: first.gain(trial.values[0]))
    importance = Importance(
        {"xgboost": {"learning_rate": Estimate(0.8, 0.03), "max_depth": Estimate(0.2, 0.01)}},
        {"lightgbm": "8 complete trials, and 10 are needed"},
    )
    told = tuple(
        SearchTold(
            f"upsilon1s/{goals[0]}-1a2b3c/{part}",
            part,
            tried,
            best.number,
            (best.number, 0),
            _contestants(judged_by),
            {name: Estimate(FIGURES[name].gain(3.0 * ERRORS[name]), ERRORS[name]) for name in goals},
            importance,
        )
        for part in range(searches)
    )
    figures = tuple(FIGURES[name] for name in judged_by)
    pooled = _contestants(judged_by, pooled=True) if searches > 1 else None
    return TuningTold(tuple(FIGURES[name] for name in goals), figures, told, pooled)


@pytest.fixture(scope="session")
def make_tuning() -> Callable[..., TuningTold]:
    return _make_tuning
