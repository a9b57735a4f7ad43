"""Figures and tables of what classifiers reach over the masses of a scan, with the names that the config has for them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mlbkg.config.schema import Config
from mlbkg.evaluation.compared_cuts import CutComparison
from mlbkg.report.mass_scan_figures import (
    draw_classifiers_over_masses,
    draw_cut_comparison,
    draw_mass_sensitivity,
    draw_mean_punzi,
    draw_threshold_curve,
)
from mlbkg.report.mass_scan_tables import cut_comparison_table, mass_classifier_table, search_table
from mlbkg.report.quantity import Quantity
from mlbkg.report.style import Caption
from mlbkg.report.tables import Table
from mlbkg.stages.training_scan import OverMasses

FIGURES = {
    "mass_sensitivity": "Cross section that a discovery needs, mass by mass",
    "mean_punzi": "Cross section that a discovery needs, mean over the masses",
    "threshold_curve": "Score cut over the scanned variable",
    "mass_classifiers": "Classifiers, mass by mass",
    "cut_comparison": "Background left by the classifier and by cuts, mass by mass",
}
"""File's name -> what the figure shows."""


def draw_over_masses(
    masses: Mapping[str, OverMasses],
    cuts: CutComparison | None,
    folder: Path,
    *,
    best: str,
    config: Config,
    units: Mapping[str, str],
    caption: Caption,
) -> dict[str, Path]:
    """PNG files of the champion ``best`` and of all classifiers beside each other; none without a scan."""
    if best not in masses:
        return {}
    found, symbols, files = masses[best], _symbols(config), {name: folder / f"{name}.png" for name in FIGURES}
    drawn = []
    if found.one_cut is not None:
        drawn.append(draw_mean_punzi(found.one_cut, files["mean_punzi"], caption=caption, name=best, masses=symbols))
    scans = {name: each.per_window for name, each in masses.items() if each.per_window is not None}
    if best in scans:
        scan, mass = scans[best], symbols[0]
        variable = Quantity(scan.variable, units.get(scan.variable, ""))
        drawn += [
            draw_mass_sensitivity(scan, files["mass_sensitivity"], caption=caption, name=best, mass=mass, comparison=cuts),
            draw_threshold_curve(scan, files["threshold_curve"], caption=caption, name=best, variable=variable),
            draw_classifiers_over_masses(scans, files["mass_classifiers"], caption=caption, mass=mass),
        ]
    if cuts is not None:
        drawn.append(draw_cut_comparison(cuts, files["cut_comparison"], caption=caption, name=best, mass=symbols[0]))
    return {path.stem: path for path in drawn}


def tables_over_masses(
    masses: Mapping[str, OverMasses], cuts: CutComparison | None, *, best: str, config: Config
) -> tuple[Table, ...]:
    """None without a scan."""
    if best not in masses:
        return ()
    found, symbols = masses[best], _symbols(config)
    scans = {name: each.per_window for name, each in masses.items() if each.per_window is not None}
    return (
        *([mass_classifier_table(scans)] if scans else []),
        search_table(found.masses, found.points, name=best, symbols=symbols),
        *([cut_comparison_table(cuts, name=best, symbol=symbols[0])] if cuts else []),
    )


def _symbols(config: Config) -> tuple[Quantity, ...]:
    assert config.scan is not None
    return tuple(Quantity(axis.symbol, "GeV") for axis in config.scan.axes)
