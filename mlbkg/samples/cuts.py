"""Cuts one after the other, and how much each leaves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mlbkg.errors import EmptySampleError


@dataclass(frozen=True)
class CutCount:
    """What is left after ``cut``: candidates, sum of physics weights, and its standard deviation.

    ``upper_90``: where nothing is left, what the sum is below at 90 % confidence: ln 10 candidates of the mean weight that
    was read (each counted by its weight); None where something is left.
    """

    cut: str
    sample: str
    events: int
    weighted: float
    error: float
    upper_90: float | None = None


@dataclass
class CutCounter:
    """Adds up the counts of one sample, chunk by chunk. Step 0 is what was read."""

    sample: str
    cuts: Sequence[str]
    n_files: int
    _events: NDArray[np.int64] = field(init=False)
    _sum: NDArray[np.float64] = field(init=False)
    _sum_of_squares: NDArray[np.float64] = field(init=False)
    _seen: dict[int, dict[str, tuple[float, float]]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        steps = len(self.cuts) + 1
        self._events = np.zeros(steps, dtype=np.int64)
        self._sum = np.zeros(steps)
        self._sum_of_squares = np.zeros(steps)

    def count(self, step: int, weight: NDArray[np.float64]) -> None:
        self._events[step] += len(weight)
        self._sum[step] += weight.sum()
        self._sum_of_squares[step] += np.square(weight).sum()

    def saw(self, step: int, name: str, values: NDArray[np.float64]) -> None:
        """Remember the range of what cut ``step`` looks at, for the error if it leaves nothing."""
        finite = values[np.isfinite(values)]
        if len(finite):
            low, high = self._seen.setdefault(step, {}).get(name, (math.inf, -math.inf))
            self._seen[step][name] = (min(low, float(finite.min())), max(high, float(finite.max())))

    def merge(self, other: CutCounter) -> None:
        self._events += other._events
        self._sum += other._sum
        self._sum_of_squares += other._sum_of_squares
        for step, ranges in other._seen.items():
            for name, values in ranges.items():
                self.saw(step, name, np.asarray(values))

    def counts(self) -> tuple[CutCount, ...]:
        typical = float(self._sum_of_squares[0] / self._sum[0]) if self._sum[0] > 0 else 0.0
        upper = math.log(10) * typical
        return tuple(
            CutCount(cut, self.sample, int(n), float(total), math.sqrt(squares), None if n else upper)
            for cut, n, total, squares in zip(
                ("read", *self.cuts), self._events, self._sum, self._sum_of_squares, strict=True
            )
        )

    def raise_if_empty(self) -> None:
        """Raises :class:`EmptySampleError` that names the cut that left nothing and what it saw."""
        if self._events[-1]:
            return
        empty = int(np.flatnonzero(self._events == 0)[0])
        path = f"{self._events[0]} candidates read from {self.n_files} file{'s' if self.n_files != 1 else ''}"
        if empty == 0:
            raise EmptySampleError(f"sample '{self.sample}' has no candidates", details=[path], where=self.sample)
        left = " -> ".join(str(n) for n in self._events[: empty + 1])
        seen = ", ".join(f"{name} seen: {low:.6g} .. {high:.6g}" for name, (low, high) in self._seen.get(empty, {}).items())
        raise EmptySampleError(
            f"sample '{self.sample}' is empty after cut {empty} of {len(self.cuts)}, '{self.cuts[empty - 1]}'",
            details=[f"{path} -> {left}" + (f";  {seen}" if seen else "")],
            where=self.sample,
        )
