"""Tables of the fit, of the limits, and of how the one becomes the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mlbkg.evaluation.estimates import Estimate
from mlbkg.fitting.result import FitResult, FittedParameter, Goodness
from mlbkg.limits.result import Impact, Limit
from mlbkg.report.quantity import Quantity, Scale
from mlbkg.report.tables import Table, format_estimate, format_number, format_p_value, format_value_error

if TYPE_CHECKING:
    from mlbkg.fitting.study import StudyPoint

METHODS = {
    "cls": "CLs, asymptotic",
    "cls_toys": "CLs, toys",
    "pyhf": "CLs, pyhf",
    "bayesian": "Bayesian",
    "profile": "profile likelihood",
}

FEW_DIGITS = (0.1, 100.0)


@dataclass(frozen=True)
class LimitLine:
    """One limit beside others. ``uncertainties``: which it counts, such as "statistical only"."""

    limit: Limit
    uncertainties: str

    @property
    def method(self) -> str:
        return METHODS.get(self.limit.method, self.limit.method)


@dataclass(frozen=True)
class Published:
    """Another's upper limit, in the unit of the quantity."""

    name: str
    value: float
    kind: Literal["observed", "expected"]


@dataclass(frozen=True)
class Ingredients:
    """What a quantity is made from. ``efficiency``: of the signal, reconstruction and selection together.

    parents: that are produced, None for a cross section. branching_fractions: decay -> fraction, from the parent to what is
    searched for. candidates_per_unit: selected signal candidates where the quantity is 1.
    fold_chi2: of the efficiencies of the folds, each selected by models that did not see it, against their mean.
    """

    luminosity_per_fb: float
    parents: float | None
    branching_fractions: Mapping[str, float]
    efficiency: Estimate
    candidates_per_unit: float
    fold_chi2: float
    fold_ndf: int
    fold_p_value: float


def yields_table(result: FitResult, goodness: Goodness) -> Table:
    """Candidates of every component, and how well all of them describe the data."""
    rows = [
        (
            found.name,
            format_value_error(found.value, found.error),
            format_number(-found.error_low),
            format_number(found.error_high),
        )
        for found in result.yields
    ]
    good = f"χ²/ndf = {goodness.chi2:.1f} / {goodness.ndf}, p value {format_p_value(goodness.p_value)}"
    return Table(f"Fitted candidates, {good}", ("component", "candidates", "−", "+"), tuple(rows))


def shapes_table(shapes: Mapping[str, Goodness]) -> Table:
    """How well each component's shape describes the simulated candidates that it was fitted to."""
    rows = tuple((name, f"{good.chi2:.1f} / {good.ndf}", format_p_value(good.p_value)) for name, good in shapes.items())
    return Table("Shapes fitted to the simulation", ("component", "χ² / ndf", "p value"), rows)


def parameters_table(result: FitResult) -> Table:
    """Fixed parameters without errors; a star marks values at a bound, where errors mean little."""
    rows = tuple((_parameter_name(found), _parameter_value(found), found.unit or "-") for found in result.parameters)
    starred = any(found.at_limit for found in result.parameters)
    return Table("Parameters of the fit" + (" (*: at a bound)" if starred else ""), ("parameter", "value", "unit"), rows)


def limits_table(lines: Sequence[LimitLine], published: Sequence[Published], quantity: Quantity) -> Table:
    """One's own with their bands, then the published ones."""
    bands = [line.limit.expected for line in lines]
    scale = quantity.scale([band.median for band in bands if band] or [line.limit.observed or 0.0 for line in lines])
    rows = [(line.method, line.uncertainties, *_limit_cells(line.limit, scale)) for line in lines]
    for other in published:
        values = {"observed": "-", "expected": "-", other.kind: scale.text(other.value)}
        rows.append((other.name, "published", values["observed"], "-", "-", values["expected"], "-", "-"))
    level = 100 * lines[0].limit.confidence_level
    columns = ("limit", "uncertainties", "observed", "−2σ", "−1σ", "expected", "+1σ", "+2σ")
    return Table(f"{level:g} % upper limits on {scale.label}", columns, tuple(rows))


def impacts_table(
    impacts: Sequence[Impact],
    quantity: Quantity,
    *,
    expected: float | None = None,
    without: Mapping[str, float] | None = None,
) -> Table:
    """The nuisance parameters, largest impact first.

    expected, without: the expected limit, and nuisance -> the same where it is exactly known; a column tells by how much
    the limit would be lower.
    """
    ranked = sorted(impacts, key=lambda impact: -impact.size)
    scale = quantity.scale([impact.size for impact in ranked])
    rows = tuple(
        (
            impact.nuisance,
            f"{scale(impact.up):+.3g}",
            f"{scale(impact.down):+.3g}",
            f"{round(impact.pull, 2) + 0.0:+.2f}",
            f"{impact.constraint:.2f}",
            *([_gain(without.get(impact.nuisance), expected)] if expected and without else []),
        )
        for impact in ranked
    )
    gain = ("limit if known",) if expected and without else ()
    columns = ("nuisance", "impact, +1σ", "impact, −1σ", "pull", "σ after / before", *gain)
    return Table(f"Impact of the uncertainties on {scale.label}", columns, rows)


def study_table(points: Sequence[StudyPoint], quantity: Quantity) -> Table:
    """Bias and coverage of toy experiments at each injected value."""
    scale = quantity.scale([point.value for point in points])
    rows = tuple(
        (
            scale.text(point.value),
            f"{point.toys:,}",
            f"{point.failed:,}",
            format_value_error(point.mean_pull, point.mean_pull_error),
            format_value_error(point.pull_width, point.pull_width_error),
            f"{format_value_error(100 * point.coverage, 100 * point.coverage_error)} %",
            format_value_error(scale(point.bias), scale(point.bias_error)),
        )
        for point in points
    )
    columns = ("injected", "toys", "failed", "mean pull", "pull width", "68.3 % coverage", "bias")
    return Table(f"Toy experiments, {scale.label}", columns, rows)


def ingredients_table(ingredients: Ingredients, quantity: Quantity) -> Table:
    """From the luminosity to candidates: every factor of the quantity."""
    unit = f" {quantity.unit}" if quantity.unit else ""
    alike = f"{ingredients.fold_chi2:.1f} / {ingredients.fold_ndf}, p value {format_p_value(ingredients.fold_p_value)}"
    rows = (
        ("integrated luminosity [fb⁻¹]", f"{ingredients.luminosity_per_fb:g}"),
        *([("parents produced", format_number(ingredients.parents))] if ingredients.parents is not None else []),
        *((f"B({decay})", f"{value:.4g}") for decay, value in ingredients.branching_fractions.items()),
        ("signal efficiency [%]", format_estimate(_in_per_cent(ingredients.efficiency))),
        ("… the same in every fold, χ² / ndf", alike),
        (f"signal candidates for {quantity.symbol} = 1{unit}", format_number(ingredients.candidates_per_unit)),
    )
    return Table(f"From candidates to {quantity.symbol}", ("factor", "value"), rows)


def _in_per_cent(efficiency: Estimate) -> Estimate:
    return Estimate(100 * efficiency.value, 100 * efficiency.error)


def _parameter_name(found: FittedParameter) -> str:
    return f"{found.name}*" if found.at_limit else found.name


def _parameter_value(found: FittedParameter) -> str:
    if found.fixed:
        return f"{found.value:.5g} (fixed)"
    return format_value_error(found.value, found.error)


def _limit_cells(limit: Limit, scale: Scale) -> tuple[str, ...]:
    band = limit.expected
    observed = "-" if limit.observed is None else _limit_cell(limit.observed, scale)
    if band is None:
        return (observed, *("-",) * 5)
    quantiles = (band.minus_2sigma, band.minus_1sigma, band.median, band.plus_1sigma, band.plus_2sigma)
    return (observed, *(_limit_cell(value, scale) for value in quantiles))


def _limit_cell(value: float, scale: Scale) -> str:
    """Two decimals where all of a row have them, so that points stand below each other."""
    scaled = scale(value)
    return f"{scaled:.2f}" if FEW_DIGITS[0] <= scaled < FEW_DIGITS[1] else format_number(scaled)


def _gain(without: float | None, expected: float) -> str:
    return "-" if without is None else f"{100 * (without / expected - 1):+.1f} %"
