"""A counting experiment, and the family of methods that turn a count into an interval of the signal.

The mean count is ``efficiency * signal + background``. The efficiency is relative to its best estimate, so that the signal
is in expected events as counted. Both may be uncertain: log-normal with medians 1 and ``background``, that is
``exp(uncertainty * z)`` times the median for a standard normal ``z``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mlbkg.errors import ConfigError
from mlbkg.registry import Registry

LARGEST_UNCERTAINTY = 5.0
FEWEST_TOYS = 100


@dataclass(frozen=True)
class Count:
    """What was counted, what is expected of background, and the relative uncertainties.

    Raises :class:`ConfigError` for what cannot be: fractions and negative numbers of events, negative uncertainties, an
    uncertainty that looks like a percentage, a relative uncertainty of no background.
    """

    observed: int
    background: float
    background_uncertainty: float = 0.0
    efficiency_uncertainty: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "observed", whole(self.observed, "the observed count"))
        not_negative(self.background, "the background")
        for name in ("background_uncertainty", "efficiency_uncertainty"):
            value, words = getattr(self, name), f"the {name.replace('_', ' ')}"
            not_negative(value, words)
            if value > LARGEST_UNCERTAINTY:
                raise ConfigError(
                    f"{words} is relative and at most {LARGEST_UNCERTAINTY:g}; got {value:g}", hint="Give 0.2 for 20 %."
                )
        if self.background == 0 and self.background_uncertainty > 0:
            raise ConfigError(
                f"a background of 0 has no relative uncertainty; got {self.background_uncertainty:g}",
                hint="Give the background that is expected, or no background uncertainty.",
            )

    @property
    def certain(self) -> bool:
        return self.background_uncertainty == 0 and self.efficiency_uncertainty == 0


@dataclass(frozen=True)
class CountingInterval:
    """``lower`` is 0 for methods that give upper limits. ``upper_error``: statistical, of toys; 0 without."""

    lower: float
    upper: float
    upper_error: float = 0.0


Compute = Callable[[Count, float], CountingInterval]
"""``(count, confidence_level)`` to the interval."""

ComputeByToys = Callable[[Count, float, int, np.random.Generator], CountingInterval]
"""``(count, confidence_level, toys, generator)`` to the interval."""


@dataclass(frozen=True)
class CountingMethod:
    """``by_toys``: None for methods that need no toy experiments."""

    name: str
    description: str
    compute: Compute
    by_toys: ComputeByToys | None = None


COUNTING: Registry[CountingMethod] = Registry("counting method", package="mlbkg.limits.counting_methods")


def counting_interval(
    count: Count, *, method: str, confidence_level: float, toys: int = 0, seed: int = 0
) -> CountingInterval:
    """Interval of the signal, in expected events. ``toys``: that many toy experiments instead of integrals.

    Raises :class:`ConfigError` for a method that does not exist or has no toys, too few of them, and a confidence level that
    is none; :class:`LimitError` where there is no answer.
    """
    chosen = COUNTING[method]
    check_confidence_level(confidence_level)
    if toys == 0:
        return chosen.compute(count, confidence_level)
    if chosen.by_toys is None:
        able = [name for name in COUNTING if COUNTING[name].by_toys]
        raise ConfigError(f"method '{method}' uses no toys; got {toys}", hint=f"Methods with toys: {', '.join(able)}")
    if toys < FEWEST_TOYS:
        raise ConfigError(f"at least {FEWEST_TOYS} toys are needed; got {toys}")
    return chosen.by_toys(count, confidence_level, toys, np.random.default_rng(seed))


def check_confidence_level(value: float) -> None:
    if not 0 < value < 1:
        hint = f"Give {value / 100:g} for {value:g} %." if 1 < value < 100 else "Give 0.9 for 90 %."
        raise ConfigError(f"the confidence level must lie between 0 and 1; got {value:g}", hint=hint)


def whole(value: float, words: str) -> int:
    """``value`` as an integer. Raises :class:`ConfigError` for fractions, negative and infinite numbers."""
    not_negative(value, words)
    if value != int(value):
        raise ConfigError(f"{words} must be a whole number of events; got {value:g}")
    return int(value)


def not_negative(value: float, words: str) -> None:
    if not 0 <= value < np.inf:
        raise ConfigError(f"{words} must be a number that is not negative; got {value:g}")


def positive(value: float, words: str) -> None:
    if not 0 < value < np.inf:
        raise ConfigError(f"{words} must be a number above 0; got {value:g}")
