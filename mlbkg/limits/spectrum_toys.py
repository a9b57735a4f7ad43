"""Experiments without signal, drawn as whole spectra: windows that overlap or share simulated candidates are correlated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mlbkg.limits.spectrum import Spectrum

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Expected:
    """Of one scanned variable, in bins. edges: ``(n_bins + 1,)``. content: ``(n_samples, n_bins)`` candidates.

    covariance: ``(n_bins, n_bins)`` statistical, of all samples together. effects: ``(n_effects, n_bins)`` relative, of the
    nuisance parameters at +1 standard deviation.
    """

    edges: Array
    content: Array
    covariance: Array
    effects: Array

    @property
    def total(self) -> Array:
        """``(n_bins,)``"""
        return np.asarray(self.content.sum(axis=0))

    def draw(self, toys: int, rng: Generator) -> Array:
        """``(toys, n_bins)`` counts. In each experiment the expectation itself is drawn, too: simulation is as good as its
        size, and effects are log-normal."""
        means = self.total * self._statistical(toys, rng)
        if len(self.effects):
            means = means * np.exp(rng.standard_normal((toys, len(self.effects))) @ np.log1p(self.effects))
        return rng.poisson(means).astype(np.float64)

    def _statistical(self, toys: int, rng: Generator) -> Array:
        """``(toys, n_bins)`` factors of mean 1 whose covariance is that of the simulation; log-normal, so never negative."""
        total = self.total
        some = np.where(total > 0, total, 1.0)
        logarithmic = np.log1p(self.covariance / some / some[:, None])
        values, vectors = np.linalg.eigh(logarithmic)
        directions = vectors * np.sqrt(np.clip(values, 0, None))
        spread = rng.standard_normal((toys, len(total))) @ directions.T
        return np.asarray(np.exp(spread - (directions**2).sum(axis=1) / 2))


def expected_in_bins(spectrum: Spectrum, edges: Array) -> Expected:
    """Without effects, which are known only by where they act."""
    low, high = edges[:-1, None], edges[1:, None]
    content, covariance = spectrum.content(low, high), spectrum.covariance(low, high)
    return Expected(edges, content, covariance, np.empty((0, len(low))))


def counts_in_windows(counts: Array, edges: Array, low: Array, high: Array) -> Array:
    """``(..., n)`` sums of ``counts`` ``(..., n_bins)`` over windows ``(n,)`` whose ends are among the ``edges``."""
    up_to = np.concatenate([np.zeros((*counts.shape[:-1], 1)), np.cumsum(counts, axis=-1)], axis=-1)
    return np.asarray(up_to[..., np.searchsorted(edges, high)] - up_to[..., np.searchsorted(edges, low)])
