"""The page of ``mlbkg compare --html``: tables of the runs, and the curves of their champions in one figure."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mlbkg.atomic import atomic_write
from mlbkg.evaluation.distributions import Distribution
from mlbkg.evaluation.estimates import Efficiency, Estimate, from_plain
from mlbkg.evaluation.metrics import Roc
from mlbkg.report.compared_figures import MOST_RUNS, ComparedCurves, draw_compared_roc, draw_compared_scores
from mlbkg.report.compared_metrics import champions, known
from mlbkg.report.compared_runs import ComparedRun, Difference, Differences, count_of, listed, sign_of
from mlbkg.report.compared_tables import (
    differences_table,
    everything_table,
    identities_table,
    matrix_table,
    only_in_some,
    parameter_tables,
    runs_table,
)
from mlbkg.report.html import Block, Folded, Page, Paragraph, Picture, Section, render
from mlbkg.report.style import Caption
from mlbkg.stages.compare_choice import Chosen
from mlbkg.stages.progress import Progress
from mlbkg.stages.training_files import EVALUATION
from mlbkg.stages.training_log import FOLDERS
from mlbkg.tracking.query import TrackingStore

MOST_METRICS = 6
"""That fit on the page."""
BY_EVENT = (
    "Over events: the difference of the champions' AUC on these events, with the error of DeLong, DeLong and Clarke-Pearson "
    "(Biometrics 44 (1988) 837), candidates of one event together. It tells whether these models differ on others, too."
)
BY_FOLD = (
    "Over folds: the mean difference over the folds, by the corrected resampled t-test of Nadeau and Bengio (Machine "
    "Learning 52 (2003) 239), which knows that trainings share events. It tells whether these recipes would differ if they "
    "were trained on other events."
)


def write_page(
    chosen: Chosen,
    differences: Differences,
    store: TrackingStore,
    path: Path,
    *,
    experiment: str,
    uri: str,
    progress: Progress,
) -> tuple[str, ...]:
    """The answer: which runs are not in the figures, and why."""
    with tempfile.TemporaryDirectory(prefix="mlbkg-compare-") as work:
        advance = progress.step("fetch curves and draw them", total=1, unit="set")
        curves, left_out = fetch_curves(chosen.runs, store, Path(work), against=chosen.against)
        pictures = _pictures(curves, Path(work), experiment, against=chosen.against) if curves else ()
        advance(1)
    page = _page(chosen, differences, pictures, left_out, experiment=experiment, uri=uri)
    with atomic_write(path) as file:
        file.write(render(page))
    return left_out


def fetch_curves(
    runs: Sequence[ComparedRun], store: TrackingStore, folder: Path, *, against: int
) -> tuple[list[ComparedCurves], tuple[str, ...]]:
    """Of run ``against`` and the first others that have some; and sentences about those that are left out."""
    curves: dict[int, ComparedCurves] = {}
    left_out: dict[str, list[int]] = {}
    for run in sorted(runs, key=lambda run: (run.number != against, run.number)):
        if len(curves) == MOST_RUNS:
            left_out.setdefault(f"there are {MOST_RUNS} to a figure (--runs chooses others)", []).append(run.number)
            continue
        own = folder / str(run.number)
        own.mkdir()
        copy = store.artifact(run.run_id, f"{FOLDERS['.json']}/{EVALUATION}", own)
        if copy is None:
            left_out.setdefault(f"no {EVALUATION} there", []).append(run.number)
            continue
        try:
            curves[run.number] = curves_of(json.loads(copy.read_text(encoding="utf-8")), run)
        except (KeyError, TypeError, ValueError):
            left_out.setdefault(f"another version of mlbkg wrote {EVALUATION}", []).append(run.number)
    sentences = (f"Not drawn: {listed(numbers)}; {reason}" for reason, numbers in left_out.items())
    return [curves[number] for number in sorted(curves)], tuple(sentences)


def curves_of(evaluation: Any, run: ComparedRun) -> ComparedCurves:
    """Of the champion. Raises :class:`KeyError`, :class:`TypeError` or :class:`ValueError` for what no training wrote."""
    champion = evaluation["champion"]
    (found,) = (one for one in evaluation["classifiers"] if one["name"] == champion)
    ranking, point = found["ranking"], found["working_point"]
    return ComparedCurves(
        sign=run.sign,
        name=f"{run.label} {run.classifier}".rstrip(),
        auc=from_plain(Estimate, ranking["auc"]),
        roc=from_plain(Roc, ranking["roc"]),
        signal_efficiency=from_plain(Efficiency, point["signal_efficiency"]).value,
        background_efficiency=from_plain(Efficiency, point["background_efficiency"]),
        scores=from_plain(Distribution, found["scores"]),
    )


def _pictures(curves: Sequence[ComparedCurves], folder: Path, experiment: str, *, against: int) -> tuple[Picture, ...]:
    caption = Caption(experiment, None)
    reference = next((one for one in curves if one.sign == sign_of(against)), curves[0])
    roc = draw_compared_roc(curves, folder / "roc.png", caption=caption, reference=reference)
    scores = draw_compared_scores(curves, folder / "scores.png", caption=caption)
    return (
        Picture("Background rejected for each that is kept, over the signal efficiency", roc.read_bytes()),
        Picture("Out-of-fold scores of background and of signal", scores.read_bytes()),
    )


def _page(
    chosen: Chosen,
    differences: Differences,
    pictures: Sequence[Picture],
    left_out: Sequence[str],
    *,
    experiment: str,
    uri: str,
) -> Page:
    runs = chosen.runs
    order = f"best first by {known(chosen.sort).label}" if chosen.sort else "the latest first"
    notes = tuple(Paragraph(f"{note}.", kind="note") for note in left_out)
    sections = [
        Section("Runs", tuple(_runs(chosen))),
        Section("Differences", tuple(_differences(runs, differences, chosen.against))),
        Section("Parameters", tuple(_parameters(runs, chosen.against))),
        Section("Curves", (*pictures, *notes)),
    ]
    return Page(
        title=f"{experiment}: {count_of(runs)} side by side",
        about=(f"{order[0].upper()}{order[1:]}", f"Tracking store {uri}"),
        sections=sections,
        sortable=True,
    )


def _runs(chosen: Chosen) -> Iterator[Block]:
    runs = chosen.runs
    others = [name for name in champions(runs) if known(name).smaller_is_better is not None]
    yield runs_table("", runs, tuple(dict.fromkeys([*chosen.metrics, *others]))[:MOST_METRICS])
    if chosen.more:
        yield Paragraph("The experiment has more runs: --limit N shows more of them.", kind="note")
    yield Folded("Run ids", (identities_table(runs),))
    yield Folded("All metrics", (everything_table("metric", runs, [run.metrics for run in runs]),))


def _differences(runs: Sequence[ComparedRun], found: Differences, against: int) -> Iterator[Block]:
    if len(runs) == 1:
        yield Paragraph("There is one run only.")
        return
    yield differences_table(runs, found, against=against)
    tests = {one.by for one in found.between.values() if isinstance(one, Difference)}
    for by, text in (("events", BY_EVENT), ("folds", BY_FOLD)):
        if by in tests:
            yield Paragraph(text, kind="note")
    if tests and len(runs) > 2:
        yield matrix_table(runs[:MOST_RUNS], found)


def _parameters(runs: Sequence[ComparedRun], against: int) -> Iterator[Block]:
    tables = parameter_tables(runs, against=against)
    yield from tables
    if not tables:
        yield Paragraph("No parameter differs among classifiers that all runs have.")
    if only_in_some(runs):
        yield Paragraph(only_in_some(runs), kind="note")
    yield Folded("All parameters", (everything_table("parameter", runs, [run.params for run in runs]),))
