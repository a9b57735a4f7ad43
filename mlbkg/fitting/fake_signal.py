"""The signal that a fit finds where there is none: what a selection that shapes the background would be taken for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import legendre

from mlbkg.errors import FitError
from mlbkg.fitting.base import Array, Sampled, Window
from mlbkg.fitting.data import binned, within

ITERATIONS = 50
LEAST = 0.01
"""Of the mean: no bin is expected to hold less, so that an empty one does not outweigh all others."""


@dataclass(frozen=True)
class FakeSignal:
    """Signal events found in background alone, at the data's luminosity. error: from the simulation's size (SumW2).

    expected_error: what the fit to data of that luminosity will have for statistical reasons alone. background: events that
    were fitted.
    """

    events: float
    error: float
    expected_error: float
    background: float

    @property
    def significance(self) -> float:
        """How far from none, in errors of the simulation's size."""
        return self.events / self.error

    @property
    def expected_sigma(self) -> float:
        """How far from none data would be, in standard deviations."""
        return self.events / self.expected_error


def fake_signal(background: Sampled, signal: Sampled, *, degree: int, window: Window, bins: int) -> FakeSignal:
    """Fit signal and a polynomial to simulated ``background`` that neither peaks nor holds signal.

    The signal has the shape of ``signal``, as a histogram. Both yields and the polynomial's coefficients are free of any
    bound: a background that was carved into a peak leaves less than nothing beside it, where a fit of densities has no
    minimum. The least squares with the expected counts as variances, repeated, are the maximum of the Poisson likelihood;
    the error is that of weighted candidates, from the sums of their squared weights (C. Langenbruch, arXiv:1911.01303).
    Raises :class:`EmptySampleError` for a sample without candidates in the window and :class:`FitError` where what is there
    cannot tell the signal from the polynomial.
    """
    edges = window.edges(bins)
    seen = binned(within(*background, window, name="the background that passes"), edges)
    peak = binned(within(*signal, window, name="the signal that passes"), edges).counts
    terms = np.column_stack([peak / peak.sum(), _polynomials(bins, degree)])
    if np.linalg.matrix_rank(terms) < terms.shape[1]:
        raise FitError(
            f"{bins} bins cannot tell the signal's shape from a polynomial of degree {degree}",
            hint="Take more bins (fit.bins), or a background shape with fewer parameters.",
        )
    assert seen.variances is not None
    expected = _expected(terms, seen.counts)
    inverse = np.linalg.inv(terms.T @ (terms / expected[:, None]))
    score_variance = terms.T @ (terms * (seen.variances / expected**2)[:, None])
    found = inverse @ (terms.T @ (seen.counts / expected))
    return FakeSignal(
        events=float(found[0]),
        error=float(np.sqrt((inverse @ score_variance @ inverse)[0, 0])),
        expected_error=float(np.sqrt(inverse[0, 0])),
        background=seen.total,
    )


def _expected(terms: Array, counts: Array) -> Array:
    """``(n_bins,)`` of the fit of largest likelihood, at least a little everywhere."""
    expected = np.full(len(counts), counts.mean())
    for _ in range(ITERATIONS):
        weighted = terms / expected[:, None]
        found = np.linalg.solve(terms.T @ weighted, weighted.T @ counts)
        expected = np.maximum(terms @ found, LEAST * counts.mean())
    return expected


def _polynomials(bins: int, degree: int) -> Array:
    """``(n_bins, degree + 1)``: Legendre's, at the middle of each bin, from -1 to 1 over the window."""
    middle = (2 * np.arange(bins) + 1) / bins - 1
    return np.asarray(legendre.legvander(middle, degree))
