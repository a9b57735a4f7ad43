"""Time of Bayesian upper limits of many counting experiments against scipy, one experiment after the other, one thread.

    python tests/benchmarks/scan_limits.py [experiments]

Counts, backgrounds and uncertainties as in a plane of two masses; both integrate over log-normal nuisances.
"""

from __future__ import annotations

import json
import sys

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import gammainc, gammaincc
from timing import compared

from mlbkg.limits.hypotheses import Effect, Experiments
from mlbkg.limits.many import bayesian_limits

Array = NDArray[np.float64]

LEVEL = 0.90
SIGNAL_UNCERTAINTY, BACKGROUND_UNCERTAINTY = 0.06, 0.25
NODES = 31


def main(number: int, *, turns: int = 3) -> dict[str, dict[str, float]]:
    """``bare_s`` and ``mlbkg_s`` (seconds for all experiments) and their ``ratio``, mlbkg over bare.

    mlbkg's time has the five expected limits of each experiment in it, beside the observed one.
    """
    experiments = plane(number)
    jobs = {
        "bare": lambda: np.array(
            [by_scipy(int(n), float(b)) for n, b in zip(counts(experiments), experiments.background, strict=True)]
        ),
        "mlbkg": lambda: bayesian_limits(experiments, confidence_level=LEVEL).observed,
    }
    np.testing.assert_allclose(jobs["mlbkg"](), jobs["bare"](), rtol=2e-3)
    return {"scipy": compared(jobs, turns=turns)}


def plane(number: int) -> Experiments:
    rng = np.random.default_rng(1)
    background = rng.uniform(0.05, 40, number)
    flat = np.ones(number)
    return Experiments(
        masses=rng.uniform(0, 10, (number, 2)),
        low=np.zeros((number, 2)),
        high=np.ones((number, 2)),
        observed=rng.poisson(background),
        background=background,
        background_error=0 * flat,
        signal_per_fb=flat,
        efficiency=0.1 * flat,
        efficiency_error=0 * flat,
        effects=(
            Effect("signal", SIGNAL_UNCERTAINTY * flat, 0 * flat),
            Effect("background", 0 * flat, BACKGROUND_UNCERTAINTY * flat),
        ),
    )


def counts(experiments: Experiments) -> NDArray[np.int64]:
    assert experiments.observed is not None
    return experiments.observed


def by_scipy(observed: int, background: float) -> float:
    z, weight = np.polynomial.hermite_e.hermegauss(NODES)
    efficiency = np.exp(SIGNAL_UNCERTAINTY * z)[:, None]
    expected = background * np.exp(BACKGROUND_UNCERTAINTY * z)
    both = weight[:, None] * weight / efficiency
    whole = (both * gammaincc(observed + 1, expected)).sum()

    def above(signal: float) -> float:
        inside = gammainc(observed + 1, signal * efficiency + expected) - gammainc(observed + 1, expected)
        return float((both * inside).sum() / whole) - LEVEL

    return float(brentq(above, 0.0, 20.0 + 10.0 * (observed + 1)))


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000), indent=1))
