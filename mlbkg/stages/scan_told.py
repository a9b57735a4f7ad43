"""What a search over masses found, as tables and sentences for terminal and report."""

from __future__ import annotations

from collections.abc import Iterator

from mlbkg.config.schema import Config
from mlbkg.report.plane_tables import largest_excesses_table
from mlbkg.report.quantity import Quantity
from mlbkg.report.scan_tables import beside_table, excess_table, hypotheses_table, scan_limits_table
from mlbkg.report.tables import Table
from mlbkg.stages.limit_scan import ScanLimits
from mlbkg.stages.scan_figures import mass_quantity
from mlbkg.stages.scan_searched import Searched

DATASETS = {
    "data": "Counted in data.",
    "pseudo-data": "No data: counts are pseudo-data, drawn from the simulated background and what scan.pseudo_data injects.",
    "none": "No data: only what is expected. Give data, or scan.pseudo_data, to have counts.",
}


def search_tables(found: Searched, config: Config) -> list[Table]:
    """The hypotheses, then the excesses where there are counts."""
    masses = _masses(config)
    tables = [hypotheses_table(found.experiments, found.excesses, masses, spurious=found.spurious)]
    if found.excesses is not None:
        tables.append(excess_table(found.excesses, found.experiments, masses))
        if len(masses) > 1:
            tables.append(largest_excesses_table(found.experiments, found.excesses, masses))
    return tables


def limit_tables(found: ScanLimits, config: Config) -> list[Table]:
    """Limits on the cross section and on every coupling, then their ratios to published ones."""
    axes, masses, level = _masses(config), found.searched.experiments.masses, found.confidence_level
    tables = [scan_limits_table(masses, found.limits, found.quantity, axes, confidence_level=level)]
    for name in dict.fromkeys(limit.name for limit in found.couplings):
        of_name = [limit for limit in found.couplings if limit.name == name]
        quantity = Quantity(f"{of_name[0].symbol}, {of_name[0].assumption}")
        tables.append(scan_limits_table(masses, of_name, quantity, axes, confidence_level=level))
    return [*tables, *_beside(found, axes[0])]


def _beside(found: ScanLimits, mass: Quantity) -> Iterator[Table]:
    masses = found.searched.experiments.masses[:, 0]
    for other in found.published:
        of_coupling = [limit for limit in found.couplings if limit.name == other.coupling]
        expected = {limit.method: limit.expected[2] for limit in of_coupling}
        name = f"{other.name}, {other.kind}"
        yield beside_table(masses, expected, other.at, mass, name=name, symbol=of_coupling[0].symbol)


def _masses(config: Config) -> list[Quantity]:
    assert config.scan is not None
    return [mass_quantity(axis) for axis in config.scan.axes]
