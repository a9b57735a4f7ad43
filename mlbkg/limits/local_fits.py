"""Fits of a peak over a smooth background around each hypothesis of a scan, of many experiments at once.

Binned and extended maximum likelihood: bin k of the fitted range expects s T_k + exp(sum_j c_j P_j(x_k)), with the signal's
shape T known, its yield s of either sign, and Legendre polynomials P_j. The significance is the signed root of the
likelihood ratio, q0 of Eq. (12) of arXiv:1007.1727, which is normal without signal where counts are not few.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MOST_STEPS = 60
MOST_HALVINGS = 12
SMALL = 1e-7
"""Change of -ln L below which a fit is done."""

WEAK = 5.0
"""Width of a Gaussian that keeps c_1, c_2, ... finite where one side of the range is empty: a change of the background by a
factor of exp(5) from the middle to an end is one standard deviation."""

LEAST_LEFT = 0.02
"""Share of the background that a negative signal must leave in every bin."""


@dataclass(frozen=True)
class LocalFits:
    """Signal candidates (of all that are selected, not of the fitted range alone), their errors, and significances,
    ``(..., n_hypotheses)``."""

    signal: Array
    error: Array
    z: Array


def local_fits(counts: Array, shapes: Array, ranges: NDArray[np.int64], *, order: int) -> LocalFits:
    """``counts``: ``(..., n_bins)`` candidates, whole or not. ``order``: of the polynomial.

    shapes: ``(n_hypotheses, n_bins)`` share of a hypothesis' signal candidates in each bin. ranges: ``(n_hypotheses, 2)``
    first bin of the fit and the one behind its last.
    """
    experiments = counts.reshape(-1, counts.shape[-1])
    found = [
        _fit(experiments[:, first:end], shape[first:end], order=order)
        for shape, (first, end) in zip(shapes, ranges.tolist(), strict=True)
    ]
    signal, error, z = (
        np.stack(part, axis=-1).reshape(*counts.shape[:-1], len(shapes)) for part in zip(*found, strict=True)
    )
    return LocalFits(signal, error, z)


def _fit(counts: Array, shape: Array, *, order: int) -> tuple[Array, Array, Array]:
    """Yield, error and significance ``(n,)`` of ``counts`` ``(n, n_bins)``."""
    x = np.linspace(-1, 1, len(shape))
    model = _Model(counts, shape, np.asarray(np.polynomial.legendre.legvander(x, order), dtype=np.float64))
    start = np.zeros((len(counts), order + 2))
    start[:, 1] = np.log(np.maximum(counts.mean(axis=1), 1e-3))
    without = _minimised(model, start, free=slice(1, None))
    best = _minimised(model, without, free=slice(None))
    with np.errstate(invalid="ignore"):
        ratio = 2 * (model.loss(without) - model.loss(best))
    signal = best[:, 0]
    inverse = np.linalg.inv(model.information(best))
    return signal, np.sqrt(inverse[:, 0, 0]), np.sign(signal) * np.sqrt(np.clip(ratio, 0, None))


@dataclass(frozen=True)
class _Model:
    """counts: ``(n, n_bins)``. shape: ``(n_bins,)``. basis: ``(n_bins, order + 1)``. Parameters are ``(n, order + 2)``: the
    signal, then the polynomial's coefficients."""

    counts: Array
    shape: Array
    basis: Array

    def __getitem__(self, rows: NDArray[np.intp]) -> _Model:
        return _Model(self.counts[rows], self.shape, self.basis)

    @property
    def precision(self) -> Array:
        """``(order + 2,)`` of what the coefficients are held by."""
        precision = np.full(self.basis.shape[1] + 1, WEAK**-2)
        precision[:2] = 0
        return precision

    def background(self, parameters: Array) -> Array:
        return np.asarray(np.exp(np.clip(parameters[:, 1:] @ self.basis.T, -50, 50)))

    def loss(self, parameters: Array) -> Array:
        """``(n,)`` -ln L; infinite where the signal takes away more than there is."""
        background = self.background(parameters)
        expected = background + parameters[:, :1] * self.shape
        allowed = np.asarray((expected > LEAST_LEFT * background).all(axis=1))
        safe = np.where(allowed[:, None], expected, 1.0)
        held = parameters**2 @ self.precision / 2
        return np.where(allowed, (safe - self.counts * np.log(safe)).sum(axis=1) + held, np.inf)

    def derivatives(self, parameters: Array) -> tuple[Array, Array]:
        """Expected ``(n, n_bins)`` and its derivatives ``(n, n_bins, order + 2)``."""
        background = self.background(parameters)
        expected = background + parameters[:, :1] * self.shape
        of_signal = np.broadcast_to(self.shape[:, None], (*background.shape, 1))
        return expected, np.concatenate([of_signal, background[:, :, None] * self.basis], axis=2)

    def information(self, parameters: Array) -> Array:
        """``(n, order + 2, order + 2)`` Fisher's, which is positive everywhere."""
        expected, slopes = self.derivatives(parameters)
        found = np.einsum("nkp,nkq->npq", slopes / expected[:, :, None], slopes)
        return np.asarray(found + np.diag(self.precision + 1e-12))

    def step(self, parameters: Array, free: slice) -> Array:
        """``(n, order + 2)`` of Fisher scoring, zero for what is not free."""
        expected, slopes = self.derivatives(parameters)
        gradient = np.einsum("nk,nkp->np", 1 - self.counts / expected, slopes) + parameters * self.precision
        found = np.zeros_like(parameters)
        information = self.information(parameters)[:, free, free]
        found[:, free] = -np.linalg.solve(information, gradient[:, free, None])[:, :, 0]
        return found


def _minimised(model: _Model, start: Array, *, free: slice) -> Array:
    """Parameters of the smallest loss; experiments that are done are left out of later steps."""
    best, loss = start.copy(), model.loss(start)
    active = np.arange(len(start))
    for _ in range(MOST_STEPS):
        part, before = model[active], loss[active]
        moved, after = _shortened(part, best[active], part.step(best[active], free), before)
        best[active], loss[active] = moved, after
        active = active[before - after > SMALL]
        if not len(active):
            break
    return best


def _shortened(model: _Model, place: Array, step: Array, loss: Array) -> tuple[Array, Array]:
    """Steps halved until the loss is no larger; where that is never so, none is taken."""
    new, found, length = place + step, model.loss(place + step), np.ones(len(place))
    for _ in range(MOST_HALVINGS):
        worse = np.flatnonzero(~(found <= loss))
        if not len(worse):
            break
        length[worse] /= 2
        new[worse] = place[worse] + length[worse, None] * step[worse]
        found[worse] = model[worse].loss(new[worse])
    stay = ~(found <= loss)
    new[stay], found[stay] = place[stay], loss[stay]
    return new, found
