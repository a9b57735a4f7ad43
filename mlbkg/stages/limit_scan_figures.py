"""The figures of the limits of a scan."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mlbkg.config.schema import Config
from mlbkg.limits.hypotheses import Array
from mlbkg.limits.plane_projections import evenly_fixed, projections
from mlbkg.physics.coupling import COUPLINGS
from mlbkg.report import plane_figures
from mlbkg.report.quantity import Quantity
from mlbkg.report.scan_figures import (
    CouplingLimits,
    draw_coupling_limits,
    draw_cross_section_limits,
    draw_expected_couplings,
)
from mlbkg.report.scan_tables import METHODS
from mlbkg.report.style import Caption
from mlbkg.stages.fit_figures import caption_of
from mlbkg.stages.scan_figures import all_drawn, mass_quantity, plane_axes

if TYPE_CHECKING:
    from mlbkg.stages.limit_scan import CouplingLimit, ScanLimits

PROJECTIONS = 5
"""Of a plane along each axis, at fixed values of the other mass."""


def draw_limit_scan_stage(config: Config, found: ScanLimits, folder: Path) -> tuple[Path, ...]:
    assert config.scan is not None
    return all_drawn(_of_windows(config, found) if len(config.scan.axes) == 1 else _of_plane(config, found), folder)


def _of_windows(config: Config, found: ScanLimits) -> dict[str, Callable[[Path], Path]]:
    """Cross sections; for each parameter what is expected by all methods, then for each method one figure with its bands."""
    assert config.scan is not None
    caption, mass, masses = caption_of(config), mass_quantity(config.scan.axes[0]), found.searched.experiments.masses[:, 0]
    drawn: dict[str, Callable[[Path], Path]] = {
        "cross_section_limits": lambda path: draw_cross_section_limits(
            masses, found.limits, found.quantity, mass, path, caption=caption
        )
    }
    for symbol in dict.fromkeys(limit.symbol for limit in found.couplings):
        of_symbol = [limit for limit in found.couplings if limit.symbol == symbol]
        drawn[f"{of_symbol[0].name}_expected"] = partial(_draw_expected, of_symbol, found, mass, caption)
        for method in (limit.method for limit in found.limits):
            of_both = [limit for limit in found.couplings if (limit.symbol, limit.method) == (symbol, method)]

            def draw(path: Path, *, chosen: list[CouplingLimit] = of_both) -> Path:
                return draw_coupling_limits(
                    masses,
                    [_with_published(limit, found) for limit in chosen],
                    Quantity(chosen[0].symbol),
                    mass,
                    path,
                    caption=caption,
                    method=chosen[0].method,
                    confidence_level=found.confidence_level,
                )

            drawn[f"{of_both[0].name}_limits_{method}"] = draw
    return drawn


def _draw_expected(limits: list[CouplingLimit], found: ScanLimits, mass: Quantity, caption: Caption, path: Path) -> Path:
    by_method = {
        method: [_with_published(limit, found) for limit in limits if limit.method == method]
        for method in dict.fromkeys(limit.method for limit in limits)
    }
    return draw_expected_couplings(
        found.searched.experiments.masses[:, 0],
        by_method,
        Quantity(limits[0].symbol),
        mass,
        path,
        caption=caption,
        confidence_level=found.confidence_level,
    )


def _with_published(limit: CouplingLimit, found: ScanLimits) -> CouplingLimits:
    return CouplingLimits(
        assumption=limit.assumption,
        observed=limit.observed,
        expected=limit.expected,
        published={
            other.name: (other.mass, other.limit, other.kind) for other in found.published if other.coupling == limit.name
        },
        favoured=COUPLINGS[limit.name].favoured,
    )


def _of_plane(config: Config, found: ScanLimits) -> dict[str, Callable[[Path], Path]]:
    """Maps of the first method's limits, observed where there are data, and their projections."""
    first = found.limits[0]
    drawn: dict[str, Callable[[Path], Path]] = {}
    curves = {"cross_section": (found.quantity, first.observed, first.expected)}
    for limit in found.couplings:
        if limit.method == first.method:
            curves[limit.name] = (Quantity(limit.symbol), limit.observed, limit.expected)
    for name, (quantity, observed, expected) in curves.items():
        drawn |= _maps(config, found, name, quantity, observed=observed, expected=expected)
    return drawn


def _maps(
    config: Config, found: ScanLimits, name: str, quantity: Quantity, *, observed: Array | None, expected: Array
) -> dict[str, Callable[[Path], Path]]:
    caption, plane, experiments = caption_of(config), plane_axes(config, found.searched.sqrt_s), found.searched.experiments
    shown = expected[2] if observed is None else observed
    kind = "expected" if observed is None else "observed"
    told = f"{100 * found.confidence_level:g} % {kind} limit, {METHODS[found.limits[0].method]},"
    finite = np.where(np.isfinite(shown), shown, np.inf)
    lines = {
        kind: [
            part
            for along in (0, 1)
            for part in projections(
                experiments.masses, finite, along=along,
                fixed=evenly_fixed(experiments.masses, along=along, number=PROJECTIONS),
            )
        ]
    }  # fmt: skip
    return {
        f"{name}_map": lambda path: plane_figures.draw_limit_map(
            experiments, finite, quantity, plane, path, caption=caption, told=told
        ),
        f"{name}_projections": lambda path: plane_figures.draw_projections(
            lines, quantity, plane, path, caption=caption, told=told
        ),
    }
