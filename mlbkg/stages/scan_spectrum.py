"""The background of a scan as a spectrum, what stands for data where there are none, and uncertainties of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mlbkg.config.scan import Injected, PseudoData
from mlbkg.config.statistics import Systematic
from mlbkg.evaluation.peaks import Peaks, interpolate
from mlbkg.limits.hypotheses import Effect
from mlbkg.limits.spectrum import Spectrum, smooth_spectrum
from mlbkg.stages.scan_inputs import ScanInputs, Selected

Array = NDArray[np.float64]


def resolution_at(values: Array, peaks: Peaks) -> Array:
    """``(n, n_axes)`` of a signal that is seen at ``values`` ``(n, n_axes)`` of the scanned variables."""
    powers = np.array(peaks.power)
    masses = np.maximum(values, 0.0) ** (1 / powers)
    return peaks.width_at(np.clip(masses, peaks.masses.min(axis=0), peaks.masses.max(axis=0)))


def background_spectrum(inputs: ScanInputs, peaks: Peaks) -> Spectrum:
    background = inputs.background
    return smooth_spectrum(
        background.values,
        background.weight,
        background.sample,
        background.event,
        resolution=resolution_at(background.values, peaks),
        n_samples=len(background.names),
    )


def with_pseudo_data(inputs: ScanInputs, spectrum: Spectrum, peaks: Peaks, wanted: PseudoData | None) -> ScanInputs:
    """``inputs`` with candidates drawn from the background, and from the signal where it is injected; as they are where
    there are data, or none are ``wanted``."""
    if inputs.data is not None or wanted is None:
        return inputs
    rng = np.random.default_rng(wanted.seed)
    values, sample = spectrum.draw(rng)
    parts = [values, *(_injected(inputs, peaks, signal, rng) for signal in wanted.inject)]
    together = np.concatenate(parts)
    names = (*inputs.background.names, *(["injected"] if wanted.inject else []))
    number = np.full(len(together), len(inputs.background.names), dtype=np.int16)
    number[: len(values)] = sample
    data = Selected(together, np.ones(len(together)), number, np.arange(len(together)), names)
    return replace(inputs, data=data, dataset="pseudo-data")


def effects_of(systematics: Sequence[Systematic], content: Array, names: Sequence[str]) -> tuple[Effect, ...]:
    """``content``: ``(n_samples, n)`` background candidates in each window, by the samples ``names``: an effect on some of
    them counts by their share."""
    total = content.sum(axis=0)
    nothing = np.zeros(len(total))
    effects = []
    for source in systematics:
        assert source.effect is not None  # a scan has no others, as the config's check has told
        touched = np.array([not source.samples or name in source.samples for name in names])
        share = np.divide(content[touched].sum(axis=0), total, out=nothing.copy(), where=total > 0)
        effects.append(
            Effect(
                name=source.name,
                signal=nothing + source.effect if "signal" in source.on else nothing,
                background=source.effect * share if "background" in source.on else nothing,
            )
        )
    return tuple(effects)


def _injected(inputs: ScanInputs, peaks: Peaks, signal: Injected, rng: Generator) -> Array:
    """Candidates of the nearest simulated mass, moved to where the injected one peaks; as many as are selected there."""
    mass = np.array([signal.masses])
    distance = np.abs(inputs.simulated - mass) / np.maximum(np.ptp(inputs.simulated, axis=0), 1e-9)
    nearest = inputs.simulated[distance.max(axis=1).argmin()][None, :]
    selected = np.array([inputs.signal.weight[(inputs.masses == m).all(axis=1)].sum() for m in inputs.simulated])
    expected = signal.cross_section_fb * float(interpolate(inputs.simulated, selected, mass)[0])
    rows = np.flatnonzero((inputs.masses == nearest).all(axis=1))
    weight = np.clip(inputs.signal.weight[rows], 0, None)
    drawn = rng.choice(rows, size=rng.poisson(expected), p=weight / weight.sum())
    return np.asarray(inputs.signal.values[drawn] + peaks.position_at(mass) - peaks.position_at(nearest))
