"""The signal of a training over a range of masses: which masses were simulated, and how many events of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mlbkg.config.schema import Config
from mlbkg.errors import EmptySampleError, WeightError
from mlbkg.ntuples.files import metadata
from mlbkg.samples.hypotheses import group_masses, number_among
from mlbkg.samples.normalisation import Hypothesis, generated_per_hypothesis, summed_over_samples
from mlbkg.samples.sample import Sample
from mlbkg.samples.source import SampleSource
from mlbkg.samples.weights import spelled_hypothesis

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SearchedSignal:
    """simulated: ``(k, n_axes)`` masses in GeV, rising; generated: ``(k,)`` events of each.

    mass: ``(n, n_axes)`` of each candidate, the same for all of one hypothesis, NaN for background. weight: ``(n,)``,
    physics weights of the background, and for the signal those of a cross section of 1 fb at each mass: they sum to its
    efficiency times the luminosity.
    """

    simulated: Array
    generated: Array
    mass: Array
    weight: Array

    def part(self, rows: NDArray[np.intp], *, share: float) -> SearchedSignal:
        """Of some candidates, which are from ``share`` of the events."""
        return replace(self, generated=self.generated * share, mass=self.mass[rows], weight=self.weight[rows] / share)


def searched_signal(
    config: Config, sources: Sequence[SampleSource], sample: Sample, source: NDArray[np.int16]
) -> SearchedSignal:
    """``source``: ``(n,)`` which of ``sources`` a candidate is from. The config has the section ``scan``.

    Raises :class:`WeightError` for candidates without a true mass or with one that was not generated, and where it is not
    known how many events were; :class:`EmptySampleError` for a mass without candidates.
    """
    assert config.scan is not None
    assert config.luminosity_per_fb is not None
    names = tuple(axis.truth for axis in config.scan.axes)
    signal = np.flatnonzero(sample.label == 1)
    truth = np.column_stack([sample.truth[name][signal] for name in names])
    _require_known(truth, names)
    generated = _generated(config, sources, truth, source[signal])
    simulated, events = np.array(list(generated)), np.array(list(generated.values()))
    which = number_among(simulated, truth)
    _require_all(simulated, truth, which, names)
    mass, weight = np.full((len(sample), len(names)), np.nan), sample.weight.copy()
    mass[signal] = simulated[which]
    scale = np.array([each.scale for each in sources])[source[signal]]
    weight[signal] *= config.luminosity_per_fb / (scale * events[which])
    return SearchedSignal(simulated, events, mass, weight)


def _generated(
    config: Config, sources: Sequence[SampleSource], truth: Array, source: NDArray[np.int16]
) -> dict[Hypothesis, float]:
    """Of all signal samples together."""
    stated = {sample.name: sample.generated_events for sample in config.samples}
    return summed_over_samples(
        [
            generated_per_hypothesis(
                of.name,
                stated=stated[of.name],
                metadata=[(file, metadata(file)) for file in of.files],
                hypotheses=group_masses(truth[source == number])[0],
            )
            for number, of in enumerate(sources)
            if of.label == 1
        ]
    )


def _require_known(truth: Array, names: Sequence[str]) -> None:
    unknown = np.count_nonzero(~np.isfinite(truth).all(axis=1))
    if unknown:
        raise WeightError(
            f"{unknown} of {len(truth)} signal candidates have no true mass in {', '.join(names)}",
            where="scan.axes",
            hint="Every signal sample needs them; leave out background in the signal files by the sample's `cut:`.",
        )


def _require_all(simulated: Array, truth: Array, which: NDArray[np.intp], names: Sequence[str]) -> None:
    """Every candidate has a mass that was generated, and every such mass has candidates."""
    other = np.flatnonzero(which < 0)
    if len(other):
        raise WeightError(
            f"{len(other)} of {len(truth)} signal candidates have a mass of which no event was generated, the first at "
            f"{spelled_hypothesis(truth[other[0]], names)}",
            where="scan.axes",
            hint="Set scan.axes[].truth to the branches with the generated masses, in the order of the sample's `masses`.",
        )
    empty = np.flatnonzero(np.bincount(which, minlength=len(simulated)) == 0)
    if len(empty):
        raise EmptySampleError(
            f"no candidate is left of {len(empty)} of {len(simulated)} simulated masses",
            details=[spelled_hypothesis(simulated[row], names) for row in empty],
            where="training",
            hint="Take them out of the sample's masses, simulate more of them, or loosen the preselection.",
        )
