"""What the sections ``fit``, ``systematics`` and ``limit`` of a config stand for, in training and after the selection."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from mlbkg.config.schema import Config
from mlbkg.config.statistics import ShapeConfig, Systematic
from mlbkg.fitting.base import SHAPES, Sampled, Shape, Window
from mlbkg.report.quantity import Quantity


def shape_of(wanted: ShapeConfig, window: Window, sampled: Callable[[str], Sampled]) -> Shape:
    """``sampled("name")``: values and weights of that sample's candidates, for shapes that are made of one."""
    family = SHAPES[wanted.shape]
    return family.build(family.params.model_validate(wanted.settings), window, sampled)


def effects_on(component: str, systematics: Iterable[Systematic]) -> dict[str, float]:
    """Nuisance -> relative change of the component's rate at +1 standard deviation."""
    return {source.name: source.effect for source in systematics if source.effect is not None and component in source.on}


def in_quadrature(sizes: Iterable[float | None]) -> float:
    """Independent uncertainties together; None is none."""
    return math.hypot(*(size for size in sizes if size is not None))


def quantity_of(config: Config) -> Quantity:
    """What ``limit`` is on."""
    return Quantity(config.limit.symbol, "fb" if config.limit.quantity == "cross_section" else "")
