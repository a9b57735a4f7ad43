"""Results as a HEPData submission."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mlbkg.config.schema import Config
from mlbkg.physics.beams import BEAMS
from mlbkg.report.hepdata import HepDataTable, Measured, write_submission


def measured_of(config: Config) -> Measured:
    """What every table of the analysis is about."""
    sqrt_s = float(BEAMS[config.candidates.beams].sqrt_s) if config.candidates else None
    return Measured(config.limit.reactions, sqrt_s, config.luminosity_per_fb)


def write_hepdata(config: Config, tables: Sequence[HepDataTable], folder: Path) -> tuple[Path, ...]:
    folder.mkdir(parents=True, exist_ok=True)
    comment = f"{config.title or config.analysis}. {config.origin}."
    return write_submission(folder, tables, measured_of(config), comment=comment)
