"""``mlbkg limit-counting``: the limit of one counting experiment, without a config."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from mlbkg.limits.counting import Count, CountingInterval, counting_interval, whole
from mlbkg.limits.counting_expected import expected_band
from mlbkg.limits.result import Band


@dataclass(frozen=True)
class CountingLimit:
    """Interval of the signal in expected events; ``expected``: of its upper end without signal, None where not asked for."""

    count: Count
    method: str
    confidence_level: float
    interval: CountingInterval
    expected: Band | None
    toys: int

    def to_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "upper_limit": self.interval.upper,
            "lower_limit": self.interval.lower,
            "method": self.method,
            "confidence_level": self.confidence_level,
            **asdict(self.count),
        }
        if self.toys:
            found |= {"toys": self.toys, "upper_limit_error": self.interval.upper_error}
        if self.expected is not None:
            found["expected"] = asdict(self.expected)
        return found


def limit_counting(
    observed: float,
    background: float,
    *,
    confidence_level: float,
    method: str,
    background_uncertainty: float = 0.0,
    efficiency_uncertainty: float = 0.0,
    expected: bool = False,
    toys: int = 0,
    seed: int = 0,
) -> CountingLimit:
    """Limit on the signal, given a count. Uncertainties are relative and log-normal.

    Raises :class:`~mlbkg.errors.ConfigError` for numbers that cannot be, and :class:`~mlbkg.errors.LimitError` where there
    is no answer.
    """
    count = Count(whole(observed, "the observed count"), background, background_uncertainty, efficiency_uncertainty)
    interval = counting_interval(count, method=method, confidence_level=confidence_level, toys=toys, seed=seed)
    band = None
    if expected:
        band = expected_band(count, method=method, confidence_level=confidence_level, toys=toys, seed=seed)
    return CountingLimit(count, method, confidence_level, interval, band, toys)
