"""What a tuning leaves in the folder of its study."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlbkg.atomic import atomic_write
from mlbkg.config.load import LoadedConfig
from mlbkg.config.rewrite import with_classifiers
from mlbkg.report.optuna_figures import draw_optuna_figures
from mlbkg.report.style import Caption
from mlbkg.report.tuning_figures import draw_tuning
from mlbkg.report.tuning_result import Contestant, SearchTold, TuningTold
from mlbkg.stages.run_folder import replacing, write_manifest
from mlbkg.stages.tuning_studies import TUNING, Searched, StudyFolder
from mlbkg.tuning.plots import plots

TUNED = "tuned.yaml"


@dataclass(frozen=True)
class TuningFiles:
    folder: Path

    @property
    def tuned_config(self) -> Path:
        """The config with the winner as its only classifier."""
        return self.folder / TUNED

    @property
    def figures(self) -> Path:
        return self.folder / "figures"

    def optuna(self, search: SearchTold) -> Path:
        """Optuna's own plots of one search."""
        return self.folder / f"optuna-{search.held_out}"

    def artifacts(self, search: SearchTold) -> dict[str, list[Path]]:
        """What a tracking server gets: folder there -> files here."""
        drawn = {"figures": self.figures, "optuna": self.optuna(search)}
        return {
            "": [self.folder / TUNING],
            "config": [self.tuned_config],
            **{name: sorted(folder.glob("*.png")) for name, folder in drawn.items()},
        }


def write_tuning(study: StudyFolder, searched: Sequence[Searched], told: TuningTold, loaded: LoadedConfig) -> TuningFiles:
    """Fill the study's result folder; what an earlier tuning left there is gone afterwards."""
    config = loaded.config
    caption = Caption(config.title or config.analysis, config.luminosity_per_fb, origin=config.origin)
    with replacing(study.result) as draft:
        files = TuningFiles(draft)
        _write(draft / TUNING, json.dumps(told.to_json(), indent=1) + "\n")
        _write(files.tuned_config, tuned_yaml(told.searches[0].contestants[0], study, loaded))
        labels = [goal.with_unit for goal in told.goals]
        draw_tuning(told, files.figures, caption=caption)
        for found in searched:
            draw_optuna_figures(plots(found.study.native, labels=labels), files.optuna(found.told))
        write_manifest(draft, {"stage": "tune", "analysis": config.analysis, "key": study.key, "inputs": _inputs(loaded)})
    return TuningFiles(study.result)


def tuned_yaml(winner: Contestant, study: StudyFolder, loaded: LoadedConfig) -> str:
    """The config's own text with the winner in the place of its classifiers."""
    classifier: dict[str, Any] = {"backend": winner.backend, "name": winner.name, **winner.parameters}
    return with_classifiers(
        loaded.text, [classifier], header=f"{loaded.path.name} with the winner of the study {study.name}"
    )


def _inputs(loaded: LoadedConfig) -> Mapping[str, Any]:
    return {"config_sha256": loaded.sha256, "scale": loaded.scale}


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as file:
        file.write(text)
