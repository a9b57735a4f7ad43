"""What is fitted and to what: the model of a search, and data or what is expected in their place."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mlbkg.config.load import LoadedConfig
from mlbkg.errors import ConfigError, EmptySampleError
from mlbkg.fitting.base import Array
from mlbkg.fitting.data import Data, Unbinned, binned
from mlbkg.fitting.model import Model
from mlbkg.fitting.peaking import PeakingPrediction
from mlbkg.fitting.result import FitResult, Goodness
from mlbkg.fitting.toys import asimov
from mlbkg.limits.profile import LikelihoodScan
from mlbkg.limits.result import Problem
from mlbkg.stages.control import control_candidates, predict_from_control
from mlbkg.stages.fit_inputs import FitInputs, fit_section, read_inputs
from mlbkg.stages.fit_model import BACKGROUND, BuiltModel, build_model
from mlbkg.stages.progress import Progress
from mlbkg.stages.run_folder import RunFolder

DATA, EXPECTED, SIDEBANDS = "data", "expected", "data sidebands"


@dataclass(frozen=True)
class Prepared:
    """A model and what it is fitted to.

    dataset: "data", "expected" (the model itself, without fluctuation), or "data sidebands" (the expected data set with its
    smooth background scaled to the data outside the blind range).
    """

    built: BuiltModel
    data: Data
    dataset: str
    edges: Array

    @property
    def observed(self) -> Data | None:
        return self.data if self.dataset == DATA else None

    @property
    def problem(self) -> Problem:
        return Problem(self.built.model, self.built.poi, self.edges, self.observed)


@dataclass(frozen=True)
class Extracted:
    """What ``fit.json`` holds. ``dataset``: as of :class:`Prepared`. ``injected``: signal in an expected data set."""

    variable: str
    dataset: str
    method: str
    injected: float
    result: FitResult
    goodness: Goodness
    scan: LikelihoodScan
    signal_shape: FitResult
    signal_goodness: Goodness
    background_goodness: Goodness
    peaking: PeakingPrediction | None
    unblind: bool


def predicted_peaking(loaded: LoadedConfig, run: RunFolder, *, workers: int, progress: Progress) -> PeakingPrediction | None:
    """From the control sample, where the config names one."""
    peaking = fit_section(loaded).peaking
    if peaking is None or peaking.control is None:
        return None
    return predict_from_control(loaded.config, run.stage("select"), workers=workers, progress=progress)


def prepare(
    loaded: LoadedConfig,
    run: RunFolder,
    peaking: PeakingPrediction | None,
    *,
    quantity: str,
    unblind: bool,
    inject: float = 0.0,
) -> Prepared:
    """The model with ``quantity`` as its parameter of interest, and the data set that it is for.

    Raises :class:`ConfigError` for a signal that is to be injected into data.
    """
    settings = fit_section(loaded)
    inputs = read_inputs(loaded, run, unblind=unblind)
    if inject and inputs.data is not None and inputs.blind is None:
        raise ConfigError(
            f"{inject:g} signal candidates cannot be put into data, only into what is expected",
            where="--inject",
            hint="Leave out --inject, or the data samples.",
        )
    if settings.signal_from == "control":
        inputs = replace(inputs, control=control_candidates(loaded.config))
    built = build_model(loaded, inputs, peaking, quantity=quantity)
    edges = inputs.window.edges(settings.bins)
    if inputs.data is not None and inputs.blind is None:
        return Prepared(
            built, _as_method(Unbinned(inputs.data), settings.method, settings.unbinned_up_to, edges), DATA, edges
        )
    if inputs.data is not None:
        built = replace(built, model=_scaled_to_sidebands(built, inputs))
    expected = asimov(built.model, built.theta(inject).tolist(), edges)
    return Prepared(built, expected, EXPECTED if inputs.data is None else SIDEBANDS, edges)


def _as_method(data: Unbinned, method: str, unbinned_up_to: int, edges: Array) -> Data:
    if method == "unbinned" or (method == "auto" and len(data.x) <= unbinned_up_to):
        return data
    return binned(data, edges)


def _scaled_to_sidebands(built: BuiltModel, inputs: FitInputs) -> Model:
    """The smooth background with as many candidates as the data beside the blind range ask for."""
    assert inputs.blind is not None
    assert inputs.data is not None
    low, high = inputs.blind
    window, theta = inputs.window, built.theta(0.0)
    edges = np.array([window.low, low, high, window.high])
    rates = dict(zip((c.name for c in built.model.components), built.model.expected(edges, theta.tolist()), strict=True))
    outside = {name: float(bins[0] + bins[2]) for name, bins in rates.items()}
    beside = len(inputs.data) - sum(count for name, count in outside.items() if name != BACKGROUND)
    if not (beside > 0 and outside[BACKGROUND] > 0):
        raise EmptySampleError(
            f"{len(inputs.data)} data candidates beside the blind range [{low:g}, {high:g}] leave no smooth background",
            where="fit.blind",
            hint="Make fit.blind narrower or fit.window wider.",
        )
    index = built.model.index(BACKGROUND)
    theta[index] *= beside / outside[BACKGROUND]
    return built.model.starting_at(theta.tolist())
