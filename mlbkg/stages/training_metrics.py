"""The figures of a training by the names that they have on a tracking server.

Names without a group are the champion's: few, and the same for every training, so that any two of them compare. A group
(what stands before the slash) holds one classifier, or one kind of detail.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mlbkg.classifiers.cross_fit import CrossFit
from mlbkg.evaluation.estimates import balanced
from mlbkg.evaluation.evaluate import Evaluation
from mlbkg.evaluation.metrics import auc, log_loss, threshold_at
from mlbkg.fitting.fake_signal import FakeSignal
from mlbkg.limits.cut_scan import CutScan
from mlbkg.stages.trained import Trained
from mlbkg.stages.training_data import TrainingData

COMPARISON = "comparison"
"""Group of the champion's backend on other features, whatever their comparison is called."""
CURVE_POINTS = 100


@dataclass(frozen=True)
class Curve:
    """A metric with one value for each of ``steps``: folds, or boosting rounds."""

    steps: Sequence[int]
    values: Sequence[float]


def champion_metrics(trained: Trained, *, seconds: float) -> dict[str, float]:
    """What every training has, first what matters most."""
    best = trained.best
    return {
        **of_classifier(trained, best.name),
        "signal_efficiency": best.ranking.signal_efficiency,
        "seconds": seconds,
    }


def of_classifier(trained: Trained, name: str) -> dict[str, float]:
    """Of a classifier or of the comparison, without its group."""
    fit, evaluation = _found(trained, name)
    ranking = evaluation.ranking
    distances = [found.test.distance for found in evaluation.sculpting if found.test is not None]
    return _finite(
        {
            "auc": ranking.auc.value,
            "auc_error": ranking.auc.error,
            "background_rejection": ranking.background_rejection.value,
            "background_rejection_error": ranking.background_rejection.error,
            **_limits(trained.scans.get(name)),
            **({"punzi_fb": trained.punzi_fb[name]} if name in trained.punzi_fb else {}),
            "log_loss": ranking.log_loss,
            **({"sculpting": max(distances)} if distances else {}),
            **_faked(trained.faked.get(name)),
            "trees": float(np.mean([fitted.n_trees for fitted in fit.fitted])),
            "fit_seconds": fit.fit_seconds,
        }
    )


def details(best: Evaluation, seconds: Mapping[str, float]) -> dict[str, float]:
    """Of the champion, category by category and spectator by spectator; how long each part of the work took."""
    return _finite(
        {
            **{f"background_efficiency/{line.name}": line.background_efficiency.value for line in best.ranking.categories},
            **{f"sculpting/{line.spectator}": line.test.distance for line in best.sculpting if line.test is not None},
            **{f"seconds/{name}": value for name, value in seconds.items() if name != "total"},
        }
    )


def curves_of(fit: CrossFit, data: TrainingData, *, signal_efficiency: float) -> dict[str, Curve]:
    """Figures fold by fold, named ``..._by_fold``, and the validation loss over the rounds that all folds boosted.

    The loss is the mean over the folds, at no more than 100 rounds.
    """
    folds = range(len(data.splits))
    found = [_of_fold(fit, data, fold, signal_efficiency=signal_efficiency) for fold in folds]
    curves = {f"{name}_by_fold": Curve(folds, [figures[name] for figures in found]) for name in found[0]}
    rounds = min(len(curve) for curve in fit.curves)
    if rounds:
        at = np.unique(np.linspace(0, rounds - 1, min(rounds, CURVE_POINTS)).astype(int))
        loss = np.mean([np.asarray(curve[:rounds])[at] for curve in fit.curves], axis=0)
        if np.isfinite(loss).all():
            curves["validation_loss"] = Curve((at + 1).tolist(), loss.tolist())
    return curves


def group_of(trained: Trained, name: str) -> str:
    """Of a classifier, or of the comparison, whose name has brackets, which MLflow does not allow."""
    return COMPARISON if trained.comparison and name == trained.comparison.evaluation.name else name


def _found(trained: Trained, name: str) -> tuple[CrossFit, Evaluation]:
    pairs = list(zip(trained.fits, trained.evaluations, strict=True))
    if trained.comparison is not None:
        pairs.append((trained.comparison.fit, trained.comparison.evaluation))
    return next((fit, evaluation) for fit, evaluation in pairs if evaluation.name == name)


def _of_fold(fit: CrossFit, data: TrainingData, fold: int, *, signal_efficiency: float) -> dict[str, float]:
    rows = data.splits[fold].scored
    margin, label, weight = fit.margin[rows], data.sample.label[rows], data.sample.weight[rows]
    signal = label == 1
    threshold = threshold_at(margin[signal], weight[signal], efficiency=signal_efficiency)
    kept = float(weight[~signal & (margin >= threshold)].sum() / weight[~signal].sum())
    return {
        "auc": auc(margin, label, weight),
        "background_rejection": 1 - kept,
        "log_loss": log_loss(margin, label, balanced(weight, label)),
    }


def _limits(scan: CutScan | None) -> dict[str, float]:
    names = ("expected_limit", "expected_limit_error", "statistical_limit")
    return {name: float(getattr(scan, name)[scan.best]) for name in names} if scan else {}


def _faked(found: FakeSignal | None) -> dict[str, float]:
    if found is None:
        return {}
    told = {"": found.events, "_error": found.error, "_expected_sigma": found.expected_sigma}
    return {f"fake_signal{what}": value for what, value in told.items()}


def _finite(metrics: Mapping[str, float]) -> dict[str, float]:
    return {key: value for key, value in metrics.items() if math.isfinite(value)}
