"""A cut on the score that changes with the variable in which the signal is looked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ThresholdCurve:
    """``score >= threshold``, straight between ``at`` (rising values of ``variable``) and constant beyond."""

    variable: str
    at: tuple[float, ...]
    threshold: tuple[float, ...]

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> ThresholdCurve:
        """From its fields as JSON has them. Raises :class:`ValueError` unless each of rising values has a threshold."""
        at, threshold = tuple(map(float, plain["at"])), tuple(map(float, plain["threshold"]))
        if not at or len(at) != len(threshold) or not all(low < high for low, high in pairwise(at)):
            raise ValueError(f"a cut on '{plain['variable']}' needs a threshold for each of rising values")
        return cls(plain["variable"], at, threshold)

    @property
    def lowest(self) -> float:
        return min(self.threshold)

    @property
    def cut(self) -> str:
        """``"score >= t(m2Recoil)"``."""
        return f"score >= t({self.variable})"

    def __call__(self, values: Any) -> NDArray[np.float32]:
        """``(n,)`` thresholds of candidates with these ``values`` of the variable; NaN, so that nothing passes, for NaN."""
        return np.asarray(np.interp(values, self.at, self.threshold), dtype=np.float32)
