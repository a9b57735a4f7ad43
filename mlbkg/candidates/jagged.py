"""Between awkward arrays and the flat arrays plus lengths that sums over rows are fast on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.physics.segments import Segments


def flat(array: Any) -> NDArray[Any]:
    """``(n_elements,)``: the rows of a jagged array one after the other."""
    import awkward as ak

    return np.asarray(ak.to_numpy(ak.flatten(array, axis=1)))


def momentum(array: Any) -> NDArray[np.float64]:
    """:func:`flat` in double precision, for what squares and differences are taken of."""
    return np.asarray(flat(array), dtype=np.float64)


def segments(array: Any) -> Segments:
    """The lengths of the rows of a jagged array."""
    import awkward as ak

    return Segments(np.asarray(ak.to_numpy(ak.num(array, axis=1)), dtype=np.int64))


def jagged(elements: NDArray[Any], rows: Segments) -> Any:
    """The inverse of :func:`flat`."""
    import awkward as ak

    return ak.unflatten(elements, rows.counts)


def is_jagged(array: Any) -> bool:
    return getattr(array, "ndim", 1) > 1


def take_rows(array: Any, rows: NDArray[np.intp]) -> Any:
    """Rows of a jagged array, packed so that :func:`flat` copies nothing."""
    import awkward as ak

    return ak.to_packed(array[rows])
