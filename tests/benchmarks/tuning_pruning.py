"""A search that ends hopeless trials early against one that ends none: same trials to begin with, same number in all, one
thread.

    python tests/benchmarks/tuning_pruning.py [CONFIG] [--trials N] [--searches N] [--samples FOLDER]

Both make the config's first objective better on the events of its first search, by the shipped search spaces. Searches
differ by their seeds; which of the two goes first changes from one to the next.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from whole_training import ROOT

from mlbkg.config.load import load
from mlbkg.config.search_spaces import search_spaces
from mlbkg.stages.progress import NoProgress
from mlbkg.stages.simulate import simulate_samples
from mlbkg.stages.training_data import load_training_data
from mlbkg.stages.tuning_data import search_events
from mlbkg.stages.tuning_objectives import Objective, measured_from, objectives_of
from mlbkg.stages.tuning_search import Search
from mlbkg.tuning.space import SearchSpace
from mlbkg.tuning.study import Budget, Goal, Start, open_study
from mlbkg.tuning.trial import Trial

HIGGS = ROOT / "configs" / "higgs.yaml"
TRIALS, SEARCHES = 50, 3
FIRST_SEED = 10
"""Searches of lower seeds helped to choose when trials are pruned."""


@dataclass(frozen=True)
class Setting:
    """What the searches of one config have in common."""

    search: Search
    spaces: Mapping[str, SearchSpace]
    starts: Sequence[Start]
    trials: int

    @property
    def objective(self) -> Objective:
        return self.search.objectives[0]


@dataclass(frozen=True)
class Found:
    """By one search. ended: of each trial, seconds after the search began."""

    seconds: float
    trials: tuple[Trial, ...]
    ended: tuple[float, ...]
    best: Trial


def main(
    config: Path = HIGGS,
    *,
    trials: int = TRIALS,
    searches: int = SEARCHES,
    rounds: int | None = None,
    samples: Path | None = None,
) -> dict[str, float]:
    """``bare_s`` and ``mlbkg_s``: seconds of all searches without and with pruning; ``ratio``, of the second to the first.

    ``reached``: what the pruned search takes until it has a trial that is as good as the best of the other, within the error
    of their difference, in units of the other's time; the mean. ``difference``: of the best values, so turned that more is
    better for the pruned search; the mean. ``event_error``: its error from the events; ``search_error``: from what differs
    between searches, NaN for one. ``pruned``: share of trials. ``rounds``: in place of the search spaces' numbers of trees.
    """
    setting = setting_of(config.resolve(), trials=trials, rounds=rounds, samples=samples)
    unpruned, pruned = [], []
    for seed in range(FIRST_SEED, FIRST_SEED + searches):
        for prune in (False, True) if seed % 2 == 0 else (True, False):
            (pruned if prune else unpruned).append(search(setting, seed=seed, prune=prune))
    pairs = list(zip(pruned, unpruned, strict=True))
    gains = [_gain(one.best, other.best, setting.objective) for one, other in pairs]
    values = [value for value, _ in gains]
    bare_s, mlbkg_s = (sum(found.seconds for found in each) for each in (unpruned, pruned))
    return {
        "bare_s": bare_s,
        "mlbkg_s": mlbkg_s,
        "ratio": mlbkg_s / bare_s,
        "reached": float(np.mean([_reached(one, other, setting.objective) / other.seconds for one, other in pairs])),
        "difference": float(np.mean(values)),
        "event_error": float(np.mean([error for _, error in gains])),
        "search_error": float(np.std(values, ddof=1) / np.sqrt(searches)) if searches > 1 else float("nan"),
        "pruned": float(np.mean([trial.state == "pruned" for found in pruned for trial in found.trials])),
    }


def setting_of(path: Path, *, trials: int, rounds: int | None, samples: Path | None) -> Setting:
    with _in_a_folder_with_data(samples):
        loaded = load(path)
        config = loaded.config
        simulate_samples(loaded, force=False, workers=1, progress=NoProgress())
        data = next(search_events(load_training_data(config, workers=1, progress=NoProgress()), config)).searched
    spaces = search_spaces(config)
    if rounds is not None:
        fixed = {"n_estimators": rounds, "early_stopping_rounds": rounds}
        spaces = {name: space.model_copy(update={"fixed": fixed}) for name, space in spaces.items()}
    searched = Search(data, objectives_of(config, data, names=config.tuning.objective[:1]), (), seed=config.seed)
    own = [classifier for classifier in config.training.classifiers if classifier.backend in spaces]
    starts = [Start(classifier.label, classifier.backend, classifier.parameters) for classifier in own]
    return Setting(searched, spaces, starts, trials)


def search(setting: Setting, *, seed: int, prune: bool) -> Found:
    ended: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        goal = Goal(setting.objective.name, setting.objective.larger_is_better)
        journal = str(Path(folder) / "study.journal")
        study = open_study(journal, name="study", key="", goals=[goal], spaces=setting.spaces, seed=seed, prune=prune)
        begin = time.perf_counter()
        study.run(
            setting.search.evaluate,
            starts=setting.starts,
            budget=Budget(setting.trials),
            workers=1,
            on_trial=lambda _: ended.append(time.perf_counter() - begin),
        )
        seconds = time.perf_counter() - begin
        assert study.best is not None
        return Found(seconds, study.trials, tuple(ended), study.best)


@contextlib.contextmanager
def _in_a_folder_with_data(samples: Path | None) -> Iterator[None]:
    """Paths in a config are relative to where one works."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        Path("tests").symlink_to(ROOT / "tests")
        if samples is not None:
            Path("data").symlink_to(samples)
        yield


def _gain(one: Trial, other: Trial, objective: Objective) -> tuple[float, float]:
    """By how much ``one`` is better, and the error of that from the events, which both share."""
    name = objective.name
    difference = measured_from(one.record, name).minus(measured_from(other.record, name))
    return (1 if objective.larger_is_better else -1) * difference.value, difference.error


def _reached(pruned: Found, unpruned: Found, objective: Objective) -> float:
    """Infinite where it is not."""
    for trial, ended in zip(pruned.trials, pruned.ended, strict=True):
        if trial.state == "complete":
            gain, error = _gain(trial, unpruned.best, objective)
            if gain >= -error:
                return ended
    return float("inf")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="time and result of searches with and without pruning")
    parser.add_argument("config", type=Path, nargs="?", default=HIGGS)
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--searches", type=int, default=SEARCHES)
    parser.add_argument("--samples", type=Path, help="the config's data folder, where it was simulated before")
    asked = parser.parse_args()
    folder = asked.samples.resolve() if asked.samples else None
    print(json.dumps(main(asked.config, trials=asked.trials, searches=asked.searches, samples=folder), indent=1))
