"""What a training is made of, before anything is written."""

from __future__ import annotations

from dataclasses import dataclass

from mlbkg.classifiers.cross_fit import CrossFit
from mlbkg.config.load import LoadedConfig
from mlbkg.evaluation.distributions import Distribution
from mlbkg.evaluation.evaluate import Evaluation
from mlbkg.report.tables import Reference
from mlbkg.samples.source import Recipe
from mlbkg.stages.training_data import TrainingData


@dataclass(frozen=True)
class Trained:
    """``champion``: index into ``fits`` and ``evaluations``, which go together. ``distributions``: of what is trained on."""

    loaded: LoadedConfig
    recipe: Recipe
    data: TrainingData
    fits: tuple[CrossFit, ...]
    evaluations: tuple[Evaluation, ...]
    champion: int
    distributions: tuple[Distribution, ...]

    @property
    def reference(self) -> Reference | None:
        """Another's working point that the config names, to stand beside one's own."""
        named = self.loaded.config.evaluation.reference
        return Reference(named.name, named.signal_efficiency, named.background_rejection) if named else None

    @property
    def units(self) -> dict[str, str]:
        return units_of(self.recipe)


def units_of(recipe: Recipe) -> dict[str, str]:
    """Feature or spectator -> its unit."""
    return {name: feature.unit for name, feature in recipe.library.items()}
