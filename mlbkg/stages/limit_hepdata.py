"""The limits as a HEPData submission."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mlbkg.config.schema import Config
from mlbkg.physics.beams import BEAMS
from mlbkg.report.hepdata import Measured, limits_hepdata, write_submission
from mlbkg.report.limit_tables import LimitLine
from mlbkg.report.quantity import Quantity


def write_hepdata(config: Config, lines: Sequence[LimitLine], quantity: Quantity, folder: Path) -> tuple[Path, ...]:
    folder.mkdir(parents=True, exist_ok=True)
    sqrt_s = BEAMS[config.candidates.beams].sqrt_s if config.candidates else None
    measured = Measured(("E+ E- --> X",), sqrt_s, config.luminosity_per_fb)
    comment = f"{config.title or config.analysis}. {config.origin}."
    return write_submission(folder, (limits_hepdata(lines, quantity, measured),), measured, comment=comment)
