"""``mlbkg report``: one page of everything that a run has found so far."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlbkg.atomic import atomic_write
from mlbkg.config.load import LoadedConfig, load
from mlbkg.config.schema import Config
from mlbkg.errors import ConfigError
from mlbkg.report.html import Block, Folded, Listing, Page, Paragraph, Section, render
from mlbkg.report.tables import Table
from mlbkg.stages.report_scan import scan_section
from mlbkg.stages.report_sections import Told, selection_section, training_section
from mlbkg.stages.report_statistics import fit_section, limit_section, study_section
from mlbkg.stages.report_tuning import tuning_section
from mlbkg.stages.run_folder import STAGES, RunFolder, latest_run, stages_of
from mlbkg.stages.study import FOLDER, STUDY

REPORT = "report.html"
SECTIONS: dict[str, tuple[str, Callable[[Path, Config], Told]]] = {
    "train": ("Training", training_section),
    "select": ("Selection", selection_section),
    "fit": ("Signal fit", fit_section),
    "scan": ("Scan", scan_section),
    "limit": ("Limit", limit_section),
}
"""Stage -> title and content of its section, in the order of the page."""


@dataclass(frozen=True)
class ReportResult:
    """``missing``: stages of the config that have not been done, so that the page only names their command."""

    path: Path
    run: RunFolder
    told: tuple[str, ...]
    missing: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "report": str(self.path),
            "run_dir": str(self.run.path),
            "bytes": self.path.stat().st_size,
            "stages": list(self.told),
            "missing": list(self.missing),
        }


def report(config_path: Path, *, run: Path | None = None) -> ReportResult:
    """Write ``report.html`` into the run's folder; nothing is computed again.

    ``run``: the latest run of the analysis by default. Raises :class:`ConfigError` where that folder has no finished stage,
    and :class:`MlbkgError` where there is no run yet or another version of the program wrote it.
    """
    loaded = load(config_path)
    found = _given(run) if run else latest_run(loaded.config.analysis, with_stage="train", config=str(loaded.path))
    wanted = stages_of(loaded.config)
    done = tuple(stage for stage in wanted if found.manifest(stage) is not None)
    missing = tuple(stage for stage in wanted if stage not in done)
    told = {stage: SECTIONS[stage][1](found.stage(stage), loaded.config) for stage in done}
    page = _page(loaded, found, told, missing, tuning_section(loaded.config))
    with atomic_write(found.path / REPORT) as file:
        file.write(render(page))
    return ReportResult(found.path / REPORT, found, done, missing)


def _given(path: Path) -> RunFolder:
    run = RunFolder(path)
    if all(run.manifest(stage) is None for stage in STAGES):
        raise ConfigError(
            f"{path} holds no finished stage of a run",
            where=str(path),
            hint="Give a folder like runs/ANALYSIS/20260101T000000Z-abcdef, or leave --run out for the latest.",
        )
    return run


def _page(
    loaded: LoadedConfig, run: RunFolder, told: dict[str, Told], missing: Collection[str], tuning: Told | None
) -> Page:
    config = loaded.config
    sections = [
        Section(title, told[stage].blocks if stage in told else (_missing(stage, loaded.path),))
        for stage, (title, _) in SECTIONS.items()
        if stage in told or stage in missing
    ]
    if tuning is not None:
        sections.insert(1, Section("Tuning", tuning.blocks))
    if "limit" in told and config.fit is not None:
        sections.append(Section("Bias and coverage", _study(loaded, run)))
    luminosity = f", {config.luminosity_per_fb:g} fb⁻¹" if config.luminosity_per_fb else ""
    return Page(
        title=config.title or config.analysis,
        about=(f"{config.origin}{luminosity}", f"Analysis {config.analysis}, run {run.name}"),
        sections=(*sections, Section("Provenance", tuple(_provenance(loaded, run)))),
        facts=tuple(fact for found in (*reversed(told.values()), *([tuning] if tuning else [])) for fact in found.facts),
    )


def _missing(stage: str, config: Path) -> Paragraph:
    return Paragraph("This stage has not been done. Do it:", kind="missing", command=f"mlbkg {stage} {config}")


def _study(loaded: LoadedConfig, run: RunFolder) -> tuple[Block, ...]:
    """Not a stage: it is done when somebody asks for it."""
    if (run.path / FOLDER / STUDY).is_file():
        return study_section(run.path / FOLDER, loaded.config).blocks
    return (
        Paragraph("Toy experiments with known signals tell of them:", kind="note", command=f"mlbkg study {loaded.path}"),
    )


def _provenance(loaded: LoadedConfig, run: RunFolder) -> list[Block]:
    """Which config and which files every stage was made from and with, and what it wrote."""
    manifests = {stage: manifest for stage in STAGES if (manifest := run.manifest(stage)) is not None}
    rows = []
    for stage, manifest in manifests.items():
        sha256 = str(manifest.get("inputs", {}).get("config_sha256", ""))
        same = "as it is now" if sha256 == loaded.sha256 else "changed since"
        rows.append((stage, sha256[:16] or "-", same, f"{len(manifest['files']):,}", manifest.get("unblinded_utc") or "no"))
    blocks: list[Block] = [
        Table("Stages of this run", ("stage", "sha256 of the config", "config", "files", "unblinded"), tuple(rows)),
        Folded("Config, as in the file", (Listing(loaded.text),)),
    ]
    environment = run.stage("train") / "environment.txt"
    if environment.is_file():
        blocks.append(Folded("Python and every package", (Listing(environment.read_text(encoding="utf-8")),)))
    lines = [
        f"{told['sha256']}  {run.stage(stage).name}/{name}"
        for stage, manifest in manifests.items()
        for name, told in manifest["files"].items()
    ]
    blocks.append(Folded("Every file's sha256, as sha256sum --check takes it", (Listing("\n".join(lines)),)))
    return blocks
