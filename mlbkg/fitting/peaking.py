"""Background that peaks like the signal, from a control sample in which the particles that it loses are seen.

A decay whose daughters are lost counts as ``N * L / S``: ``N`` candidates of the control sample, in data, and the ratio of
lost and selected to seen candidates, ``L / S``, in simulation. Luminosity, production, branching fractions and whatever
else lost and seen have in common cancel. A decay without a control sample of its own is tied to all those that have one,
``sum N * L / sum S``, which brings in the uncertainties of the branching fractions.

Lost and seen are disjoint parts of one simulated sample, so their counts vary independently: exactly for a Poisson number of
generated events; for a fixed number the ratio's variance is the same, since the multinomial covariance, -n p q, cancels
against what the binomial variances, n p (1 - p), are below the Poisson ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlbkg.errors import EmptySampleError, FitError
from mlbkg.fitting.base import Array

Kind = Literal["control", "simulation", "systematic"]

CONTROL, SIMULATION = "peaking_control", "peaking_simulation"
"""Nuisance parameters of the size of the control sample and of the size of the simulated one."""
BRANCHING_FRACTION = "branching_fraction_"
"""Begins the names of the nuisance parameters of branching fractions; the mode's name follows."""


@dataclass(frozen=True)
class Counted:
    """Candidates, the sum of their weights, and its standard deviation (of about one candidate where there is none)."""

    candidates: int
    total: float
    error: float


@dataclass(frozen=True)
class Mode:
    """One decay.

    lost: simulated candidates that are selected as signal. seen: simulated candidates of its control sample, None for a
    decay without one. control: candidates of the control sample in data, None without data.
    branching_fraction_error: relative; used only where a decay is tied to others.
    """

    name: str
    lost: Counted
    seen: Counted | None = None
    control: int | None = None
    branching_fraction_error: float = 0.0


@dataclass(frozen=True)
class RatioUncertainty:
    """Relative uncertainty of the lost or of the seen candidates of ``modes``, all of them moving together."""

    name: str
    effect: float
    of: Literal["lost", "seen"]
    modes: tuple[str, ...]


@dataclass(frozen=True)
class Shift:
    """Change of each mode's yield when one independent source of uncertainty moves by its standard deviation."""

    name: str
    kind: Kind
    by_mode: tuple[float, ...]

    @property
    def total(self) -> float:
        return math.fsum(self.by_mode)


@dataclass(frozen=True)
class PeakingYield:
    """statistical: of the control sample and of the simulation."""

    value: float
    statistical: float
    systematic: float

    @property
    def error(self) -> float:
        return math.hypot(self.statistical, self.systematic)


@dataclass(frozen=True)
class PredictedMode:
    """``lost``: by simulation alone, which is what the prediction is to be compared with.

    seen, control: of its control sample in simulation and as counted, of all control samples together where ``tied``.
    ratio_error: of the simulated sample's size.
    """

    name: str
    lost: Counted
    seen: Counted
    control: float
    tied: bool
    ratio: float
    ratio_error: float
    predicted: PeakingYield


@dataclass(frozen=True)
class PeakingPrediction:
    """``from_data``: whether the control samples were counted in data; else their simulated size stands in for them."""

    modes: tuple[PredictedMode, ...]
    total: PeakingYield
    shifts: tuple[Shift, ...]
    from_data: bool

    @cached_property
    def effects(self) -> dict[str, float]:
        """Nuisance parameter -> relative change of the total at +1 standard deviation.

        Sources that only ever act on the total, the sizes of samples, are one parameter per kind.
        """
        sizes = {
            name: math.hypot(*(shift.total for shift in self.shifts if shift.kind == kind))
            for name, kind in ((CONTROL, "control"), (SIMULATION, "simulation"))
        }
        named = {shift.name: shift.total for shift in self.shifts if shift.kind == "systematic"}
        return {name: change / self.total.value for name, change in {**sizes, **named}.items() if change}

    @cached_property
    def covariance(self) -> Array:
        """``(n_modes, n_modes)``, of the modes' predicted yields, all sources together."""
        shifts = np.array([shift.by_mode for shift in self.shifts])
        return np.asarray(shifts.T @ shifts)

    def ratio(self, mode: str, to: str) -> tuple[float, float]:
        """Of two modes' yields, and its error, correlations counted; NaN to a mode of which nothing is predicted."""
        names = [each.name for each in self.modes]
        i, j = names.index(mode), names.index(to)
        above, below = (self.modes[k].predicted.value for k in (i, j))
        if not below:
            return math.nan, math.nan
        value, covariance = above / below, self.covariance
        variance = covariance[i, i] - 2.0 * value * covariance[i, j] + value**2 * covariance[j, j]
        return value, math.sqrt(variance) / below

    def to_json(self) -> dict[str, Any]:
        return {
            "total": asdict(self.total),
            "modes": [asdict(mode) for mode in self.modes],
            "effects": self.effects,
            "from_data": self.from_data,
        }


def predict_peaking(modes: Sequence[Mode], uncertainties: Sequence[RatioUncertainty] = ()) -> PeakingPrediction:
    """The yield of every mode and of all together, with what each source of uncertainty does to it, to first order.

    Raises :class:`FitError` where no mode has a control sample or some have data and others not, and
    :class:`EmptySampleError` where a control sample is empty in simulation or nothing at all is predicted.
    """
    _check(modes)
    counts = _Counts(tuple(modes))
    total = float(counts.predicted.sum())
    if not total > 0:
        lost = ", ".join(f"{mode.name} {mode.lost.candidates}" for mode in modes)
        raise EmptySampleError(
            f"the predicted peaking background is {total:g} candidates (simulated and selected: {lost})",
            where="fit.peaking",
            hint="Simulate more of the peaking samples, or leave fit.peaking out.",
        )
    shifts = (*_control(counts), *_simulation(counts), *_branching_fractions(counts), *_ratios(counts, uncertainties))
    return PeakingPrediction(
        modes=tuple(_predicted(counts, i, shifts) for i in range(len(modes))),
        total=_yield(total, [(shift.kind, shift.total) for shift in shifts]),
        shifts=shifts,
        from_data=any(mode.control is not None for mode in modes),
    )


def _check(modes: Sequence[Mode]) -> None:
    with_control = [mode for mode in modes if mode.seen is not None]
    if not with_control:
        raise FitError("none of the modes of the peaking background has a control sample", where="fit.peaking.control")
    if len({mode.control is None for mode in with_control}) > 1:
        raise FitError("some control samples were counted in data and others were not", where="fit.peaking.control")
    for mode in with_control:
        if mode.seen is not None and not mode.seen.total > 0:
            raise EmptySampleError(
                f"no simulated candidate is in the control sample of '{mode.name}'",
                where=mode.name,
                hint="Loosen its cuts `seen`, or simulate more of the peaking samples.",
            )


@dataclass(frozen=True)
class _Counts:
    """All modes at once; arrays are ``(n_modes,)``, 0 in what belongs to a control sample for a mode without one."""

    modes: tuple[Mode, ...]

    @cached_property
    def lost(self) -> Array:
        return np.array([mode.lost.total for mode in self.modes])

    @cached_property
    def seen(self) -> Array:
        return np.array([mode.seen.total if mode.seen else 0.0 for mode in self.modes])

    @cached_property
    def control(self) -> Array:
        return np.array([s if mode.control is None else mode.control for mode, s in zip(self.modes, self.seen, strict=True)])

    @cached_property
    def tied(self) -> NDArray[np.bool_]:
        return np.array([mode.seen is None for mode in self.modes])

    @cached_property
    def uses(self) -> NDArray[np.bool_]:
        """``(n_modes, n_modes)``: whether the row's mode is predicted from the column's control sample."""
        return np.where(self.tied[:, None], ~self.tied, np.eye(len(self.modes), dtype=np.bool_))

    @cached_property
    def share(self) -> Array:
        """``(n_modes, n_modes)``: part of the column's control sample among all that the row's mode is predicted from."""
        return np.asarray(self.uses * self.seen / (self.uses @ self.seen)[:, None])

    @cached_property
    def per_control(self) -> Array:
        """Lost candidates for each one of the control samples that the mode is predicted from."""
        return np.asarray(self.lost / (self.uses @ self.seen))

    @cached_property
    def predicted(self) -> Array:
        return np.asarray(self.uses @ self.control * self.per_control)

    def shifts(self, prefix: str, kind: Kind, changes: Array) -> Iterator[Shift]:
        """``changes (n_modes, n_modes)``: of the row's yield by a source that belongs to the column's mode."""
        for mode, by_mode in zip(self.modes, changes.T, strict=True):
            if by_mode.any():
                yield Shift(f"{prefix}{mode.name}", kind, tuple(map(float, by_mode)))


def _control(counts: _Counts) -> Iterator[Shift]:
    """Poisson; of one candidate where there is none."""
    error = np.sqrt(np.maximum(counts.control, 1.0))
    yield from counts.shifts("control_", "control", counts.uses * error * counts.per_control[:, None])


def _simulation(counts: _Counts) -> Iterator[Shift]:
    seen = np.array([mode.seen.error / mode.seen.total if mode.seen else 0.0 for mode in counts.modes])
    yield from counts.shifts("seen_", "simulation", -counts.predicted[:, None] * counts.share * seen)
    lost = (
        np.array([mode.lost.error for mode in counts.modes]) * (counts.uses @ counts.control) / (counts.uses @ counts.seen)
    )
    yield from counts.shifts("lost_", "simulation", np.diag(lost))


def _branching_fractions(counts: _Counts) -> Iterator[Shift]:
    """A tied mode moves with its own branching fraction and against those that it is tied to."""
    error = np.array([mode.branching_fraction_error for mode in counts.modes])
    moves = counts.tied[:, None] * (np.eye(len(counts.modes)) - counts.share)
    yield from counts.shifts(BRANCHING_FRACTION, "systematic", counts.predicted[:, None] * moves * error)


def _ratios(counts: _Counts, uncertainties: Iterable[RatioUncertainty]) -> Iterator[Shift]:
    """Where more is seen than simulated, less is lost for every candidate seen."""
    for each in uncertainties:
        touched = np.array([mode.name in each.modes for mode in counts.modes])
        moves = touched if each.of == "lost" else -(counts.share @ touched)
        yield Shift(each.name, "systematic", tuple(map(float, counts.predicted * moves * each.effect)))


def _predicted(counts: _Counts, i: int, shifts: Iterable[Shift]) -> PredictedMode:
    mode = counts.modes[i]
    seen = _sum([other.seen for other, used in zip(counts.modes, counts.uses[i], strict=True) if used and other.seen])
    ratio = mode.lost.total / seen.total
    return PredictedMode(
        name=mode.name,
        lost=mode.lost,
        seen=seen,
        control=float(counts.uses[i] @ counts.control),
        tied=bool(counts.tied[i]),
        ratio=ratio,
        ratio_error=math.hypot(mode.lost.error / seen.total, ratio * seen.error / seen.total),
        predicted=_yield(float(counts.predicted[i]), [(shift.kind, shift.by_mode[i]) for shift in shifts]),
    )


def _sum(counted: Sequence[Counted]) -> Counted:
    return Counted(
        sum(each.candidates for each in counted),
        math.fsum(each.total for each in counted),
        math.sqrt(math.fsum(each.error**2 for each in counted)),
    )


def _yield(value: float, changes: Sequence[tuple[Kind, float]]) -> PeakingYield:
    statistical = math.hypot(*(change for kind, change in changes if kind != "systematic"))
    systematic = math.hypot(*(change for kind, change in changes if kind == "systematic"))
    return PeakingYield(value, statistical, systematic)
