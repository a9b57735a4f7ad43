"""Sums and maxima over rows of different length that lie one after the other in a flat array."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Segments:
    """``counts (n_segments,)``: length of each row of a flat array ``(counts.sum(),)``; a row may be empty."""

    counts: NDArray[np.int64]

    @classmethod
    def from_offsets(cls, offsets: NDArray[np.int64]) -> Segments:
        """``offsets (n_segments + 1,)``, starting at 0."""
        return cls(np.diff(offsets))

    def __len__(self) -> int:
        return len(self.counts)

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        return np.asarray(np.cumsum(self.counts) - self.counts, dtype=np.int64)

    @cached_property
    def ids(self) -> NDArray[np.int64]:
        """``(counts.sum(),)``: the segment that each element belongs to."""
        return self.repeat(np.arange(len(self)))

    @cached_property
    def _filled(self) -> NDArray[np.intp]:
        return np.flatnonzero(self.counts)

    def sum(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """``(n_segments,)``; 0 for an empty segment.

        A segment's sum never depends on its neighbours (no running total), so a candidate gets the same bits wherever it is.
        """
        out = np.zeros(len(self))
        if len(self._filled):
            out[self._filled] = np.add.reduceat(values, self.starts[self._filled], dtype=np.float64)
        return out

    def max(self, values: NDArray[Any], *, empty: float) -> NDArray[np.float64]:
        """``(n_segments,)``; ``empty`` for an empty segment."""
        out = np.full(len(self), empty)
        if len(self._filled):
            out[self._filled] = np.maximum.reduceat(values, self.starts[self._filled])
        return out

    def repeat(self, per_segment: NDArray[Any]) -> NDArray[Any]:
        """``(counts.sum(),)``: the value of its segment for each element."""
        return np.repeat(per_segment, self.counts)

    def select(self, mask: NDArray[np.bool_]) -> Segments:
        """The segments that are left of each row when only elements of ``mask`` are kept."""
        return Segments(self.sum(mask).astype(np.int64))

    def joined(self, other: Segments) -> tuple[Segments, NDArray[np.int64], NDArray[np.int64]]:
        """Rows of ``self``, each followed by the row of ``other``, and where the elements of either go in the result."""
        mine = np.arange(self.counts.sum()) + self.repeat(other.starts)
        others = np.arange(other.counts.sum()) + other.repeat(self.starts + self.counts)
        return Segments(self.counts + other.counts), mine, others
