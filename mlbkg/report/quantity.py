"""A quantity as figures and tables write it: its symbol, its unit, and one power of ten for all its values."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from mlbkg.report.tables import format_number, format_value_error, ten_to

PLAIN_FROM, PLAIN_BELOW = 1e-2, 1e5


@dataclass(frozen=True)
class Scale:
    """Values as multiples of ``10^power``; ``label``: symbol, power and unit, as on an axis."""

    power: int
    label: str

    def __call__(self, value: float) -> float:
        return value / 10.0**self.power

    def text(self, value: float) -> str:
        """Three significant digits; "-" for what is not finite."""
        return format_number(self(value))

    def with_errors(self, value: float, *, up: float, down: float) -> str:
        """``"3.1  +1.2 −1.1"``, rounded as the smaller error tells; "-" for an error that is not known."""
        smaller = min((error for error in (up, down) if error > 0), default=math.nan)
        rounded = format_value_error(self(value), self(smaller)).partition(" ± ")[0]
        places = len(rounded.partition(".")[2])
        texts = [f"{self(error):,.{places}f}" if math.isfinite(error) else "-" for error in (up, down)]
        return f"{rounded}  +{texts[0]} −{texts[1]}"


@dataclass(frozen=True)
class Quantity:
    """``symbol``: such as "B(Υ(1S) → invisible)". ``unit``: "" where there is none."""

    symbol: str
    unit: str = ""

    def scale(self, values: Iterable[float]) -> Scale:
        """The power of ten of the largest of ``values``, or none where that reads well as it is."""
        largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
        power = 0 if largest == 0 or PLAIN_FROM <= largest < PLAIN_BELOW else math.floor(math.log10(largest))
        factors = " ".join([*([ten_to(power)] if power else []), *([self.unit] if self.unit else [])])
        return Scale(power, f"{self.symbol} [{factors}]" if factors else self.symbol)

    def text(self, value: float) -> str:
        """``"3.74 × 10⁻⁵"``, with the unit; at most three significant digits."""
        power = self.scale([value]).power
        number = f"{value / 10.0**power:.3g} × {ten_to(power)}" if power else format_number(value)
        return f"{number} {self.unit}".rstrip()
