"""The peaking background mode by mode, beside what others published."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from mlbkg.fitting.peaking import PeakingPrediction, PeakingYield
from mlbkg.report.tables import Table, format_number, format_value_error


@dataclass(frozen=True)
class PublishedYields:
    """Another's candidates per mode and, where it states one, its total. ``note``: what of it can be compared."""

    name: str
    yields: Mapping[str, float]
    total: float | None = None
    total_error: float | None = None
    note: str = ""

    def ratio(self, mode: str, to: str) -> tuple[float, float] | None:
        """Of two modes, with Poisson errors; None unless both have candidates."""
        above, below = self.yields.get(mode, 0.0), self.yields.get(to, 0.0)
        if not above or not below:
            return None
        return above / below, above / below * math.sqrt(1.0 / above + 1.0 / below)


def peaking_table(
    prediction: PeakingPrediction, *, labels: Mapping[str, str], published: PublishedYields | None = None
) -> Table:
    """One line per mode and one for all; statistical error first, then systematic.

    ``labels``: mode -> what it is called here; by default its name.
    """
    rows = [
        (
            labels.get(mode.name, mode.name),
            f"{mode.lost.candidates:,}",
            "all" if mode.tied else format_number(mode.control),
            format_value_error(mode.ratio, mode.ratio_error),
            format_yield(mode.predicted),
            format_value_error(mode.lost.total, mode.lost.error),
            *_published(published, mode.name),
        )
        for mode in prediction.modes
    ]
    simulated = [(mode.lost.total, mode.lost.error) for mode in prediction.modes]
    truth = format_value_error(math.fsum(v for v, _ in simulated), math.hypot(*(e for _, e in simulated)))
    rows.append(
        (
            "all",
            f"{sum(mode.lost.candidates for mode in prediction.modes):,}",
            format_number(math.fsum(mode.control for mode in prediction.modes if not mode.tied)),
            "-",
            format_yield(prediction.total),
            truth,
            *([format_number(math.fsum(published.yields.values()))] if published else []),
        )
    )
    origin = "data" if prediction.from_data else "simulation"
    title = f"Peaking background: candidates of the control samples (in {origin}) × lost / seen (in simulation)"
    columns = ("mode", "lost, simulated", f"seen in {origin}", "lost / seen", "predicted ± stat. ± syst.", "simulated")
    return Table(title, (*columns, *([published.name] if published else [])), tuple(rows))


def peaking_ratios_table(prediction: PeakingPrediction, *, labels: Mapping[str, str], published: PublishedYields) -> Table:
    """Every mode relative to the first: the luminosity cancels, so these compare where yields do not."""
    first, *others = (mode.name for mode in prediction.modes)
    rows = []
    for name in others:
        here, there = prediction.ratio(name, first), published.ratio(name, first)
        difference = (here[0] - there[0]) / math.hypot(here[1], there[1]) if there else math.nan
        rows.append(
            (
                f"{labels.get(name, name)} / {labels.get(first, first)}",
                format_value_error(*here),
                format_value_error(*there) if there else "-",
                f"{difference:+.1f} σ" if there else "-",
            )
        )
    return Table("Ratios of the modes", ("ratio", "here", published.name, "difference"), tuple(rows))


def peaking_notes(published: PublishedYields) -> tuple[str, ...]:
    """What can be compared with ``published`` and what cannot, in sentences."""
    notes = ["In ratios of the modes luminosity cancels; yields compare only at equal luminosity and selection."]
    if published.total is not None and published.total_error is not None:
        root = math.sqrt(published.total)
        closes = abs(published.total_error / root - 1.0) < 1e-3
        notes.append(
            f"{published.name} states {published.total:,.0f} ± {published.total_error:g}, "
            + (f"which is N ± √N (√N = {root:.3f})." if closes else f"which is not N ± √N (√N = {root:.3f}).")
        )
    return (*notes, published.note) if published.note else tuple(notes)


def effects_table(prediction: PeakingPrediction) -> Table:
    """What each nuisance parameter does to all modes together, the largest first."""
    ranked = sorted(prediction.effects.items(), key=lambda item: -abs(item[1]))
    rows = tuple((name, f"{100 * effect:+.2f} %") for name, effect in ranked)
    return Table("Uncertainties of the peaking background", ("source", "effect"), rows)


def format_yield(value: PeakingYield) -> str:
    """``"49,000 ± 1,600 ± 1,900"``: statistical, systematic; two digits of the smaller error that is not zero."""
    errors = [error for error in (value.statistical, value.systematic) if error > 0]
    digits = 1 - math.floor(math.log10(min(errors))) if errors else 1
    rounded = (round(number, digits) for number in (value.value, value.statistical, value.systematic))
    return " ± ".join(f"{number:,.{max(digits, 0)}f}" for number in rounded)


def _published(published: PublishedYields | None, mode: str) -> tuple[str, ...]:
    if published is None:
        return ()
    return (format_number(published.yields[mode]) if mode in published.yields else "-",)
