"""The model of a search: what signal, peaking and smooth background look like, and what is uncertain of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mlbkg.config.load import LoadedConfig
from mlbkg.config.schema import Config, SampleConfig
from mlbkg.config.statistics import Fit, ShapeConfig, Systematic
from mlbkg.errors import ConfigError, FitError
from mlbkg.evaluation.estimates import Estimate
from mlbkg.fitting.adjusted import Adjusted
from mlbkg.fitting.base import Array, Sampled, Shape, Window
from mlbkg.fitting.data import Data, Unbinned, binned, within
from mlbkg.fitting.fit import fit
from mlbkg.fitting.goodness import goodness
from mlbkg.fitting.model import Component, Constraint, Model, Parameter, Rate, nuisance
from mlbkg.fitting.peaking import PeakingPrediction
from mlbkg.fitting.result import FitResult, Goodness
from mlbkg.ntuples.files import find, metadata
from mlbkg.samples.normalisation import generated_events
from mlbkg.samples.weights import FB_PER_NB
from mlbkg.stages.fit_inputs import FitInputs, fit_section
from mlbkg.stages.fit_settings import effects_on, in_quadrature, shape_of

SIGNAL, PEAKING, BACKGROUND = "signal", "peaking", "background"
SIMULATION = "signal_simulation"
"""Nuisance parameter of the efficiency's error from the size of the simulated signal sample."""

PEAKING_YIELD = "peaking_yield"
"""Nuisance parameter of a peaking background without a control sample."""


@dataclass(frozen=True)
class ShapeFit:
    """A shape over the fit window, and its fit to candidates that have it."""

    shape: Shape
    result: FitResult
    goodness: Goodness

    @property
    def theta(self) -> tuple[float, ...]:
        """Of the shape alone."""
        return self.result.theta[1:]


@dataclass(frozen=True)
class SignalEfficiency:
    """Of produced signal events, to be selected and in the fit window.

    by_fold: the same for the events of each fold, which other models scored. chi2: of their agreement with the total, which
    is too large where a model knows events that it should not.
    """

    total: Estimate
    by_fold: tuple[Estimate, ...]
    chi2: float

    @property
    def ndf(self) -> int:
        return len(self.by_fold) - 1

    @property
    def p_value(self) -> float:
        from scipy.stats import chi2

        return float(chi2.sf(self.chi2, self.ndf))


@dataclass(frozen=True)
class Ingredients:
    """candidates_per_unit: signal candidates in the window where the quantity is 1. parents: that are produced, None for a
    quantity that is not relative to them. simulated: value of the quantity that the signal sample has, NaN if unknown."""

    quantity: str
    candidates_per_unit: float
    efficiency: SignalEfficiency | None
    parents: float | None
    simulated: float


@dataclass(frozen=True)
class BuiltModel:
    """``model``: without a signal, as it starts. ``poi``: its parameter of interest."""

    model: Model
    poi: str
    signal: ShapeFit
    background: ShapeFit
    ingredients: Ingredients
    peaking: PeakingPrediction | None

    def theta(self, value: float) -> Array:
        """``(n_parameters,)`` with the parameter of interest at ``value``, all else as it starts."""
        theta: Array = self.model.starts.copy()
        theta[self.model.index(self.poi)] = value
        return theta


def build_model(loaded: LoadedConfig, inputs: FitInputs, peaking: PeakingPrediction | None, *, quantity: str) -> BuiltModel:
    """quantity: what the parameter of interest is, "yield", "branching_fraction" or "cross_section" (in fb).

    The signal's shape is fitted to the selected signal sample and frozen; the smooth background's is fitted to the selected
    simulated background and free in the fit to come, as is its yield; the peaking background has the signal's shape.
    Raises :class:`FitError` where a shape cannot be fitted, and :class:`EmptySampleError` where there is nothing to fit to.
    """
    fit, config = fit_section(loaded), loaded.config
    signal = _signal_shape(config, fit, inputs)
    background = _shape_fit(fit.background, BACKGROUND, inputs.sampled(_names(config, fit, BACKGROUND)), inputs, fit)
    ingredients = _ingredients(config, inputs, quantity)
    peak, moved = _peak(signal, config.systematics)
    peaking_yield = _peaking_yield(fit, inputs, peaking)
    rates = {
        SIGNAL: Rate(ingredients.candidates_per_unit, quantity, _signal_effects(config, ingredients)),
        PEAKING: Rate(peaking_yield, None, _peaking_effects(fit, config.systematics, peaking)),
    }
    smooth = background.result.yields[0].value
    free = _background_parameters(background)
    poi = Parameter(quantity, 0.0, step=_step(smooth + peaking_yield, signal, background, ingredients))
    shifts = tuple(parameter.name for parameter in moved)
    names = dict.fromkeys(name for rate in rates.values() for name in rate.effects)
    model = Model(
        inputs.window,
        (
            Component(SIGNAL, peak, rates[SIGNAL], shifts),
            *((Component(PEAKING, peak, rates[PEAKING], shifts),) if peaking_yield > 0 else ()),
            Component(BACKGROUND, background.shape, Rate(1.0, BACKGROUND), tuple(p.name for p in free)),
        ),
        (
            poi,
            Parameter(BACKGROUND, smooth, 0.0, step=math.sqrt(smooth)),
            *free,
            *moved,
            *(nuisance(name) for name in names),
        ),
    )
    return BuiltModel(model, quantity, signal, background, ingredients, peaking)


def _names(config: Config, fit: Fit, component: str) -> list[str]:
    """The simulated samples that a component is made of."""
    if component == PEAKING:
        return list(fit.peaking.samples) if fit.peaking else []
    peaking = fit.peaking.samples if fit.peaking else ()
    return [sample.name for sample in config.samples if sample.role == component and sample.name not in peaking]


def _signal_shape(config: Config, fit: Fit, inputs: FitInputs) -> ShapeFit:
    """From the signal sample, or from the control samples in the range that their cuts leave; the parameters of a peak mean
    the same in any window."""
    if inputs.control is None:
        return _shape_fit(fit.signal, SIGNAL, inputs.sampled(_names(config, fit, SIGNAL)), inputs, fit)
    x = inputs.control[0]
    narrow = replace(inputs, window=Window(float(x.min()), float(x.max()), inputs.window.unit))
    found = _shape_fit(fit.signal, SIGNAL, inputs.control, narrow, fit)
    return replace(found, shape=_shape(fit.signal, inputs))


def _shape(wanted: ShapeConfig, inputs: FitInputs) -> Shape:
    return shape_of(wanted, inputs.window, lambda name: inputs.sampled([name]))


def _shape_fit(wanted: ShapeConfig, what: str, sampled: Sampled, inputs: FitInputs, settings: Fit) -> ShapeFit:
    shape = _shape(wanted, inputs)
    sample = within(*sampled, inputs.window, name=f"simulated {what}")
    assert sample.weight is not None
    starts = shape.started(sample.x, sample.weight)
    parameters = tuple(
        Parameter(p.name, start, p.low, p.high, step=_step_of(p.low, p.high), unit=p.unit)
        for p, start in zip(shape.parameters, starts, strict=True)
    )
    size = Parameter("yield", sample.total, 0.0, step=math.sqrt(sample.weight @ sample.weight))
    component = Component(what, shape, Rate(1.0, "yield"), tuple(p.name for p in parameters))
    model = Model(inputs.window, (component,), (size, *parameters))
    data = _binned_if_many(sample, settings, inputs)
    try:
        result = fit(model, data)
    except FitError as error:
        raise FitError(
            f"shape '{wanted.shape}' could not be fitted to {len(sample.x):,} {what} candidates: {error.what}",
            details=error.details,
            where=f"fit.{what}",
            hint=f"Choose a simpler shape in fit.{what}, or simulate more.",
        ) from error
    return ShapeFit(shape, result, goodness(model, result, data, bins=settings.bins))


def _binned_if_many(sample: Unbinned, settings: Fit, inputs: FitInputs) -> Data:
    if len(sample.x) <= settings.unbinned_up_to:
        return sample
    return binned(sample, inputs.window.edges(settings.bins))


def _step_of(low: float, high: float) -> float:
    return 0.01 * (high - low) if math.isfinite(high - low) else 0.1


def _background_parameters(background: ShapeFit) -> tuple[Parameter, ...]:
    """Free, where the simulation has them."""
    return tuple(
        Parameter(f"{BACKGROUND}_{p.name}", value, p.low, p.high, step=background.result[p.name].error or 0.1, unit=p.unit)
        for p, value in zip(background.shape.parameters, background.theta, strict=True)
    )


def _peak(signal: ShapeFit, systematics: Sequence[Systematic]) -> tuple[Adjusted, tuple[Parameter, ...]]:
    """The frozen signal shape, and the uncertainties of its position and width."""
    peak = Adjusted(signal.shape, signal.theta)
    sources = {
        "shift": [(source.name, source.mean) for source in systematics if source.mean is not None],
        "width": [(source.name, source.width) for source in systematics if source.width is not None],
    }
    moved = []
    for parameter in peak.parameters:
        found = sources[parameter.name]
        sigma = in_quadrature(size for _, size in found)
        moved.append(
            Parameter(
                found[0][0] if len(found) == 1 else f"peak_{parameter.name}",
                parameter.start,
                parameter.low,
                parameter.high,
                step=sigma or 0.1,
                fixed=not found,
                constraint=Constraint(parameter.start, sigma) if found else None,
                unit=parameter.unit,
            )
        )
    return peak, tuple(moved)


def _peaking_yield(fit: Fit, inputs: FitInputs, peaking: PeakingPrediction | None) -> float:
    if peaking is not None:
        return peaking.total.value
    return sum(inputs.simulated[name].total for name in (fit.peaking.samples if fit.peaking else ()))


def _peaking_effects(fit: Fit, systematics: Sequence[Systematic], peaking: PeakingPrediction | None) -> Mapping[str, float]:
    own = fit.peaking.uncertainty if fit.peaking else None
    predicted = peaking.effects if peaking else ({PEAKING_YIELD: own} if own else {})
    return {**predicted, **effects_on(PEAKING, systematics)}


def _signal_effects(config: Config, ingredients: Ingredients) -> Mapping[str, float]:
    """None on a yield, which is counted as it is."""
    if ingredients.efficiency is None:
        return {}
    total = ingredients.efficiency.total
    return {**effects_on(SIGNAL, config.systematics), SIMULATION: total.error / total.value}


def _ingredients(config: Config, inputs: FitInputs, quantity: str) -> Ingredients:
    signals = [sample for sample in config.samples if sample.role == SIGNAL]
    if quantity == "yield":
        return Ingredients(quantity, 1.0, None, None, sum(inputs.simulated[sample.name].total for sample in signals))
    luminosity = config.luminosity_per_fb
    if luminosity is None:
        raise ConfigError(f"{quantity} needs luminosity_per_fb, which is missing", where="luminosity_per_fb")
    efficiency = signal_efficiency(config, signals, inputs)
    parents, produced_per_unit = None, luminosity
    if config.limit.parents is not None and quantity == "branching_fraction":
        parents = config.limit.parents.cross_section_nb * luminosity * FB_PER_NB
        produced_per_unit = parents * math.prod(config.limit.parents.branching_fractions.values())
    cross_sections = [s.cross_section_nb or math.nan for s in signals]
    return Ingredients(
        quantity,
        candidates_per_unit=produced_per_unit * efficiency.total.value,
        efficiency=efficiency,
        parents=parents,
        simulated=sum(cross_sections) * luminosity * FB_PER_NB / produced_per_unit,
    )


def signal_efficiency(config: Config, signals: Sequence[SampleConfig], inputs: FitInputs) -> SignalEfficiency:
    """Selected in the window over produced, by weight; binomial errors of the effective numbers.

    An event's fold is a hash of its number: what was produced falls into the folds in equal shares, but at random, so that
    the errors of the folds are those of Poisson numbers.
    """
    produced = sum(_produced(config, sample) for sample in signals)
    chosen = [inputs.simulated[sample.name] for sample in signals]
    weight, fold = (np.concatenate([getattr(found, key) for found in chosen]) for key in ("weight", "fold"))
    n_folds = config.training.folds
    by_fold = tuple(_share(weight[fold == k], produced / n_folds) for k in range(n_folds))
    poisson = _share(weight, produced)
    total = Estimate(poisson.value, poisson.error * math.sqrt(max(0.0, 1 - poisson.value)))
    chi2 = sum(((e.value - total.value) / e.error) ** 2 for e in by_fold if e.error > 0)
    return SignalEfficiency(total, by_fold, chi2)


def _share(weight: Array, produced: float) -> Estimate:
    return Estimate(float(weight.sum()) / produced, math.sqrt(weight @ weight) / produced)


def _produced(config: Config, sample: SampleConfig) -> float:
    """Events that the sample's weights stand for, before any selection."""
    if sample.cross_section_nb is not None and config.luminosity_per_fb is not None:
        return sample.cross_section_nb * config.luminosity_per_fb * FB_PER_NB
    told = [(path, metadata(path)) for path in find(sample.files)] if sample.generated_events is None else []
    return float(generated_events(sample.name, stated=sample.generated_events, metadata=told))


def _step(below: float, signal: ShapeFit, background: ShapeFit, ingredients: Ingredients) -> float:
    """About the statistical error of the quantity: sqrt(integral of s^2 / b)^-1 for a known background."""
    x = signal.shape.window.edges(400)
    s = signal.shape.density(x, signal.theta)
    b = np.maximum(background.shape.density(x, background.theta), 1e-9 / signal.shape.window.width) * max(below, 1.0)
    information = float((s**2 / b).mean()) * signal.shape.window.width
    return 1.0 / math.sqrt(information) / ingredients.candidates_per_unit
