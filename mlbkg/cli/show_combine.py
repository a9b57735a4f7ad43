"""What a combination found, as text for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlbkg.cli.show import folded, terminal_width

if TYPE_CHECKING:
    from mlbkg.stages.combine import CombineResult


def combine_text(result: CombineResult) -> str:
    from mlbkg.report.plane_tables import combination_table
    from mlbkg.report.quantity import Quantity
    from mlbkg.stages.scan_figures import mass_quantity

    found, scan = result.combined, result.config.scan
    assert scan is not None
    sets = [
        f"{one.name}: {one.luminosity_per_fb:g} fb⁻¹ at {one.sqrt_s:.4f} GeV, {_counted(one.dataset)}" for one in found.alone
    ]
    table = combination_table(
        found.experiments.masses,
        {one.name: one.limits for one in found.alone},
        found.combined,
        Quantity(found.symbol),
        [mass_quantity(axis) for axis in scan.axes],
    )
    parts = ["\n".join(sets), folded(f"Assumed: {found.assumption}."), table.text(terminal_width())]
    return "\n\n".join([*parts, f"figures  {result.figures[0].parent}\nrun      {result.run.path}"])


def _counted(dataset: str) -> str:
    return "expected only" if dataset == "none" else dataset
