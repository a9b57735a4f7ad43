"""Tables of a search over two masses, and of data sets that are combined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mlbkg.evaluation.estimates import Array
from mlbkg.limits.excesses import Excesses
from mlbkg.limits.hypotheses import Experiments, UpperLimits
from mlbkg.limits.look_elsewhere import p_value_of_excesses
from mlbkg.report.quantity import Quantity
from mlbkg.report.scan_tables import shown_rows
from mlbkg.report.tables import Table, format_number, format_p_value, format_value_error

MOST_CELLS = 20
FEWEST_CELLS = 5
EXPECTED = 2


def largest_excesses_table(experiments: Experiments, found: Excesses, masses: Sequence[Quantity]) -> Table:
    """All cells that count as an excess, and five at least, the largest first; how likely so many are without signal."""
    counted = experiments.observed
    assert counted is not None
    error = experiments.background * experiments.background_uncertainty
    number = min(MOST_CELLS, max(found.observed_above, FEWEST_CELLS))
    rows = tuple(
        (
            *(f"{mass:.4g}" for mass in experiments.masses[i]),
            f"{counted[i]:,}",
            format_value_error(float(experiments.background[i]), float(error[i])),
            f"{found.p_value[i]:.3g}",
            f"{found.z[i]:+.2f}",
        )
        for i in np.argsort(-found.z)[:number]
    )
    columns = (*(f"{mass.symbol} [{mass.unit}]" for mass in masses), "count", "background", "local p", "σ")
    as_many = p_value_of_excesses(found.observed_above, found.expected_above)
    title = (
        f"Largest excesses: {found.observed_above} of {len(experiments):,} cells above {found.above:g} σ, "
        f"{format_number(found.expected_above)} by chance, p value {format_p_value(as_many)}"
    )
    return Table(title, columns, rows)


def combination_table(
    masses: Array, alone: Mapping[str, UpperLimits], combined: UpperLimits, quantity: Quantity, axes: Sequence[Quantity]
) -> Table:
    """Observed limits, where there are any, and expected ones of each data set alone and of all together."""
    parts = {**alone, "combined": combined}
    columns = [f"{axis.symbol} [{axis.unit}]" for axis in axes]
    values: list[Array] = []
    for name, limits in parts.items():
        for kind, limit in (("observed", limits.observed), ("expected", limits.expected[EXPECTED])):
            if limit is not None:
                columns.append(f"{name} {kind}")
                values.append(limit)
    shown = shown_rows(len(masses))
    rows = tuple(
        (*(f"{mass:.4g}" for mass in masses[i]), *(format_number(float(limit[i])) for limit in values)) for i in shown
    )
    unit = f" [{quantity.unit}]" if quantity.unit else ""
    title = f"{100 * combined.confidence_level:g} % upper limits on {quantity.symbol}{unit}"
    return Table(title if len(shown) == len(masses) else f"{title}; {len(shown)} of {len(masses):,}", tuple(columns), rows)
