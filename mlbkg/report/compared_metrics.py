"""What is known of the metrics that runs log: which are better when smaller, and how tables write them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from mlbkg.evaluation.estimates import Estimate
from mlbkg.report.compared_runs import BY_FOLD, ERROR, ComparedRun
from mlbkg.report.quantity import Quantity
from mlbkg.report.tables import format_number, format_value_error

PER_CENT = 100.0
ROUNDING = 1e-12


@dataclass(frozen=True)
class Metric:
    """``smaller_is_better``: None where there is no better. ``factor``: from what is logged to ``unit``."""

    label: str
    smaller_is_better: bool | None
    unit: str = ""
    factor: float = 1.0


KNOWN = {
    "expected_limit": Metric("expected limit", True),
    "counting_limit": Metric("counting limit", True),
    "statistical_limit": Metric("statistical limit", True),
    "punzi_fb": Metric("Punzi", True, "fb"),
    "punzi": Metric("Punzi", True),
    "auc": Metric("AUC", False),
    "background_rejection": Metric("background rejection", False, "%", PER_CENT),
    "log_loss": Metric("log-loss", True),
    "background_efficiency": Metric("background efficiency", True, "%", PER_CENT),
    "signal_efficiency": Metric("signal efficiency", None, "%", PER_CENT),
    "sculpting": Metric("sculpting", True),
    "fake_signal": Metric("fake signal", None),
    "cost": Metric("cost", True, "ns"),
    "trees": Metric("trees", None),
    "trials": Metric("trials", None),
    "fit_seconds": Metric("fit", True, "s"),
    "seconds": Metric("time", True, "s"),
    "validation_loss": Metric("validation loss", True),
}
"""Last part of a name, or its group -> what it is."""
SMALLER = ("gap", "violation")
"""Parts of names that are better when smaller, whatever they are of."""
TELLING = ("expected_limit", "counting_limit", "punzi_fb", "punzi", "auc", "background_rejection", "log_loss")
"""From what an analysis publishes down to what its classifier is trained by."""


def known(name: str) -> Metric:
    """What ``name`` is: its own, that of its last part (``xgboost/auc``) or that of its group (``sculpting/mass``)."""
    group, _, part = name.rpartition("/")
    found, whole = KNOWN.get(part), KNOWN.get(group)
    if not group:
        return found or Metric(_spelled(name), None)
    if found is not None:
        return replace(found, label=f"{_spelled(group)}: {found.label}")
    if part in SMALLER or group in SMALLER:
        better: bool | None = True
    elif part.startswith("gain_on_"):
        better = False
    else:
        better = whole.smaller_is_better if whole else None
    metric = whole or Metric(_spelled(group), None)
    return replace(metric, label=f"{metric.label}: {_spelled(part)}", smaller_is_better=better)


def most_telling(runs: Sequence[ComparedRun]) -> str | None:
    """The first of :data:`TELLING` that as many of ``runs`` have as any other; None where none has one."""
    having = {name: sum(math.isfinite(run.metrics.get(name, math.nan)) for run in runs) for name in TELLING}
    most = max(having.values())
    return next(name for name, n in having.items() if n == most) if most else None


def champions(runs: Sequence[ComparedRun]) -> tuple[str, ...]:
    """Metrics without a group that any run has, errors left out: known ones in their order, then the others."""
    names = dict.fromkeys(name for run in runs for name in run.metrics)
    plain = [name for name in names if "/" not in name and not name.endswith((ERROR, BY_FOLD))]
    order = list(KNOWN)
    return tuple(sorted(plain, key=lambda name: order.index(name) if name in order else len(order)))


@dataclass(frozen=True)
class Column:
    """How one metric of some runs is written: one power of ten for all."""

    heading: str
    factor: float

    @classmethod
    def of(cls, name: str, values: Iterable[Estimate | None]) -> Column:
        metric = known(name)
        there = [metric.factor * estimate.value for estimate in values if estimate is not None]
        scale = Quantity(metric.label, metric.unit).scale(there)
        return cls(scale.label, metric.factor / 10.0**scale.power)

    def text(self, estimate: Estimate | None) -> str:
        if estimate is None:
            return "-"
        value, error = self.factor * estimate.value, self.factor * estimate.error
        measured = math.isfinite(error) and error > ROUNDING * abs(value)
        return format_value_error(value, error) if measured else _exact(value)


def _exact(value: float) -> str:
    """Of a metric without an error, or with one that rounding left: a whole number, or four digits."""
    if math.isfinite(value) and value == round(value) and abs(value) < 1e6:
        return f"{value:,.0f}"
    return f"{value:.4g}" if 1e-3 <= abs(value) < 1e4 else format_number(value)


def _spelled(name: str) -> str:
    return name.replace("_", " ")
