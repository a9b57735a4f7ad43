"""A histogram of a sample."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mlbkg.errors import FitError
from mlbkg.fitting.base import Array, Sampled, Samples, Shape, ShapeParameter, Window, shape_family
from mlbkg.registry import Field, Params

log = logging.getLogger(__name__)


class TemplateParams(Params):
    sample: str = Field(min_length=1, description="whose candidates are the template")
    bins: int = Field(40, ge=1, le=10_000, description="of equal width over the window; the density is constant in each")


class Template(Shape):
    """Constant in bins of equal width. Beyond the window it goes on as in the outermost bin.

    contents: ``(n_bins,)`` sums of weights, none negative, not all zero.
    """

    def __init__(self, window: Window, *, contents: Array) -> None:
        super().__init__(window)
        self._edges = window.edges(len(contents))
        self._heights = contents / contents.sum() / np.diff(self._edges)
        self._below = np.concatenate([[0.0], np.cumsum(contents)]) / contents.sum()

    @property
    def parameters(self) -> tuple[ShapeParameter, ...]:
        return ()

    def density(self, x: Array, theta: Sequence[float]) -> Array:
        return np.asarray(self._heights[self._bin(x)])

    def cumulative(self, x: Array, theta: Sequence[float]) -> Array:
        chosen = self._bin(x)
        return np.asarray(self._below[chosen] + (x - self._edges[chosen]) * self._heights[chosen])

    def _bin(self, x: Array) -> NDArray[np.int64]:
        bins = len(self._heights)
        position = (x - self.window.low) * (bins / self.window.width)
        return np.clip(np.floor(position), 0, bins - 1).astype(np.int64)


def histogram(sampled: Sampled, window: Window, *, params: TemplateParams) -> Array:
    """``(n_bins,)`` sums of weights. Raises :class:`FitError` where they are no template."""
    x, weight = sampled
    if not window.holds(x).any():
        raise FitError(
            f"the template of sample '{params.sample}' is empty: "
            f"none of its {len(x)} candidates is in the fit window [{window.low:g}, {window.high:g}]",
            where=params.sample,
            hint="Change fit.window, name another sample, or loosen selection.working_point.",
        )
    edges = window.edges(params.bins)
    contents = np.histogram(x, edges, weights=weight)[0].astype(np.float64)
    negative = np.flatnonzero(contents < 0)
    if len(negative):
        raise FitError(
            f"the template of sample '{params.sample}' is negative in {len(negative)} of {params.bins} bins",
            details=[f"{edges[bin]:g} .. {edges[bin + 1]:g}: {contents[bin]:g}" for bin in negative[:5]],
            where=params.sample,
            hint="Take fewer bins, or look at the sample's negative weights.",
        )
    if not contents.any():
        raise FitError(
            f"the template of sample '{params.sample}' is zero everywhere: its candidates in the fit window weigh nothing",
            where=params.sample,
            hint="Look at the sample's weight and cross_section_nb in the config.",
        )
    return contents


@shape_family("template", description="histogram of a sample; no parameters", params=TemplateParams)
def build(params: TemplateParams, window: Window, sample: Samples) -> Template:
    contents = histogram(sample(params.sample), window, params=params)
    empty = int((contents == 0).sum())
    if empty:
        log.warning(
            "template of '%s': %d of %d bins are empty; fewer bins would fill them", params.sample, empty, params.bins
        )
    return Template(window, contents=contents)
