"""The tables of the peaking background, with what the config says of its modes and of others' results."""

from __future__ import annotations

from mlbkg.config.schema import Config
from mlbkg.fitting.peaking import PeakingPrediction
from mlbkg.report.peaking_table import (
    PublishedYields,
    effects_table,
    peaking_notes,
    peaking_ratios_table,
    peaking_table,
)
from mlbkg.report.tables import Table


def peaking_tables(config: Config, prediction: PeakingPrediction | None) -> tuple[tuple[Table, ...], tuple[str, ...]]:
    """Tables and the notes below them; nothing without a prediction from a control sample."""
    control = config.fit.peaking.control if config.fit and config.fit.peaking else None
    if prediction is None or control is None:
        return (), ()
    labels = {mode.name: mode.label or mode.name for mode in control.modes}
    told = control.reference
    published = PublishedYields(told.name, told.yields, told.total, told.total_error, told.note) if told else None
    tables = [peaking_table(prediction, labels=labels, published=published)]
    if published is not None:
        tables.append(peaking_ratios_table(prediction, labels=labels, published=published))
    tables.append(effects_table(prediction))
    return tuple(tables), peaking_notes(published) if published else ()
