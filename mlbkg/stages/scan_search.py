"""What is looked for in a scan: by windows along one axis, or by cells of a plane."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mlbkg.config.schema import Config
from mlbkg.evaluation.peaks import Peaks
from mlbkg.limits.cell_toys import draw_counts
from mlbkg.limits.excesses import Excesses, excesses
from mlbkg.limits.hypotheses import Array, Experiments
from mlbkg.limits.many import local_p_values, significances
from mlbkg.limits.spectrum import Spectrum
from mlbkg.stages.scan_inputs import ScanInputs
from mlbkg.stages.scan_plane import PlaneExperiments, plane_experiments
from mlbkg.stages.scan_searched import Searched
from mlbkg.stages.scan_significance import Estimates, expected_for, method_of, observed_in, search, spurious_signals
from mlbkg.stages.scan_windows import WindowExperiments, window_experiments

TOYS_STREAM = 1
"""Beside the config's seed, so that toys and pseudo-data of one seed are independent."""


@dataclass(frozen=True)
class ScanInHand:
    """What a scan is made of, for its figures."""

    config: Config
    inputs: ScanInputs
    peaks: Peaks
    spectrum: Spectrum


def search_windows(hand: ScanInHand) -> tuple[Searched, WindowExperiments]:
    """One axis."""
    inputs, config = hand.inputs, hand.config
    assert config.scan is not None
    found = window_experiments(inputs, hand.peaks, hand.spectrum, config)
    if inputs.data is None:
        return _searched(hand, found.experiments, found.content), found
    method = method_of(found, inputs, hand.peaks, hand.spectrum, config)
    expected = expected_for(method, inputs, hand.spectrum, config)
    toys = expected.draw(config.scan.toys, _rng(config))
    excess, estimates = search(method, observed_in(method.edges, inputs), method.estimate(toys).z, above=config.scan.excess)
    searched = _searched(hand, found.experiments, found.content, excess, _in_fb(estimates, found))
    return replace(searched, spurious=spurious_signals(method, expected)), found


def search_plane(hand: ScanInHand) -> tuple[Searched, PlaneExperiments]:
    """Two axes."""
    config = hand.config
    assert config.scan is not None
    found = plane_experiments(hand.inputs, hand.peaks, hand.spectrum, config)
    experiments = found.experiments
    if experiments.observed is None:
        return _searched(hand, experiments, found.content), found
    of_toys = significances(local_p_values(experiments, draw_counts(experiments, config.scan.toys, _rng(config))))
    z = significances(local_p_values(experiments))
    excess = excesses(z, of_toys, above=config.scan.excess, in_line=False)
    return _searched(hand, experiments, found.content, excess, _counted_in_fb(experiments)), found


def _rng(config: Config) -> np.random.Generator:
    return np.random.default_rng([config.seed, TOYS_STREAM])


def _in_fb(estimates: Estimates, found: WindowExperiments) -> tuple[Array, Array]:
    return estimates.signal / found.selected_per_fb, estimates.error / found.selected_per_fb


def _counted_in_fb(experiments: Experiments) -> tuple[Array, Array]:
    """Best estimate and error where something of the signal is selected, NaN elsewhere."""
    assert experiments.observed is not None
    per_fb = np.where(experiments.signal_per_fb > 0, experiments.signal_per_fb, np.nan)
    error = np.hypot(np.sqrt(np.maximum(experiments.observed, 1)), experiments.background_error)
    return (experiments.observed - experiments.background) / per_fb, error / per_fb


def _searched(
    hand: ScanInHand,
    experiments: Experiments,
    content: Array,
    excess: Excesses | None = None,
    estimate: tuple[Array, Array] | None = None,
) -> Searched:
    assert hand.config.scan is not None
    return Searched(
        dataset=hand.inputs.dataset,
        axes=tuple(axis.name for axis in hand.config.scan.axes),
        sqrt_s=hand.inputs.sqrt_s,
        luminosity_per_fb=hand.inputs.luminosity_per_fb,
        experiments=experiments,
        samples=hand.inputs.background.names,
        content=content,
        excesses=excess,
        cross_section_fb=None if estimate is None else estimate[0],
        cross_section_error_fb=None if estimate is None else estimate[1],
        spurious=None,
    )
