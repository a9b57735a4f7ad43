"""What a search for hyper-parameters found, as text for a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlbkg.cli.show import folded, joined

if TYPE_CHECKING:
    from mlbkg.report.tuning_result import TuningTold


def tune_text(told: TuningTold, *, tuned_config: Path) -> str:
    """``tuned_config``: the config with the winner, beside which the figures lie."""
    from mlbkg.report.tuning_tables import result_text, search_text, winner_yaml

    lines = [
        "The winner, to be written below training.classifiers:",
        folded(winner_yaml(told.searches[0].contestants[0])),
        "",
        f"figures  {tuned_config.parent / 'figures'}",
        f"config   {tuned_config}",
    ]
    return "\n\n".join([joined([*search_text(told), *result_text(told)]), "\n".join(lines)])
