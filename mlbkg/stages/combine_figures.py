"""The figures of a combination."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mlbkg.config.schema import Config
from mlbkg.limits.hypotheses import Array, UpperLimits
from mlbkg.limits.plane_projections import Projection, evenly_fixed, projections
from mlbkg.report.combination_figures import EXPECTED, draw_combined
from mlbkg.report.plane_figures import draw_limit_map, draw_projections
from mlbkg.report.quantity import Quantity
from mlbkg.stages.fit_figures import caption_of
from mlbkg.stages.scan_figures import all_drawn, mass_quantity, plane_axes

if TYPE_CHECKING:
    from mlbkg.stages.combine import Combined

PROJECTIONS = 3
"""At fixed values of the other mass; each is drawn for every data set and for all together."""


def draw_combination_stage(config: Config, found: Combined, folder: Path) -> tuple[Path, ...]:
    """Of one mass: limits with bands. Of two: a map of each data set and of all, and projections."""
    assert config.scan is not None
    return all_drawn(_of_windows(config, found) if len(config.scan.axes) == 1 else _of_plane(config, found), folder)


def _of_windows(config: Config, found: Combined) -> dict[str, Callable[[Path], Path]]:
    assert config.scan is not None
    mass = mass_quantity(config.scan.axes[0])
    alone = {one.name: one.limits for one in found.alone}
    caption = replace(caption_of(config), luminosity_per_fb=None)
    return {
        "combined": lambda path: draw_combined(
            found.experiments.masses[:, 0], alone, found.combined, Quantity(found.symbol), mass, path, caption=caption
        )
    }


def _of_plane(config: Config, found: Combined) -> dict[str, Callable[[Path], Path]]:
    quantity, experiments = Quantity(found.symbol), found.experiments
    plane = plane_axes(config, max(one.sqrt_s for one in found.alone))
    observed = found.combined.observed is not None
    told = f"{100 * found.confidence_level:g} % Bayesian limit, {'observed' if observed else 'expected'},"
    shared = replace(caption_of(config), luminosity_per_fb=None)
    parts = {one.name: one.limits for one in found.alone} | {"combined": found.combined}
    shown = {name: _shown(limits, observed=observed) for name, limits in parts.items()}
    drawn: dict[str, Callable[[Path], Path]] = {}
    for name, limit in shown.items():
        own = next((one.luminosity_per_fb for one in found.alone if one.name == name), None)
        caption = replace(shared, luminosity_per_fb=own)
        drawn[f"{name}_map"] = partial(
            draw_limit_map, experiments, limit, quantity, plane, caption=caption, told=f"{name}: {told}"
        )
    lines = {name: _projected(experiments.masses, limit) for name, limit in shown.items()}
    drawn["projections"] = lambda path: draw_projections(lines, quantity, plane, path, caption=shared, told=told)
    return drawn


def _shown(limits: UpperLimits, *, observed: bool) -> Array:
    return limits.observed if observed and limits.observed is not None else limits.expected[EXPECTED]


def _projected(masses: Array, limit: Array) -> list[Projection]:
    return [
        found
        for along in (0, 1)
        for found in projections(masses, limit, along=along, fixed=evenly_fixed(masses, along=along, number=PROJECTIONS))
    ]
