"""Runs of an experiment side by side, as tables, figures and pages show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from mlbkg.evaluation.estimates import Estimate
from mlbkg.evaluation.paired import PairedTest

ERROR = "_error"
"""Ends the name of a metric that is the standard error of another."""
BY_FOLD = "_by_fold"
"""Ends the name of a metric whose steps are the folds, with the value of another in each."""


@dataclass(frozen=True)
class ComparedRun:
    """number: by which tables call it. status: of a trial, its state. began: seconds since 1970.

    classifier: the champion of a training, the winner's backend of a study, the backend of a trial; empty where the run does
    not say.
    """

    number: int
    run_id: str
    name: str
    status: str
    began: float
    classifier: str
    metrics: Mapping[str, float]
    params: Mapping[str, str]

    @property
    def when(self) -> str:
        return datetime.fromtimestamp(self.began, UTC).strftime("%Y-%m-%d %H:%M")

    @property
    def short_name(self) -> str:
        """The name without the classifier, which has a column of its own."""
        return self.name.removesuffix(f" {self.classifier}") if self.classifier else self.name

    @property
    def label(self) -> str:
        """Of lines in tables, which stand at the left since it does not begin like a number."""
        return f"{self.sign} {self.short_name}"

    @property
    def sign(self) -> str:
        return sign_of(self.number)

    def estimate(self, metric: str) -> Estimate | None:
        """With a NaN error where none was logged; None without the metric."""
        if metric not in self.metrics:
            return None
        return Estimate(self.metrics[metric], self.metrics.get(metric + ERROR, float("nan")))

    def to_json(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "run_id": self.run_id,
            "name": self.name,
            "status": self.status,
            "began": datetime.fromtimestamp(self.began, UTC).isoformat(timespec="seconds"),
            "classifier": self.classifier,
            "metrics": dict(self.metrics),
            "params": dict(self.params),
        }


@dataclass(frozen=True)
class Difference:
    """A run minus another, on the same folds. ``n``: events, or folds, that the test is over."""

    paired: PairedTest
    by: Literal["events", "folds"]
    n: int

    @property
    def test(self) -> str:
        return f"{self.n:,} {self.by}"

    def to_json(self) -> dict[str, Any]:
        return {
            "difference": self.paired.difference.value,
            "error": self.paired.difference.error,
            "p_value": self.paired.p_value,
            "significance": self.paired.significance,
            "test": self.by,
            "n": self.n,
        }


@dataclass(frozen=True)
class NotComparable:
    """``reason``: a few words."""

    reason: str

    def to_json(self) -> dict[str, Any]:
        return {"reason": self.reason}


Compared = Difference | NotComparable


@dataclass(frozen=True)
class Differences:
    """``metric``: that is tested. ``between``: numbers of two runs -> the first minus the second, each pair once."""

    metric: str
    between: Mapping[tuple[int, int], Compared]


def sign_of(number: int) -> str:
    return f"#{number}"


def listed(numbers: Sequence[int]) -> str:
    """``"#1, #3 to #5"``."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    texts = [
        f"{sign_of(part[0])} to {sign_of(part[-1])}" if len(part) > 2 else ", ".join(map(sign_of, part)) for part in parts
    ]
    return ", ".join(texts)


def count_of(runs: Sequence[ComparedRun]) -> str:
    return "1 run" if len(runs) == 1 else f"{len(runs)} runs"


def differing(runs: Sequence[ComparedRun]) -> tuple[str, ...]:
    """Parameters that not all ``runs`` have with the same value, in the order in which runs logged them."""
    names = dict.fromkeys(name for run in runs for name in run.params)
    return tuple(name for name in names if len({run.params.get(name) for run in runs}) > 1)
