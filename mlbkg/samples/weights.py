"""Physics weights, what to do with negative ones, and the balanced weights that classifiers train on.

Physics weights go into every yield, efficiency and limit; training weights into nothing but the training.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mlbkg.errors import WeightError
from mlbkg.samples.hypotheses import group_masses

log = logging.getLogger(__name__)

FB_PER_NB = 1e6

NegativePolicy = Literal["error", "absolute", "drop"]


@dataclass(frozen=True)
class NegativeWeightReport:
    """What a policy did: the yield of the training candidates is ``sum_before`` without it, ``sum_after`` with it."""

    policy: NegativePolicy
    n_total: int
    n_negative: int
    sum_before: float
    sum_after: float


def physics_weight(cross_section_nb: float, luminosity_per_fb: float, generated_events: int) -> float:
    """Events expected in the data for one generated event, σ·L/N. Raises :class:`WeightError` unless all are positive."""
    values = {
        "cross_section_nb": cross_section_nb,
        "luminosity_per_fb": luminosity_per_fb,
        "generated_events": generated_events,
    }
    for name, value in values.items():
        if not (math.isfinite(value) and value > 0):
            raise WeightError(f"{name} must be positive and finite, got {value}", where=name)
    return cross_section_nb * FB_PER_NB * luminosity_per_fb / generated_events


def check_finite(weight: NDArray[np.float64], *, sample: str) -> None:
    """Raise :class:`WeightError` where a weight is NaN or infinite."""
    finite = np.isfinite(weight)
    if not finite.all():
        raise WeightError(
            f"sample '{sample}': {np.count_nonzero(~finite)} of {len(weight)} weights are not finite, "
            f"the first in row {np.argmin(finite)}",
            where=sample,
            hint="Check the sample's `weight:` expression in the config.",
        )


def apply_negative_policy(
    weight: NDArray[np.float64], policy: NegativePolicy, *, sample: str
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NegativeWeightReport]:
    """Weights ``(n,)`` to train with, the mask ``(n,)`` of rows to keep, and what that does to the yield.

    ``error`` raises :class:`WeightError` where a weight is negative, ``absolute`` takes |w|, ``drop`` leaves the row out of
    the training (its returned weight is meaningless). The input is not changed: yields keep the signed weights.
    """
    check_finite(weight, sample=sample)
    negative = weight < 0
    keep = ~negative if policy == "drop" else np.ones(len(weight), dtype=np.bool_)
    after = np.abs(weight) if policy == "absolute" else weight.copy()
    report = NegativeWeightReport(
        policy=policy,
        n_total=len(weight),
        n_negative=int(np.count_nonzero(negative)),
        sum_before=float(weight.sum()),
        sum_after=float(after[keep].sum()),
    )
    if report.n_negative == 0:
        return after, keep, report
    if policy == "error":
        raise _refusal(weight, report, sample)
    log.warning(
        "sample '%s': %d of %d weights are negative; training.negative_weights: %s changes the sum of its training weights "
        "from %.6g to %.6g; yields, efficiencies and limits keep the signed weights",
        sample,
        report.n_negative,
        report.n_total,
        policy,
        report.sum_before,
        report.sum_after,
    )
    return after, keep, report


def flatten(
    weight: NDArray[np.float64], label: NDArray[np.int8], truth: NDArray[np.float64], *, names: Sequence[str]
) -> NDArray[np.float64]:
    """Training weights ``(n,)`` of which every hypothesis of the signal (label 1) has an equal share, its sum kept.

    truth: ``(n, len(names))`` true masses; candidates of one hypothesis have equal rows. That of the background, whose
    weights stay as they are, is not looked at. Raises :class:`WeightError` for signal without a true mass, and for a
    hypothesis whose weights do not sum to anything positive.
    """
    signal = np.flatnonzero(label == 1)
    known = np.isfinite(truth[signal]).all(axis=1)
    if not known.all():
        raise WeightError(
            f"{np.count_nonzero(~known)} of {len(signal)} signal candidates have no true mass in {', '.join(names)}",
            where="training.flatten",
            hint="Every signal sample needs them; leave out background in the signal files by the sample's `cut:`.",
        )
    masses, number = group_masses(truth[signal])
    sums = np.bincount(number, weights=weight[signal], minlength=len(masses))
    empty = np.flatnonzero(~(sums > 0))
    if len(empty):
        raise WeightError(
            f"no training weight is left of {len(empty)} of {len(masses)} hypotheses, the first at "
            f"{spelled_hypothesis(masses[empty[0]], names)}",
            where="training.flatten",
            hint="Simulate more of it, or loosen the preselection.",
        )
    flat = weight.copy()
    flat[signal] *= (sums.sum() / len(masses) / sums)[number]
    return flat


def spelled_hypothesis(masses: Iterable[float], names: Sequence[str]) -> str:
    """``"mc_mass = 4, mc_mass_h = 0.5"``."""
    return ", ".join(f"{name} = {mass:g}" for name, mass in zip(names, masses, strict=True))


def balance(weight: NDArray[np.float64], label: NDArray[np.int8]) -> NDArray[np.float64]:
    """Training weights ``(n,)``: signal (label 1) and background (0) have equal sums, and the mean of all is one.

    Raises :class:`WeightError` where a weight is negative or not finite, or a class is absent or sums to zero.
    """
    check_finite(weight, sample="training")
    if (weight < 0).any():
        raise WeightError(
            f"{np.count_nonzero(weight < 0)} of {len(weight)} training weights are negative",
            hint="Set training.negative_weights to absolute or drop.",
        )
    balanced = np.empty(len(weight), dtype=np.float64)
    for value, name in ((1, "signal"), (0, "background")):
        rows = label == value
        total = float(weight[rows].sum())
        if total <= 0:
            raise WeightError(
                f"the training weights of the {name} ({np.count_nonzero(rows)} candidates) sum to zero", where=name
            )
        balanced[rows] = weight[rows] * (len(weight) / 2 / total)
    return balanced


def _refusal(weight: NDArray[np.float64], report: NegativeWeightReport, sample: str) -> WeightError:
    absolute, dropped = float(np.abs(weight).sum()), float(weight[weight >= 0].sum())
    return WeightError(
        f"sample '{sample}': {report.n_negative} of {report.n_total} weights are negative "
        f"({report.n_negative / report.n_total:.2%}, the smallest {weight.min():.6g}), and no classifier can train on them",
        details=[
            f"training.negative_weights: absolute   trains on |w|: their sum becomes {absolute:.6g} instead of "
            f"{report.sum_before:.6g}",
            f"training.negative_weights: drop       trains without them: the sum becomes {dropped:.6g}",
            "either way, yields, efficiencies and limits keep the signed weights",
        ],
        where=sample,
        hint="Set training.negative_weights to absolute or drop in the config.",
    )
