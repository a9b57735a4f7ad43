"""What the stages left in a run's folder, as sections of its report."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from mlbkg.config.schema import Config
from mlbkg.errors import MlbkgError
from mlbkg.evaluation.compared_cuts import CutComparison
from mlbkg.evaluation.estimates import from_plain
from mlbkg.evaluation.evaluate import Evaluation
from mlbkg.fitting.fake_signal import FakeSignal
from mlbkg.limits.cut_scan import CutScan
from mlbkg.report.html import Block, Fact, Folded, Paragraph, Picture
from mlbkg.report.tables import (
    Reference,
    Table,
    category_table,
    classifier_table,
    cutflow_table,
    format_auc,
    format_estimate,
    format_rejection,
    sculpting_table,
    working_point_table,
)
from mlbkg.report.training_tables import cut_scan_table, fake_signal_table
from mlbkg.samples.cuts import CutCount
from mlbkg.stages.select import CUTFLOW
from mlbkg.stages.training_files import EVALUATION
from mlbkg.stages.training_fit import simulated_quantity
from mlbkg.stages.training_mass_report import FIGURES as OVER_MASSES
from mlbkg.stages.training_mass_report import tables_over_masses
from mlbkg.stages.training_scan import OverMasses

T = TypeVar("T")

FIGURES = {
    "roc": "Background rejection against signal efficiency",
    "background_efficiency": "Background efficiency by category",
    "cut_scan": "Expected limit over the score cut",
    **OVER_MASSES,
    "calibration": "Calibration: share of signal against score",
    "learning_curves": "Learning curves",
    "scores": "Out-of-fold scores",
    "roc_categories": "Background efficiency by category over signal efficiency",
    "overtraining": "Scores by models that saw the event and that did not",
    "sculpting": "Background shape before and after the working point",
    "importance": "Importance of the features",
    "correlations": "Linear correlations",
    "punzi": "Punzi's figure of merit over the cut",
    "features": "Distributions of the features",
}
"""Beginning of a file's name -> what the figure shows; in this order."""


@dataclass(frozen=True)
class Told:
    """What a stage has to say: its section, and what of it is read first."""

    blocks: tuple[Block, ...]
    facts: tuple[Fact, ...] = ()


@dataclass(frozen=True)
class SavedTraining:
    """``evaluation.json`` of a training."""

    champion: str
    classifiers: tuple[Evaluation, ...]
    comparison: Evaluation | None
    cut_scans: Mapping[str, CutScan]
    fake_signal: Mapping[str, FakeSignal]
    masses: Mapping[str, OverMasses]
    compared_cuts: CutComparison | None

    @property
    def best(self) -> Evaluation:
        return next(found for found in self.classifiers if found.name == self.champion)


def training_section(folder: Path, config: Config) -> Told:
    saved = read_saved(SavedTraining, folder / EVALUATION)
    best, reference = saved.best, config.evaluation.reference
    side_by_side = {found.name: found for found in (*saved.classifiers, *([saved.comparison] if saved.comparison else []))}
    beside = Reference(reference.name, reference.signal_efficiency, reference.background_rejection) if reference else None
    tables: list[Block] = [
        classifier_table(
            side_by_side, reference=beside, punzi_fb={name: found.punzi_fb for name, found in saved.masses.items()}
        ),
        category_table(best),
        working_point_table(best),
    ]
    if best.name in saved.cut_scans:
        tables.append(cut_scan_table(saved.cut_scans[best.name], name=best.name, quantity=simulated_quantity(config)[0]))
    if best.sculpting:
        tables.append(sculpting_table(best, comparison=saved.comparison))
    if saved.fake_signal:
        tables.append(fake_signal_table(saved.fake_signal))
    tables += tables_over_masses(saved.masses, saved.compared_cuts, best=best.name, config=config)
    others = [found.name for found in saved.classifiers if found.name != best.name]
    return Told((*tables, *_training_pictures(folder / "figures", best.name, others)), _training_facts(best))


def selection_section(folder: Path, config: Config) -> Told:
    found = _read(folder / CUTFLOW)
    counts = from_plain(tuple[CutCount, ...], found["cutflow"])
    by_category = from_plain(tuple[CutCount, ...], found["categories"])
    blocks: list[Block] = [
        cutflow_table("Candidates after each cut, by category", by_category),
        *([Folded("By sample", (cutflow_table("", counts),))] if counts != by_category else []),
        Paragraph(
            f"{found['candidates_selected']:,} of {found['candidates_read']:,} candidates score at least "
            f"{_least(found['threshold'])}; model {found['model']}.",
            kind="note",
        ),
    ]
    if found["failed"]:
        rows = tuple((failed["path"], failed["error"]) for failed in found["failed"])
        blocks.append(Table("Files that could not be read", ("file", "error"), rows))
    return Told(tuple(blocks))


def _least(threshold: float | Mapping[str, Any]) -> str:
    """The score at a working point: a number, or the curve in the scanned variable."""
    return f"t({threshold['variable']})" if isinstance(threshold, Mapping) else f"{threshold:.6g}"


def pictures(folder: Path, titles: Mapping[str, str]) -> tuple[Picture, ...]:
    """The PNG files of ``folder`` that ``titles`` knows by the beginning of their name, in its order, then the others."""
    found = {path.stem: path for path in sorted(folder.glob("*.png"))}
    order = list(titles)
    ranked = sorted(found, key=lambda stem: (order.index(kind) if (kind := _kind(stem, titles)) else len(order), stem))
    return tuple(Picture(_title(stem, titles), found[stem].read_bytes()) for stem in ranked)


def read_saved(kind: type[T], path: Path) -> T:
    """Raises :class:`MlbkgError` where another version of the program wrote the file."""
    try:
        saved: T = from_plain(kind, _read(path))
    except (KeyError, TypeError, ValueError) as error:
        raise MlbkgError(
            f"{path} was not written by this version of mlbkg: {type(error).__name__}: {error}",
            where=str(path),
            hint=f"Make it again: mlbkg {path.parent.name.partition('-')[2]} CONFIG",
        ) from error
    return saved


def _training_facts(best: Evaluation) -> tuple[Fact, ...]:
    ranking, point = best.ranking, best.working_point
    share = f"at {100 * ranking.signal_efficiency:.1f} % signal efficiency"
    return (
        Fact("Best classifier", best.name, f"AUC {format_auc(ranking.auc)}, out of fold"),
        Fact("Background rejection", format_rejection(ranking.background_rejection, ranking.background_efficiency), share),
        Fact("Background events left", format_estimate(point.background_yield), f"working point by {point.rule}"),
    )


def _training_pictures(folder: Path, best: str, others: Sequence[str]) -> Iterable[Block]:
    """The comparison and the champion open, the other classifiers and the features folded."""
    shown = pictures(folder, FIGURES)
    for_one = {name: [picture for picture in shown if picture.title.endswith(f": {_file_name(name)}")] for name in others}
    folded = [picture for found in for_one.values() for picture in found]
    features = [picture for picture in shown if picture.title.startswith(FIGURES["features"])]
    yield from (picture for picture in shown if picture not in folded and picture not in features)
    for name, found in for_one.items():
        if found:
            yield Folded(f"Figures of {name}", tuple(found))
    if features:
        yield Folded(FIGURES["features"], tuple(features))


def _title(stem: str, titles: Mapping[str, str]) -> str:
    """``"Out-of-fold scores: xgboost"`` for ``scores_xgboost``."""
    kind = _kind(stem, titles)
    if kind is None:
        return stem
    rest = stem[len(kind) + 1 :]
    return f"{titles[kind]}: {rest}" if rest else titles[kind]


def _kind(stem: str, titles: Mapping[str, str]) -> str | None:
    """The longest beginning that is known: ``roc_categories`` rather than ``roc``."""
    known = [kind for kind in titles if stem == kind or stem.startswith(f"{kind}_")]
    return max(known, key=len, default=None)


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name)


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
