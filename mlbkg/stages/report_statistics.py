"""What fit, limit and study left in a run's folder, as sections of its report."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mlbkg.config.schema import Config
from mlbkg.fitting.study import StudyPoint
from mlbkg.report.html import Block, Fact, Folded, Paragraph
from mlbkg.report.limit_tables import (
    LimitLine,
    impacts_table,
    ingredients_table,
    limits_table,
    parameters_table,
    shapes_table,
    study_table,
    yields_table,
)
from mlbkg.report.tables import format_value_error
from mlbkg.stages.fit import FIT
from mlbkg.stages.fit_figures import DATA_NAMES
from mlbkg.stages.fit_prepared import DATA, Extracted
from mlbkg.stages.fit_settings import quantity_of
from mlbkg.stages.limit import ALL, LIMIT, Limits
from mlbkg.stages.peaking_tables import peaking_tables
from mlbkg.stages.report_scan import scan_limit_section
from mlbkg.stages.report_sections import Told, pictures, read_saved
from mlbkg.stages.study import STUDY

FIT_FIGURES = {
    "fit": "Fit of signal and backgrounds",
    "likelihood_scan": "Likelihood of the signal yield",
    "fit_correlations": "Correlations of the parameters",
}
LIMIT_FIGURES = {
    "limit_summary": "Upper limits beside published ones",
    "impacts": "Impact of the systematic uncertainties",
    "cls_scan": "CLs, asymptotic, over the quantity",
    "cls_toys_scan": "CLs, toys, over the quantity",
    "pyhf_scan": "CLs, pyhf, over the quantity",
}
STUDY_FIGURES = {"study": "Pulls and coverage over the injected signal"}


@dataclass(frozen=True)
class SavedStudy:
    """``study.json``. ``expected_limit``: what injected signals are counted in."""

    expected_limit: float
    points: tuple[StudyPoint, ...]


def fit_section(folder: Path, config: Config) -> Told:
    found = read_saved(Extracted, folder / FIT)
    fitted = DATA_NAMES[found.dataset]
    told = f"The {found.method} fit of {found.variable} to {fitted}"
    told += f", with {found.injected:g} signal candidates put in." if found.injected else "."
    blocks: list[Block] = [Paragraph(told), yields_table(found.result, found.goodness)]
    if found.dataset != DATA:
        blocks.append(Paragraph("What is expected has no fluctuations: its χ² is zero where the fit is right.", kind="note"))
    blocks.append(shapes_table({"signal": found.signal_goodness, "background": found.background_goodness}))
    tables, notes = peaking_tables(config, found.peaking)
    blocks += [*tables, *(Paragraph(note, kind="note") for note in notes), *pictures(folder / "figures", FIT_FIGURES)]
    blocks.append(Folded("Every parameter of the fit", (parameters_table(found.result),)))
    signal = found.result.yields[0]
    text = format_value_error(signal.value, signal.error)
    return Told(tuple(blocks), (Fact("Fitted signal", text, f"candidates in {fitted}"),))


def limit_section(folder: Path, config: Config) -> Told:
    if config.scan is not None:
        return scan_limit_section(folder, config)
    found = read_saved(Limits, folder / LIMIT)
    blocks: list[Block] = [limits_table(found.lines, found.published, found.quantity)]
    if found.discovery is not None:
        text = f"Significance of a signal: {found.discovery.significance:.2f} σ (p value {found.discovery.p_value:.3g})."
        blocks.append(Paragraph(text))
    if found.ingredients is not None:
        blocks.append(ingredients_table(found.ingredients, found.quantity))
    if found.impacts:
        blocks.append(impacts_table(found.impacts, found.quantity, expected=found.expected, without=found.without))
        blocks.append(Paragraph("Limit if known: change of the expected limit if the nuisance had no error.", kind="note"))
    return Told((*blocks, *pictures(folder / "figures", LIMIT_FIGURES)), tuple(_limit_facts(found)))


def study_section(folder: Path, config: Config) -> Told:
    found, quantity = read_saved(SavedStudy, folder / STUDY), quantity_of(config)
    told = f"Signals are injected in units of the expected limit, {quantity.text(found.expected_limit)}."
    return Told((Paragraph(told), study_table(found.points, quantity), *pictures(folder, STUDY_FIGURES)))


def _limit_facts(found: Limits) -> Iterable[Fact]:
    """Of the first method, with all uncertainties."""
    line: LimitLine = next(line for line in found.lines if line.uncertainties == ALL)
    limit, level = line.limit, f"{100 * found.confidence_level:g} % limit"
    about = f"on {found.quantity.symbol}; {line.method}, {line.uncertainties}"
    if limit.observed is not None:
        yield Fact(f"Observed {level}", found.quantity.text(limit.observed), about)
    if limit.expected is not None:
        yield Fact(f"Expected {level}", found.quantity.text(limit.expected.median), about)
