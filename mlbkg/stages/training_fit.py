"""What the fit to come makes of a training: the cut with the smallest expected limit, and the signal that is faked."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from mlbkg.classifiers.cross_fit import CrossFit
from mlbkg.config.schema import Config
from mlbkg.config.statistics import Fit, Peaking
from mlbkg.errors import MlbkgError
from mlbkg.evaluation.working_point import BySignalEfficiency, Rule, find_threshold, spelled
from mlbkg.fitting.base import Sampled, Shape, Window
from mlbkg.fitting.fake_signal import FakeSignal, fake_signal
from mlbkg.limits.cut_scan import Candidates, CutScan, FitToCome, cut_scan
from mlbkg.report.quantity import Quantity
from mlbkg.samples.weights import FB_PER_NB
from mlbkg.stages.fit_settings import effects_on, in_quadrature, quantity_of, shape_of
from mlbkg.stages.progress import Progress
from mlbkg.stages.training_data import TrainingData
from mlbkg.stages.training_evaluation import probability, punzi_of

log = logging.getLogger(__name__)

PEAKING = "peaking background"
"""The nuisance parameter of the peaking background's own uncertainty."""


def scan_fits(fits: Sequence[CrossFit], data: TrainingData, config: Config, *, progress: Progress) -> dict[str, CutScan]:
    """Classifier -> expected limit over the cuts; empty unless the working point is chosen by it."""
    if config.selection.working_point.expected_limit is None:
        return {}
    advance = progress.step("expected limit over the cuts", total=len(fits), unit="classifiers")
    marked, scans = (BySignalEfficiency(config.evaluation.signal_efficiency), punzi_of(config)), {}
    for fit in fits:
        scans[fit.contender.label] = scan_cuts(probability(fit.margin), data, config, marked=marked)
        advance(1)
    return scans


def scan_cuts(score: NDArray[np.float64], data: TrainingData, config: Config, *, marked: Iterable[Rule]) -> CutScan:
    """Expected limits over the cuts on ``score``, and at those of ``marked`` rules. The config has the section ``fit``.

    The peaking background's uncertainty is that of the config, or what its control sample states beside statistics.
    Raises :class:`LimitError` where no cut can be chosen.
    """
    settings, wanted, sample = config.fit, config.selection.working_point.expected_limit, data.sample
    assert settings is not None
    assert wanted is not None
    signal, peaking = sample.label == 1, _peaking_rows(settings, data)
    return cut_scan(
        Candidates(score, data.values_of(settings.variable), sample.weight, data.event_index, signal, peaking),
        _fit_to_come(settings, data, config),
        points=wanted.points,
        systematics=wanted.systematics,
        also={spelled(rule): find_threshold(rule, score, sample.label, sample.weight, data.event_index) for rule in marked},
    )


def faked(
    score: NDArray[np.float64], threshold: float, data: TrainingData, config: Config, *, name: str
) -> FakeSignal | None:
    """What a fit finds in the smooth background that passes, as a polynomial with as many parameters as the config's shape.

    None without a section ``fit``, and, with a warning, where nothing is left to fit: a training is not lost for that.
    """
    settings = config.fit
    if settings is None:
        return None
    signal = data.sample.label == 1
    passed = score >= threshold
    try:
        return fake_signal(
            _sampled(settings, data, passed & ~signal & ~_peaking_rows(settings, data)),
            _sampled(settings, data, passed & signal),
            degree=len(_background_shape(settings, data).parameters),
            window=Window(*settings.window),
            bins=settings.bins,
        )
    except MlbkgError as error:
        log.warning("no fit to the background that %s keeps: %s", name, error.what)
        return None


def simulated_quantity(config: Config) -> tuple[Quantity, float | None]:
    """The quantity of ``limit``, and how large it is for the simulated signal.

    For a limit on the yield, and where the signal has no cross section: signal events before the cut, None.
    """
    signals = [sample for sample in config.samples if sample.role == "signal"]
    cross_sections = [sample.cross_section_nb for sample in signals if sample.cross_section_nb is not None]
    limit = config.limit
    if limit.quantity == "yield" or len(cross_sections) < len(signals):
        return Quantity("signal events before the cut"), None
    if limit.parents is None:
        return quantity_of(config), FB_PER_NB * sum(cross_sections)
    produced = limit.parents.cross_section_nb * math.prod(limit.parents.branching_fractions.values())
    return quantity_of(config), sum(cross_sections) / produced


def peaking_uncertainty(config: Config) -> float:
    """Of the peaking background's rate, relative, all sources together; zero where none peaks."""
    return in_quadrature(_peaking_effects(config.fit, config).values()) if config.fit and config.fit.peaking else 0.0


def _fit_to_come(settings: Fit, data: TrainingData, config: Config) -> FitToCome:
    _, simulated = simulated_quantity(config)
    signal = data.sample.label == 1
    return FitToCome(
        window=Window(*settings.window),
        bins=settings.bins,
        background=_background_shape(settings, data),
        signal_effects=effects_on("signal", config.systematics),
        peaking_effects=_peaking_effects(settings, config),
        shift=in_quadrature(source.mean for source in config.systematics),
        width=in_quadrature(source.width for source in config.systematics),
        confidence_level=config.limit.confidence_level,
        unit=float(data.sample.weight[signal].sum()) if simulated is None else simulated,
    )


def _background_shape(settings: Fit, data: TrainingData) -> Shape:
    window = Window(*settings.window)
    return shape_of(settings.background, window, lambda name: _sampled(settings, data, data.of_samples([name])))


def _sampled(settings: Fit, data: TrainingData, rows: NDArray[np.bool_]) -> Sampled:
    return data.values_of(settings.variable)[rows], data.sample.weight[rows]


def _peaking_rows(settings: Fit, data: TrainingData) -> NDArray[np.bool_]:
    return data.of_samples(settings.peaking.samples if settings.peaking else ())


def _peaking_effects(settings: Fit, config: Config) -> dict[str, float]:
    """Nuisance -> relative change of the peaking background's rate at +1 standard deviation."""
    own = _peaking_uncertainty(settings.peaking) if settings.peaking else 0.0
    return {**({PEAKING: own} if own else {}), **effects_on("peaking", config.systematics)}


def _peaking_uncertainty(peaking: Peaking) -> float:
    if peaking.control is not None:
        return in_quadrature(source.effect for source in peaking.control.uncertainties)
    assert peaking.uncertainty is not None
    return peaking.uncertainty
