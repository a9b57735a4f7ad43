"""The background of a cell from what was counted in the cells around it: side bands in two dimensions.

The density of candidates is taken to be linear over the cells around, without the nearest, into which a signal reaches. Its
value in the middle, by least squares with the weights of Poisson counts, is a weighted sum of the counts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlbkg.errors import LimitError
from mlbkg.limits.plane import Cells

Array = NDArray[np.float64]

REACH = 3.5
"""Cells to each side from which the background is taken."""

GAP = 1.5
"""Cells to each side that are left out: a signal in the middle of the cell does not get beyond."""

CELLS_AT_ONCE = 256
TINY = 1e-9
"""Of the sum of areas, added to the slopes' normal equations, which would be singular where all cells are in one line."""


def from_neighbours(cells: Cells, counts: Array) -> tuple[Array, Array]:
    """``(n,)`` background and its statistical error, from ``counts`` ``(n,)``.

    Never less than what one candidate in all cells around would tell: that none was seen is no certainty. Raises
    :class:`LimitError` where a cell has no others around it.
    """
    parts = [_predicted(cells, counts, np.arange(start, min(start + CELLS_AT_ONCE, len(cells)))) for start in _starts(cells)]
    background, error = (np.concatenate(side) for side in zip(*parts, strict=True))
    return background, error


def _starts(cells: Cells) -> range:
    return range(0, len(cells), CELLS_AT_ONCE)


def _predicted(cells: Cells, counts: Array, asked: NDArray[np.intp]) -> tuple[Array, Array]:
    away = _distances(cells, asked)
    farthest = np.abs(away).max(axis=0)
    around = (farthest > GAP) & (farthest < REACH)
    if not around.any(axis=1).all():
        alone = cells.masses[asked[~around.any(axis=1)][0]]
        raise LimitError(
            f"the cell at {alone[0]:.4g}, {alone[1]:.4g} GeV has no cells around it to take its background from",
            where="scan.background",
            hint="Use background: simulation, or smaller cells: scan.bins.width",
        )
    area = np.where(around, cells.area, 0.0)
    terms = np.stack([np.ones_like(away[0]), *away])
    normal = np.einsum("ick,jck,ck->cij", terms, terms, area)
    total = area.sum(axis=1)
    normal[:, 1:, 1:] += TINY * total[:, None, None] * np.eye(2)
    first = np.linalg.solve(normal, np.broadcast_to(np.array([1.0, 0, 0])[:, None], (len(asked), 3, 1)))[:, :, 0]
    own = cells.area[asked]
    share = own[:, None] * np.einsum("ci,ick->ck", first, terms) * around
    density = (around @ counts + 1) / total
    error = np.sqrt((share**2 * area).sum(axis=1) * density)
    return np.maximum(share @ counts, own / total), error


def _distances(cells: Cells, asked: NDArray[np.intp]) -> Array:
    """``(2, n_asked, n)`` columns and rows between cells; rows in heights of the asked one, for columns do not align."""
    height = cells.high[asked, 1] - cells.low[asked, 1]
    number = cells.column
    columns = (number[None, :] - number[asked, None]).astype(np.float64)
    rows = (cells.centre[None, :, 1] - cells.centre[asked, 1, None]) / height[:, None]
    return np.stack([columns, rows])
