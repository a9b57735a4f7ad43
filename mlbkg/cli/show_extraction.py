"""What fit, limit, study and run found, as text for a terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mlbkg.cli.show import joined, paths
from mlbkg.cli.show_scan import scan_limit_text, scan_study_text, scan_text

if TYPE_CHECKING:
    from mlbkg.stages.fit import FitStageResult
    from mlbkg.stages.limit import LimitResult
    from mlbkg.stages.limit_scan import ScanLimitResult
    from mlbkg.stages.run import RunResult
    from mlbkg.stages.scan_study import ScanStudyResult
    from mlbkg.stages.study import StudyResult

DATASETS = {
    "data": "Fitted to data.",
    "expected": "No data: fitted to what is expected, without fluctuation. The errors are what data would give.",
    "data sidebands": "Blind: the expected data set, with its smooth background scaled to the data beside fit.blind. "
    "Open it with --unblind.",
}


def fit_text(result: FitStageResult) -> str:
    from mlbkg.report.limit_tables import parameters_table, shapes_table, yields_table
    from mlbkg.stages.peaking_tables import peaking_tables

    found = result.extracted
    shapes = shapes_table({"signal": found.signal_goodness, "background": found.background_goodness})
    tables = [yields_table(found.result, found.goodness), parameters_table(found.result), shapes]
    more, notes = peaking_tables(result.config, found.peaking)
    return joined([DATASETS[found.dataset], *tables, *more, *notes, *paths("figures", result.figures)])


def limit_text(result: LimitResult | ScanLimitResult) -> str:
    from mlbkg.report.limit_tables import impacts_table, ingredients_table, limits_table
    from mlbkg.stages.limit_scan import ScanLimitResult

    if isinstance(result, ScanLimitResult):
        return scan_limit_text(result)

    found = result.limits
    tables = [
        *([ingredients_table(found.ingredients, found.quantity)] if found.ingredients else []),
        impacts_table(found.impacts, found.quantity, expected=found.expected, without=found.without),
        limits_table(found.lines, found.published, found.quantity),
    ]
    return joined([DATASETS[found.dataset], *tables, *paths("figures", result.figures), f"workspace  {result.workspace}"])


def study_text(result: StudyResult | ScanStudyResult) -> str:
    from mlbkg.report.limit_tables import study_table
    from mlbkg.stages.scan_study import ScanStudyResult

    if isinstance(result, ScanStudyResult):
        return scan_study_text(result)

    return joined([study_table(result.points, result.quantity), f"figure  {result.figure}"])


def run_text(result: RunResult) -> str:
    texts: dict[str, Callable[[Any], str]] = {"fit": fit_text, "scan": scan_text, "limit": limit_text}
    told = [texts[stage](done) for stage, done in result.done.items() if stage in texts]
    lines = [f"{ran.stage:<9} {'kept' if ran.kept else f'{ran.seconds:.1f} s'}" for ran in result.stages]
    return "\n\n".join([*told, "\n".join([*lines, f"run       {result.run.path}"])])
