"""What a search over masses found, as text for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlbkg.cli.show import joined, paths

if TYPE_CHECKING:
    from mlbkg.stages.limit_scan import ScanLimitResult
    from mlbkg.stages.scan import ScanResult
    from mlbkg.stages.scan_study import ScanStudyResult


def scan_text(result: ScanResult) -> str:
    from mlbkg.stages.scan_told import DATASETS, search_tables

    found = result.searched
    return joined([DATASETS[found.dataset], *search_tables(found, result.config), *paths("figures", result.figures)])


def scan_limit_text(result: ScanLimitResult) -> str:
    from mlbkg.stages.scan_told import DATASETS, limit_tables

    found = result.limits
    tables = limit_tables(found, result.config)
    return joined([DATASETS[found.searched.dataset], *tables, *paths("figures", result.figures)])


def scan_study_text(result: ScanStudyResult) -> str:
    from mlbkg.report.quantity import Quantity
    from mlbkg.report.scan_study_figure import scan_study_table

    study = result.study
    told = (
        f"Without signal, {len(study.global_p):,} global p values have a mean of {study.global_p.mean():.3f}; that they are "
        f"uniform has a p value of {study.uniformity:.3g}."
    )
    return joined([told, scan_study_table(study.recovered, Quantity(result.symbol, "GeV")), f"figure  {result.figure}"])
