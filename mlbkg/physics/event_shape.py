"""Event-shape variables of many events at once: momenta in flat arrays ``(n_particles,)``, one segment an event.

All are invariant under rotations and scale-free except the cleo cones. An event without momentum has no shape: NaN.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlbkg.physics.segments import Segments

Floats = NDArray[np.float64]

_BLOCK = 1024  # events whose padded momenta and trial axes fit into a core's cache
_HARDEST = 5  # particles whose sign combinations give the trial axes
_KEPT = 2  # trial axes that are followed to their maximum
_MAX_STEPS = 16


class Thrust(NamedTuple):
    """``value`` and unit ``axis`` components, each ``(n_events,)``; the sign of an axis means nothing."""

    value: Floats
    axis_x: Floats
    axis_y: Floats
    axis_z: Floats


class FoxWolfram(NamedTuple):
    """Moments of order 0, 1 and 2 in GeV^2, each ``(n_events,)``, self terms included as in basf2's FoxWolfram."""

    h0: Floats
    h1: Floats
    h2: Floats

    @property
    def r2(self) -> Floats:
        return _ratio(self.h2, self.h0)


def _ratio(numerator: NDArray[Any], denominator: NDArray[Any]) -> Floats:
    out = np.full(len(denominator), np.nan)
    np.divide(numerator, denominator, out=out, where=denominator > 0)
    return out


def fox_wolfram(px: Floats, py: Floats, pz: Floats, events: Segments) -> FoxWolfram:
    """``H_l = sum_ij |p_i| |p_j| P_l(cos_ij)``, Fox and Wolfram, PRL 41, 1581 (1978), without the constant 1/s.

    Linear in the number of particles: the pair sum of cos^2 is the squared norm of ``sum_i p_i p_i^T / |p_i|``.
    """
    p = np.sqrt(px * px + py * py + pz * pz)
    h0 = events.sum(p) ** 2
    h1 = events.sum(px) ** 2 + events.sum(py) ** 2 + events.sum(pz) ** 2
    xx, yy, zz, xy, xz, yz = _tensor(px, py, pz, np.divide(1.0, p, out=np.zeros_like(p), where=p > 0), events)
    norm = xx * xx + yy * yy + zz * zz + 2.0 * (xy * xy + xz * xz + yz * yz)
    return FoxWolfram(h0, h1, 1.5 * norm - 0.5 * h0)


def _tensor(px: Floats, py: Floats, pz: Floats, weight: Floats, events: Segments) -> tuple[Floats, ...]:
    wx, wy, wz = weight * px, weight * py, weight * pz
    products = (wx * px, wy * py, wz * pz, wx * py, wx * pz, wy * pz)
    return tuple(events.sum(product) for product in products)


def sphericity_eigenvalues(px: Floats, py: Floats, pz: Floats, events: Segments) -> Floats:
    """``(n_events, 3)``: eigenvalues of ``sum p p^T / sum p^2``, falling, sum one (Bjorken and Brodsky, PRD 1, 1416).

    Trigonometric solution of the cubic, which is some ten times faster than LAPACK on 3 x 3 matrices.
    """
    xx, yy, zz, xy, xz, yz = _tensor(px, py, pz, np.ones_like(px), events)
    norm = xx + yy + zz
    xx, yy, zz, xy, xz, yz = (_ratio(element, norm) for element in (xx, yy, zz, xy, xz, yz))
    dx, dy, dz = xx - 1 / 3, yy - 1 / 3, zz - 1 / 3
    spread = np.sqrt((dx * dx + dy * dy + dz * dz + 2.0 * (xy * xy + xz * xz + yz * yz)) / 6.0)
    determinant = dx * (dy * dz - yz * yz) - xy * (xy * dz - yz * xz) + xz * (xy * yz - dy * xz)
    cosine = np.divide(determinant, 2.0 * spread**3, out=np.ones_like(spread), where=spread > 1e-12)
    angle = np.arccos(np.clip(cosine, -1.0, 1.0)) / 3.0
    largest = 1 / 3 + 2.0 * spread * np.cos(angle)
    smallest = np.maximum(1 / 3 + 2.0 * spread * np.cos(angle + 2.0 * np.pi / 3.0), 0.0)
    return np.column_stack([largest, np.clip(1.0 - largest - smallest, smallest, largest), smallest])


def sphericity(eigenvalues: Floats) -> Floats:
    """``3/2 (l2 + l3)``: 0 for two back-to-back particles, 1 for an isotropic event."""
    return 1.5 * (eigenvalues[:, 1] + eigenvalues[:, 2])


def aplanarity(eigenvalues: Floats) -> Floats:
    """``3/2 l3``: 0 for a planar event, 1/2 for an isotropic one."""
    return 1.5 * eigenvalues[:, 2]


def cleo_cones(
    px: Floats, py: Floats, pz: Floats, events: Segments, *, axis: tuple[Floats, Floats, Floats], n_cones: int
) -> Floats:
    """``(n_events, n_cones)``: momentum (GeV) within ``10 i`` to ``10 (i + 1)`` degrees of the axis, forward and backward.

    CLEO, PRD 53, 1039 (1996). ``axis``: unit vectors, each component ``(n_events,)``.
    """
    p = np.sqrt(px * px + py * py + pz * pz)
    along = np.abs(px * events.repeat(axis[0]) + py * events.repeat(axis[1]) + pz * events.repeat(axis[2]))
    edges = np.cos(np.radians(10.0 * np.arange(n_cones + 1)))
    out = np.empty((len(events), n_cones))
    outside = np.ones(len(p), dtype=np.bool_)
    for cone in range(n_cones):
        # the last cone ends at 90 degrees, where rounding may leave either sign
        inside = outside & (along > edges[cone + 1] * p) if cone < 8 else outside
        out[:, cone] = events.sum(np.where(inside, p, 0.0))
        outside = outside & ~inside
    return out


def thrust(px: Floats, py: Floats, pz: Floats, events: Segments) -> Thrust:
    """``max_n sum |p_i . n| / sum |p_i|``, Farhi, PRL 39, 1587 (1977).

    At the maximum the axis is along ``S = sum s_i p_i`` for some signs s, and T = |S| / sum |p|. The search starts from the
    sign combinations of the hardest particles (as Jetset does, hep-ph/9508391), follows the best ones with
    ``s_i = sign(S . p_i)``, and leaves a local maximum by turning over any single sign that makes |S| longer. Exact up to
    five particles, a lower bound beyond: against enumeration over all planes, of 1000 events that mix jets and isotropic
    particles, none of 8 particles, one of 14 (by 0.02 %) and eight of 20 (by at most 0.5 %) came out low.
    """
    p = np.sqrt(px * px + py * py + pz * pz)
    axis = _thrust_axes(px, py, pz, events.max(p, empty=0.0), events)
    signs = np.copysign(1.0, px * events.repeat(axis[0]) + py * events.repeat(axis[1]) + pz * events.repeat(axis[2]))
    sx, sy, sz = events.sum(signs * px), events.sum(signs * py), events.sum(signs * pz)
    length = np.sqrt(sx * sx + sy * sy + sz * sz)
    total = events.sum(p)
    return Thrust(_ratio(length, total), _ratio(sx, length), _ratio(sy, length), _ratio(sz, length))


def _thrust_axes(px: Floats, py: Floats, pz: Floats, hardest: Floats, events: Segments) -> NDArray[np.float32]:
    """``(3, n_events)`` axes that have the signs of the maximum. ``hardest (n_events,)``: momentum that sets the scale."""
    axes = np.zeros((3, len(events)), dtype=np.float32)
    by_size = np.argsort(events.counts, kind="stable")
    by_size = by_size[events.counts[by_size] > 0]
    scale = events.repeat(_ratio(np.ones(len(events)), hardest))
    flat = [np.append(component * scale, 0.0).astype(np.float32) for component in (px, py, pz)]
    for first in range(0, len(by_size), _BLOCK):
        rows = by_size[first : first + _BLOCK]
        counts = events.counts[rows]
        local = np.arange(counts[-1])[:, None]
        element = np.where(local < counts, events.starts[rows] + local, len(px))
        axes[:, rows] = _best_axes(np.stack([component[element] for component in flat]))
    return axes


def _best_axes(momenta: NDArray[np.float32]) -> NDArray[np.float32]:
    """``momenta (3, n_particles, n_events)``, padded with zeros; returns ``(3, n_events)``."""
    hardest = momenta
    if momenta.shape[1] > _HARDEST:
        largest = np.argpartition(-_square(momenta), _HARDEST - 1, axis=0)[:_HARDEST]
        hardest = np.take_along_axis(momenta, largest[None], 1)
    signs = np.array([(1, *rest) for rest in itertools.product((1, -1), repeat=hardest.shape[1] - 1)], dtype=np.float32)
    axes = np.einsum("ak,cke->cae", signs, hardest)
    if momenta.shape[1] > _HARDEST:
        axes = _sums(np.copysign(np.float32(1), _along(axes, momenta)), momenta)
        longest = np.argpartition(-_square(axes), _KEPT - 1, axis=0)[:_KEPT]
        axes = _climb(np.take_along_axis(axes, longest[None], 1), momenta)
    longest = _square(axes).argmax(axis=0)
    longest_axes: NDArray[np.float32] = np.take_along_axis(axes, longest[None, None], 1)[:, 0]
    return longest_axes


def _climb(axes: NDArray[np.float32], momenta: NDArray[np.float32]) -> NDArray[np.float32]:
    """``axes (3, n_axes, n_events)`` moved until neither the sign rule nor turning over one particle helps."""
    squares = _square(momenta)
    before = np.zeros_like(axes[0])
    for _ in range(_MAX_STEPS):
        along = _along(axes, momenta)
        signs = np.copysign(np.float32(1), along)
        axes = _sums(signs, momenta)
        length = _square(axes)
        settled = length <= before * np.float32(1 + 1e-5)
        # turning particle i over changes |S|^2 by 4 (p_i^2 - |S . p_i|)
        gain = squares - np.abs(along)
        turned = gain.argmax(axis=1)
        turn = settled & (np.take_along_axis(gain, turned[:, None], 1)[:, 0] > 1e-5 * length)
        if not (turn | ~settled).any():
            break
        twice = np.where(turn, 2 * np.take_along_axis(signs, turned[:, None], 1)[:, 0], np.float32(0))
        axes = np.stack([axes[c] - twice * np.take_along_axis(momenta[c], turned, 0) for c in range(3)])
        before = length
    return axes


def _along(axes: NDArray[np.float32], momenta: NDArray[np.float32]) -> NDArray[np.float32]:
    """``(n_axes, n_particles, n_events)`` scalar products."""
    product: NDArray[np.float32] = axes[0][:, None] * momenta[0]
    product += axes[1][:, None] * momenta[1]
    product += axes[2][:, None] * momenta[2]
    return product


def _sums(signs: NDArray[np.float32], momenta: NDArray[np.float32]) -> NDArray[np.float32]:
    sums: NDArray[np.float32] = np.stack([np.einsum("ane,ne->ae", signs, momenta[c]) for c in range(3)])
    return sums


def _square(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    square: NDArray[np.float32] = vectors[0] ** 2 + vectors[1] ** 2 + vectors[2] ** 2
    return square
