"""What a training is made of, before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mlbkg.classifiers.cross_fit import CrossFit
from mlbkg.config.load import LoadedConfig
from mlbkg.evaluation.compared_cuts import CutComparison
from mlbkg.evaluation.distributions import Distribution
from mlbkg.evaluation.evaluate import Evaluation
from mlbkg.fitting.fake_signal import FakeSignal
from mlbkg.limits.cut_scan import CutScan
from mlbkg.report.quantity import Quantity
from mlbkg.report.tables import Reference
from mlbkg.samples.source import Recipe
from mlbkg.stages.training_data import TrainingData
from mlbkg.stages.training_fit import simulated_quantity
from mlbkg.stages.training_scan import OverMasses


@dataclass(frozen=True)
class Comparison:
    """The champion's backend with the same parameters and folds on other features; named so in ``evaluation``.

    masses: what it reaches over the masses of a scan.
    """

    fit: CrossFit
    evaluation: Evaluation
    masses: OverMasses | None


@dataclass(frozen=True)
class Trained:
    """``champion``: index into ``fits`` and ``evaluations``, which go together. ``distributions``: of what is trained on.

    scans: classifier -> expected limit over the cuts, where the working point is chosen by it. faked: classifier or
    comparison -> the signal that the fit finds in the background it keeps. masses: classifier -> what it reaches over the
    masses of a scan. cuts: another's cuts beside the champion.
    """

    loaded: LoadedConfig
    recipe: Recipe
    data: TrainingData
    fits: tuple[CrossFit, ...]
    evaluations: tuple[Evaluation, ...]
    champion: int
    distributions: tuple[Distribution, ...]
    scans: Mapping[str, CutScan]
    comparison: Comparison | None
    faked: Mapping[str, FakeSignal]
    masses: Mapping[str, OverMasses]
    cuts: CutComparison | None

    @property
    def best(self) -> Evaluation:
        """The champion's."""
        return self.evaluations[self.champion]

    @property
    def scan(self) -> CutScan | None:
        """The champion's."""
        return self.scans.get(self.best.name)

    @property
    def over_masses(self) -> OverMasses | None:
        """The champion's."""
        return self.masses.get(self.best.name)

    @property
    def punzi_fb(self) -> dict[str, float]:
        """Classifier or comparison -> the mean over the masses of the cross section that a discovery needs."""
        other = self.comparison
        more = {other.evaluation.name: other.masses} if other and other.masses else {}
        return {name: found.punzi_fb for name, found in {**self.masses, **more}.items()}

    @property
    def quantity(self) -> Quantity:
        """What expected limits are on."""
        return simulated_quantity(self.loaded.config)[0]

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
