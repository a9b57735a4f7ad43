"""Particles that were made one kind at a time, put together event by event."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mlbkg.physics.lorentz import FourVector
from mlbkg.simulation.base import Generated


def assembled(
    particles: Sequence[tuple[NDArray[np.int64] | int, FourVector]],
    *,
    mode: NDArray[np.int64],
    kept: Sequence[NDArray[np.bool_] | bool],
) -> Generated:
    """Events of one particle of each entry, in their order.

    particles: code, a number or ``(n,)``, and momentum ``(n,)``. mode: ``(n,)``. kept: of each entry, which events have it.
    """
    n = len(mode)
    codes, momenta = zip(*particles, strict=True)
    there = np.column_stack([np.broadcast_to(mask, n) for mask in kept])
    pdg = np.column_stack([np.broadcast_to(np.asarray(code, dtype=np.int64), n) for code in codes])
    components = np.array(momenta).transpose(1, 2, 0)
    return Generated(
        n_events=n,
        event=np.nonzero(there)[0],
        pdg=pdg[there],
        momentum=FourVector(*(component[there] for component in components)),
        mode=mode,
    )
