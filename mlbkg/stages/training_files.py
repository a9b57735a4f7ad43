"""What a training leaves in its run folder."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any

import numpy as np

from mlbkg.atomic import atomic_write
from mlbkg.config.load import resolved_yaml
from mlbkg.evaluation.estimates import to_plain
from mlbkg.evaluation.metrics import auc
from mlbkg.ntuples.write import AtomicRootWriter
from mlbkg.report.cut_scan_figure import draw_cut_scan
from mlbkg.report.figures import Compared, TrainingFigures, draw_all
from mlbkg.report.style import Caption
from mlbkg.stages.freshness import key_of
from mlbkg.stages.progress import Progress
from mlbkg.stages.provenance import git_commit
from mlbkg.stages.run_folder import write_manifest
from mlbkg.stages.stopwatch import Stopwatch
from mlbkg.stages.trained import Trained
from mlbkg.stages.training_evaluation import probability
from mlbkg.stages.training_export import export_all
from mlbkg.stages.training_mass_report import draw_over_masses

OUT_OF_FOLD = "out_of_fold.root"
EVALUATION = "evaluation.json"


@dataclass(frozen=True)
class TrainingFiles:
    """``artifacts``: what a tracking server gets beside the model. ``fold_auc``: classifier -> AUC of each fold."""

    folder: Path
    artifacts: tuple[Path, ...]
    fold_auc: Mapping[str, tuple[float, ...]]

    @property
    def model(self) -> Path:
        return self.folder / "model.onnx"

    @property
    def folds_model(self) -> Path:
        return self.folder / "folds.onnx"

    @property
    def figures(self) -> Path:
        return self.folder / "figures"

    def moved(self, folder: Path) -> TrainingFiles:
        """The same after the folder was renamed."""
        artifacts = tuple(folder / path.relative_to(self.folder) for path in self.artifacts)
        return replace(self, folder=folder, artifacts=artifacts)


def write_training(trained: Trained, folder: Path, *, watch: Stopwatch, workers: int, progress: Progress) -> TrainingFiles:
    """Fill ``folder``; its manifest comes last. Raises :class:`ParityError` where ONNX and a classifier disagree."""
    fold_auc = _fold_auc(trained)
    with watch.part("export and figures"), ThreadPoolExecutor(1) as beside:
        exported = beside.submit(export_all, trained, folder, progress=progress)
        if workers == 1:
            exported.result()
        figures = _draw(trained, folder / "figures", workers=workers, progress=progress)
        exported.result()
    with watch.part("tables"):
        _write_out_of_fold(trained, folder / OUT_OF_FOLD)
        texts = _write_texts(trained, folder)
        _finish(trained, folder)
    artifacts = (*texts, folder / "card.md", *figures.values())
    return TrainingFiles(folder, artifacts, fold_auc)


def _fold_auc(trained: Trained) -> dict[str, tuple[float, ...]]:
    sample = trained.data.sample
    return {
        fit.contender.label: tuple(
            auc(fit.margin[rows], sample.label[rows], sample.weight[rows])
            for rows in (split.scored for split in trained.data.splits)
        )
        for fit in trained.fits
    }


def _draw(trained: Trained, folder: Path, *, workers: int, progress: Progress) -> dict[str, Path]:
    config = trained.loaded.config
    caption = Caption(config.title or config.analysis, config.luminosity_per_fb, origin=config.origin)
    advance = progress.step("draw figures", total=1, unit="set")
    drawn = draw_all(
        TrainingFigures(
            caption=caption,
            evaluations={evaluation.name: evaluation for evaluation in trained.evaluations},
            distributions=trained.distributions,
            learning_curves={fit.contender.label: fit.curves for fit in trained.fits},
            units=trained.units,
            reference=trained.reference,
            comparison=Compared(trained.best.name, trained.comparison.evaluation) if trained.comparison else None,
        ),
        folder,
        workers=workers,
    )
    if trained.scan is not None:
        path = draw_cut_scan(trained.scan, folder / "cut_scan.png", caption=caption, quantity=trained.quantity)
        drawn[path.stem] = path
    drawn |= draw_over_masses(
        trained.masses, trained.cuts, folder, best=trained.best.name, config=config, units=trained.units, caption=caption
    )
    advance(1)
    return drawn


def _write_out_of_fold(trained: Trained, path: Path) -> None:
    """One row per candidate: who it is, its weight, and every classifier's out-of-fold score."""
    sample, config = trained.data.sample, trained.loaded.config
    columns: dict[str, Any] = {name: sample.event_id[:, i] for i, name in enumerate(config.ntuples.event_id)}
    columns |= {
        "fold": sample.fold.astype(np.int32),
        "label": sample.label.astype(np.int32),
        "category": sample.category.astype(np.int32),
        "physics_weight": sample.weight,
        "training_weight": trained.data.weight,
        **sample.spectators,
        **sample.truth,
    }
    for fit in trained.fits:
        columns[f"score_{fit.contender.label}"] = probability(fit.margin).astype(np.float32)
        columns[f"margin_{fit.contender.label}"] = fit.margin
    metadata = {"categories": list(sample.category_names), "champion": trained.best.name}
    with AtomicRootWriter(path, tree="out_of_fold", metadata=metadata) as writer:
        writer.extend(columns)


def _write_texts(trained: Trained, folder: Path) -> tuple[Path, ...]:
    texts = {
        "config.yaml": trained.loaded.text,
        "config.resolved.yaml": resolved_yaml(trained.loaded.config),
        EVALUATION: json.dumps(_evaluation_json(trained), indent=1) + "\n",
        "environment.txt": _environment(),
        "cutflow.json": json.dumps([to_plain(count) for count in trained.data.cutflow], indent=1) + "\n",
    }
    for name, text in texts.items():
        with atomic_write(folder / name) as file:
            file.write(text)
    return tuple(folder / name for name in texts)


def _evaluation_json(trained: Trained) -> dict[str, Any]:
    return {
        "champion": trained.best.name,
        "classifiers": to_plain(trained.evaluations),
        "comparison": to_plain(trained.comparison.evaluation) if trained.comparison else None,
        "cut_scans": to_plain(trained.scans),
        "fake_signal": to_plain(trained.faked),
        "masses": to_plain(trained.masses),
        "compared_cuts": to_plain(trained.cuts),
    }


def _environment() -> str:
    """Interpreter, platform and every installed package with its version."""
    installed = {found.name: found.version for found in distributions()}
    lines = [f"python {platform.python_version()}", platform.platform()]
    return "\n".join([*lines, *(f"{name}=={installed[name]}" for name in sorted(installed, key=str.casefold))]) + "\n"


def _finish(trained: Trained, folder: Path) -> None:
    data = trained.data
    write_manifest(
        folder,
        {
            "stage": "train",
            "analysis": trained.loaded.config.analysis,
            "champion": trained.best.name,
            "key": key_of("train", trained.loaded),
            "inputs": {
                "config_sha256": trained.loaded.sha256,
                "scale": trained.loaded.scale,
                "data": data.fingerprints,
                "rows": data.rows,
            },
            "made_with": {"mlbkg_version": version("mlbkg"), "git_commit": git_commit()},
            "negative_weights": {name: to_plain(report) for name, report in data.negative_weights.items()},
        },
    )
