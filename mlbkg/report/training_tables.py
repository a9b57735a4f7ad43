"""Tables of what the fit to come makes of a training: cuts by their expected limit, and signals that are none."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mlbkg.fitting.fake_signal import FakeSignal
from mlbkg.limits.cut_scan import CutScan
from mlbkg.report.quantity import Quantity, Scale
from mlbkg.report.tables import Table, format_number, format_value_error


def cut_scan_table(scan: CutScan, *, name: str, quantity: Quantity) -> Table:
    """The cut with the smallest expected limit of classifier ``name``, beside those of other rules."""
    scale = quantity.scale([float(scan.optimised[scan.best])])
    best = "smallest expected limit" if scan.systematics else "smallest statistical limit"
    rows = tuple(_cut_row(rule, scan, index, scale) for rule, index in {best: scan.best, **scan.marks}.items())
    title = f"{name}: expected {100 * scan.confidence_level:g} % limit, {scale.label}"
    return Table(title, ("cut", "score >=", "signal eff.", "background", "statistical", "with systematics"), rows)


def fake_signal_table(faked: Mapping[str, FakeSignal]) -> Table:
    """Signal events that a fit finds where there are none, and how many standard deviations of data they would be."""
    rows = tuple(
        (
            name,
            format_number(found.background),
            format_value_error(found.events, found.error),
            f"{found.significance:+.1f}",
            format_number(found.expected_error),
        )
        for name, found in faked.items()
    )
    columns = ("classifier", "background", "signal found", "in errors", "error of data")
    return Table("Fit of signal and smooth background to simulated background alone", columns, rows)


def _cut_row(rule: str, scan: CutScan, index: int, scale: Scale) -> tuple[str, ...]:
    return (
        rule,
        f"{scan.threshold[index]:.6g}",
        f"{100 * scan.signal_efficiency[index]:.1f} %",
        format_number(float(scan.background[index] + scan.peaking[index])),
        _limit(scan.statistical_limit[index], scan.statistical_limit_error[index], scale),
        _limit(scan.expected_limit[index], scan.expected_limit_error[index], scale),
    )


def _limit(value: float, error: float, scale: Scale) -> str:
    return format_value_error(scale(value), scale(error)) if np.isfinite(value) else "not measured"
