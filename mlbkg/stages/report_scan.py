"""What scan and limit of a search over masses left in a run's folder, as sections of its report."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mlbkg.config.schema import Config
from mlbkg.report.html import Block, Fact, Folded, Paragraph
from mlbkg.report.scan_tables import METHODS
from mlbkg.report.tables import format_number
from mlbkg.stages.limit_scan import LIMIT, ScanLimits
from mlbkg.stages.report_sections import Told, pictures, read_saved
from mlbkg.stages.scan import EXPERIMENTS
from mlbkg.stages.scan_searched import Searched
from mlbkg.stages.scan_told import DATASETS, limit_tables, search_tables

SCAN_FIGURES = {
    "spectrum": "What is selected, and the windows of the hypotheses",
    "expectation": "Background and efficiency in the window of each hypothesis",
    "local_p": "Local p values",
    "counts": "Candidates in the cells of the plane",
    "significance": "Local significances",
}
LIMIT_FIGURES = {
    "cross_section_limits": "Upper limits on the cross section",
    "cross_section_map": "Upper limits on the cross section",
    "cross_section_projections": "Upper limits on the cross section, one mass fixed",
}


def scan_section(folder: Path, config: Config) -> Told:
    found = read_saved(Searched, folder / EXPERIMENTS)
    every, *excesses = search_tables(found, config)
    blocks: tuple[Block, ...] = (
        Paragraph(DATASETS[found.dataset], kind="note"),
        *excesses,
        *pictures(folder / "figures", SCAN_FIGURES),
        Folded("Hypotheses", (every,)),
    )
    return Told(blocks, tuple(_scan_facts(found)))


def scan_limit_section(folder: Path, config: Config) -> Told:
    found = read_saved(ScanLimits, folder / LIMIT)
    first, *others = limit_tables(found, config)
    blocks: tuple[Block, ...] = (
        Paragraph(DATASETS[found.searched.dataset], kind="note"),
        *pictures(folder / "figures", {**LIMIT_FIGURES, **_coupling_figures(found)}),
        first,
        Folded("Limits on couplings, and beside published ones", tuple(others)),
    )
    return Told(blocks, tuple(_limit_facts(found)))


def _coupling_figures(found: ScanLimits) -> dict[str, str]:
    """Beginnings of names, as :mod:`mlbkg.stages.limit_scan_figures` gives them, and titles."""
    titles: dict[str, str] = {}
    for limit in found.couplings:
        titles |= {
            f"{limit.name}_expected": f"Expected limits on {limit.symbol}, all methods",
            f"{limit.name}_limits_{limit.method}": f"Upper limits on {limit.symbol}, {METHODS[limit.method]}",
            f"{limit.name}_map": f"Upper limits on {limit.symbol}",
            f"{limit.name}_projections": f"Upper limits on {limit.symbol}, one mass fixed",
        }
    return titles


def _scan_facts(found: Searched) -> Iterator[Fact]:
    if found.excesses is not None:
        excess = found.excesses
        place = ", ".join(f"{value:.4g} GeV" for value in found.masses(excess.largest).values())
        told = f"local, at {place}, in {found.dataset}; p value anywhere {excess.global_p:.2g}"
        yield Fact("Largest excess", f"{excess.z[excess.largest]:.2f} σ", told)


def _limit_facts(found: ScanLimits) -> Iterator[Fact]:
    """The range of the first method's median limits."""
    first = found.limits[0]
    finite = first.expected[2][np.isfinite(first.expected[2])]
    text = f"{format_number(float(finite.min()))} to {format_number(float(finite.max()))} {found.quantity.unit}"
    yield Fact(f"Expected {100 * found.confidence_level:g} % limits", text, f"on {found.quantity.symbol}; {first.method}")
