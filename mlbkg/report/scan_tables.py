"""Tables of a search over masses: the hypotheses, what was found, and limits beside published ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from mlbkg.evaluation.estimates import Array
from mlbkg.limits.excesses import Excesses
from mlbkg.limits.hypotheses import Experiments
from mlbkg.report.quantity import Quantity
from mlbkg.report.tables import Table, format_number, format_value_error

METHODS = {"cls": "frequentist (CLs)", "bayesian": "Bayesian"}
SHORT = {"cls": "CLs", "bayesian": "Bayes"}
MOST_ROWS = 36
"""Of more hypotheses, only some are printed; the files hold all."""


class MethodLimits(Protocol):
    """Of one method, on anything: observed ``(n,)`` or None, expected ``(5, n)`` from -2 to +2 standard deviations."""

    @property
    def method(self) -> str: ...
    @property
    def observed(self) -> Array | None: ...
    @property
    def expected(self) -> Array: ...


def hypotheses_table(
    experiments: Experiments, found: Excesses | None, masses: Sequence[Quantity], *, spurious: Array | None = None
) -> Table:
    """Window by window: efficiency, background with all its uncertainties, count and local significance; of local fits, the
    ``spurious`` signal in the simulated background, too."""
    shown = shown_rows(len(experiments), must=() if found is None else (found.largest,))
    error = experiments.background * experiments.background_uncertainty
    rows = []
    for i in shown:
        cells = [f"{mass:.4g}" for mass in experiments.masses[i]]
        cells += [
            format_value_error(100 * experiments.efficiency[i], 100 * experiments.efficiency_error[i]),
            format_value_error(experiments.background[i], error[i]),
        ]
        if experiments.observed is not None:
            cells.append(f"{experiments.observed[i]:,}")
        if found is not None:
            cells += [f"{found.p_value[i]:.3g}", f"{found.z[i]:+.2f}" if np.isfinite(found.z[i]) else "-"]
        if spurious is not None:
            cells.append(f"{spurious[i]:+.2f}")
        rows.append(tuple(cells))
    columns = [
        *(f"{mass.symbol} [{mass.unit}]" for mass in masses),
        "efficiency [%]",
        "background",
        *(["count"] if experiments.observed is not None else []),
        *(["local p", "σ"] if found is not None else []),
        *(["spurious σ"] if spurious is not None else []),
    ]
    return Table(_title("Hypotheses", len(shown), len(experiments)), tuple(columns), tuple(rows))


def excess_table(found: Excesses, experiments: Experiments, masses: Sequence[Quantity]) -> Table:
    """The largest excess, local and global, and how many there are."""
    best = found.largest
    place = ", ".join(
        f"{mass.symbol} = {value:.4g} {mass.unit}" for mass, value in zip(masses, experiments.masses[best], strict=True)
    )
    rows = [
        ("largest excess", place),
        ("local p value", f"{found.p_value[best]:.3g}, {found.z[best]:.2f} σ"),
        (f"global p value, {found.toys:,} toys", _global(found)),
    ]
    if found.gross_vitells is not None:
        rows.append(("… at most, by Gross and Vitells", f"{found.gross_vitells:.3g}"))
    rows += [
        (f"hypotheses above {found.above:g} σ", f"{found.observed_above}"),
        ("… expected by chance", format_number(found.expected_above)),
    ]
    return Table("Largest excess", ("quantity", "value"), tuple(rows))


def scan_limits_table(
    masses: Array,
    limits: Sequence[MethodLimits],
    quantity: Quantity,
    axes: Sequence[Quantity],
    *,
    confidence_level: float,
) -> Table:
    """Observed and expected limits by every method, ``masses`` ``(n, n_axes)``."""
    shown = shown_rows(len(masses))
    columns = [f"{axis.symbol} [{axis.unit}]" for axis in axes]
    cells: list[list[str]] = [[f"{mass:.4g}" for mass in masses[i]] for i in shown]
    for found in limits:
        columns += [f"{SHORT.get(found.method, found.method)} {name}" for name, _ in _columns(found)]
        for row, i in zip(cells, shown, strict=True):
            row += [format_number(float(values[i])) for _, values in _columns(found)]
    unit = f" [{quantity.unit}]" if quantity.unit else ""
    title = _title(f"{100 * confidence_level:g} % upper limits on {quantity.symbol}{unit}", len(shown), len(masses))
    return Table(title, tuple(columns), tuple(tuple(row) for row in cells))


def beside_table(
    masses: Array, expected: Mapping[str, Array], published: Array, mass: Quantity, *, name: str, symbol: str
) -> Table:
    """Expected limits by method and the ``published`` ones, ``(n,)`` each, NaN where there are none, and their ratio."""
    known = np.flatnonzero(np.isfinite(published))
    shown = known[shown_rows(len(known))]
    rows = tuple(
        (
            f"{masses[i]:.4g}",
            format_number(float(published[i])),
            *(cell for values in expected.values() for cell in _against(float(values[i]), float(published[i]))),
        )
        for i in shown
    )
    told = [cell for method in expected for cell in (f"{METHODS.get(method, method)}, expected", "ratio")]
    title = _title(f"Expected limits on {symbol} beside {name}", len(shown), len(known))
    return Table(title, (f"{mass.symbol} [{mass.unit}]", "published", *told), rows)


def shown_rows(number: int, *, must: Sequence[int] = ()) -> list[int]:
    """At most ``MOST_ROWS``, evenly chosen with both ends, and those that ``must`` be there."""
    spread = np.linspace(0, number - 1, min(number, MOST_ROWS)).round().astype(int)
    return sorted({*spread.tolist(), *must})


def _global(found: Excesses) -> str:
    """With the interval that the number of toys leaves."""
    return f"{found.global_p:.3g} ({found.global_p_low:.2g} to {found.global_p_high:.2g}), {found.global_z:+.2f} σ"


def _columns(found: MethodLimits) -> list[tuple[str, Array]]:
    observed = [] if found.observed is None else [("observed", found.observed)]
    return [*observed, *zip(("−1σ", "expected", "+1σ"), found.expected[1:4], strict=True)]


def _against(expected: float, published: float) -> tuple[str, str]:
    return format_number(expected), f"{expected / published:.2f}"


def _title(text: str, shown: int, all_: int) -> str:
    return text if shown == all_ else f"{text}; {shown} of {all_}"
