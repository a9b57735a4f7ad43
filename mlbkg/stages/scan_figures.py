"""The figures of the stages ``scan`` and ``limit`` of a search over masses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from mlbkg.config.scan import Axis
from mlbkg.config.schema import Config
from mlbkg.limits.hypotheses import Array
from mlbkg.report import plane_figures
from mlbkg.report.quantity import Quantity
from mlbkg.report.scan_figures import SpectrumView, draw_expectation, draw_local_p, draw_spectrum
from mlbkg.stages.fit_figures import caption_of
from mlbkg.stages.scan_plane import PlaneExperiments, plane_of
from mlbkg.stages.scan_search import ScanInHand
from mlbkg.stages.scan_searched import Searched
from mlbkg.stages.scan_windows import WindowExperiments
from mlbkg.stages.sources import recipe_of

SPECTRUM_BINS = 80
SIGNALS_SHOWN = 3
NO_DATA = "expected"


def mass_quantity(axis: Axis) -> Quantity:
    return Quantity(axis.symbol, "GeV")


def variable_quantity(config: Config, axis: Axis) -> Quantity:
    return Quantity(axis.variable, recipe_of(config).library[axis.variable].unit)


def plane_axes(config: Config, sqrt_s: float) -> plane_figures.PlaneAxes:
    """Of a scan with two axes."""
    assert config.scan is not None
    (first, second), plane = config.scan.axes, plane_of(config.scan, sqrt_s)
    return plane_figures.PlaneAxes(
        masses=(mass_quantity(first), mass_quantity(second)),
        variables=(variable_quantity(config, first), variable_quantity(config, second)),
        power=(first.power, second.power),
        ordered=plane.ordered,
        total=plane.total,
    )


def draw_windows_stage(hand: ScanInHand, searched: Searched, found: WindowExperiments, folder: Path) -> tuple[Path, ...]:
    """The spectrum with its windows, what is expected in them, and local p values where there are data."""
    assert hand.config.scan is not None
    caption, mass = caption_of(hand.config), mass_quantity(hand.config.scan.axes[0])
    masses, excesses, name = searched.experiments.masses[:, 0], searched.excesses, _data_name(searched)
    simulated = {"mass": found.simulated.mass, "efficiency": found.simulated.efficiency, "error": found.simulated.error}
    drawn: dict[str, Callable[[Path], Path]] = {
        "spectrum": lambda path: draw_spectrum(_spectrum_view(hand, searched), path, caption=caption),
        "expectation": lambda path: draw_expectation(
            searched.experiments, simulated, mass, path, caption=caption, data_name=name
        ),
    }
    if excesses is not None:
        drawn["local_p"] = lambda path: draw_local_p(masses, excesses, mass, path, caption=caption, data_name=name)
    return all_drawn(drawn, folder)


def draw_plane_stage(hand: ScanInHand, searched: Searched, found: PlaneExperiments, folder: Path) -> tuple[Path, ...]:
    """Counts in the cells, and significances where there are data."""
    caption, plane, name = caption_of(hand.config), plane_axes(hand.config, searched.sqrt_s), _data_name(searched)
    excesses, experiments = searched.excesses, searched.experiments
    candidates = None if hand.inputs.data is None else hand.inputs.data.values
    drawn: dict[str, Callable[[Path], Path]] = {
        "counts": lambda path: plane_figures.draw_counts(
            experiments, candidates, plane, path, caption=caption, data_name=name
        )
    }
    if excesses is not None:
        drawn["significance"] = lambda path: plane_figures.draw_significance(
            experiments, excesses, plane, path, caption=caption, data_name=name
        )
    return all_drawn(drawn, folder)


def all_drawn(drawn: Mapping[str, Callable[[Path], Path]], folder: Path) -> tuple[Path, ...]:
    folder.mkdir(parents=True, exist_ok=True)
    return tuple(draw(folder / f"{name}.png") for name, draw in drawn.items())


def _data_name(searched: Searched) -> str:
    return NO_DATA if searched.dataset == "none" else searched.dataset


def _spectrum_view(hand: ScanInHand, searched: Searched) -> SpectrumView:
    assert hand.config.scan is not None
    inputs, experiments = hand.inputs, searched.experiments
    edges = np.linspace(experiments.low.min(), experiments.high.max(), SPECTRUM_BINS + 1)
    content = hand.spectrum.content(edges[:-1, None], edges[1:, None])
    categories = {sample.name: sample.category or sample.name for sample in hand.config.samples}
    background: dict[str, Array] = {}
    for name, of_sample in zip(inputs.background.names, content, strict=True):
        background[categories[name]] = background.get(categories[name], 0.0) + of_sample
    return SpectrumView(
        variable=variable_quantity(hand.config, hand.config.scan.axes[0]),
        edges=edges,
        background=background,
        data=None if inputs.data is None else np.histogram(inputs.data.values[:, 0], edges)[0].astype(np.float64),
        data_name=_data_name(searched),
        signals=_signals(hand, searched, edges),
        low=experiments.low[:, 0],
        high=experiments.high[:, 0],
        excess=None if searched.excesses is None else searched.excesses.largest,
    )


def _signals(hand: ScanInHand, searched: Searched, edges: Array) -> dict[str, Array]:
    """Some simulated masses, with the power of ten of a cross section that leaves about as many as the background."""
    assert hand.config.scan is not None
    inputs, experiments, axis = hand.inputs, searched.experiments, hand.config.scan.axes[0]
    per_fb, background = float(np.median(experiments.signal_per_fb)), float(np.median(experiments.background))
    cross_section = 10.0 ** np.ceil(np.log10(max(background, 1.0) / max(per_fb, 1e-12)))
    inside = (inputs.simulated[:, 0] >= axis.range[0]) & (inputs.simulated[:, 0] <= axis.range[1])
    masses = inputs.simulated[inside]
    shown = masses[np.linspace(0, len(masses) - 1, SIGNALS_SHOWN + 2).round().astype(int)[1:-1]] if len(masses) else masses
    signals = {}
    for mass in np.unique(shown, axis=0):
        rows = (inputs.masses == mass).all(axis=1)
        weight = cross_section * inputs.signal.weight[rows]
        label = f"{axis.symbol} = {mass[0]:g} GeV, {cross_section:g} fb"
        signals[label] = np.histogram(inputs.signal.values[rows, 0], edges, weights=weight)[0]
    return signals
