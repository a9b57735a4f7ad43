"""The cut with the smallest expected limit: against closed forms, and where it must refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from mlbkg.errors import LimitError
from mlbkg.fitting.base import Window
from mlbkg.fitting.shapes.chebyshev import Chebyshev
from mlbkg.limits.cut_scan import Candidates, CutScan, FitToCome, cut_scan

WINDOW = Window(9.40, 9.52)
SIGMA = 0.003
EXPECTED_90 = 1.6449  # median asymptotic CLs limit at 90 %, in standard deviations: Phi^-1(1 - 0.1 / 2), arXiv:1007.1727


def simulated(
    *, n: int = 40_000, background_weight: float = 5.0, peaking_weight: float = 0.0, separation: float = 2.5
) -> Candidates:
    """Signal of 2000 events, smooth background flat in x, and peaking background that scores like the signal."""
    rng = np.random.default_rng(7)
    kind = np.repeat([0, 1, 2], [n, n, n])
    x = np.where(kind == 0, rng.uniform(9.40, 9.52, 3 * n), rng.normal(9.46, SIGMA, 3 * n))
    score = norm.cdf((rng.standard_normal(3 * n) + separation * (kind > 0)) / 2)
    weight = np.choose(kind, [background_weight, 2000 / n, peaking_weight])
    rows = weight > 0
    whole = Candidates(score, x, weight, np.arange(3 * n), kind == 1, kind == 2)
    return whole.take(rows)


def to_come(**more: object) -> FitToCome:
    return FitToCome(window=WINDOW, bins=120, background=Chebyshev(WINDOW, order=1), **more)  # type: ignore[arg-type]


def scanned(candidates: Candidates, fit: FitToCome, *, systematics: bool = True, **also: float) -> CutScan:
    return cut_scan(candidates, fit, points=20, systematics=systematics, also=also)


def sigma_of_strength(scan: CutScan) -> np.ndarray:
    """Of a Gaussian peak on a flat background of free yield: sigma_S^2 = k b / (1 - k / W), k = 2 sqrt(pi) sigma."""
    k = 2 * math.sqrt(math.pi) * SIGMA
    return np.asarray(np.sqrt(k * scan.background / WINDOW.width / (1 - k / WINDOW.width)) / scan.signal)


def test_the_statistical_limit_is_the_closed_form() -> None:
    scan = scanned(simulated(background_weight=100.0), to_come(unit=3e-4))
    there = scan.measured & (scan.background > 50_000)
    assert there.sum() > 8
    np.testing.assert_allclose(
        scan.statistical_limit[there], (3e-4 * EXPECTED_90 * sigma_of_strength(scan))[there], rtol=0.03
    )
    np.testing.assert_allclose(scan.expected_limit[there], scan.statistical_limit[there], rtol=1e-4)


def test_the_best_cut_is_that_of_the_closed_form() -> None:
    """Where efficiency over root background of two Gaussians, 1 apart, is largest."""
    scan = scanned(simulated(n=200_000, separation=1.0), to_come())
    z = np.linspace(-1, 4, 5001)
    merit = norm.sf(z - 1) / np.sqrt(norm.sf(z))
    at_found = np.interp(scan.signal_efficiency[scan.best], norm.sf(z - 1)[::-1], merit[::-1])
    assert at_found > 0.99 * merit.max()
    assert merit.max() > 1.05 * merit[0]
    assert scan.optimised[scan.best] == np.nanmin(scan.expected_limit)


def test_a_peaking_background_adds_in_quadrature() -> None:
    """A log-normal uncertainty of 5 % falls by 1 - 1.05^-1.645 of the peaking background at the limit."""
    fit = to_come(peaking_effects={"peaking": 0.05})
    scan = scanned(simulated(peaking_weight=0.5), fit)
    loose = int(np.flatnonzero(scan.signal_efficiency > 0.8)[-1])
    peaking = (1 - 1.05**-EXPECTED_90) * scan.peaking[loose] / scan.signal[loose]
    expected = math.hypot(scan.statistical_limit[loose], peaking)
    assert scan.expected_limit[loose] == pytest.approx(expected, rel=0.02)
    assert scan.expected_limit[loose] > 1.5 * scan.statistical_limit[loose]


def test_uncertainties_of_the_peak_count() -> None:
    """They change the limit of a large peaking background, and not that of none."""
    fit = to_come(width=0.1, shift=0.0005)
    with_peak, without = (scanned(simulated(peaking_weight=weight), fit) for weight in (0.5, 0.0))
    loose = 0
    assert with_peak.expected_limit[loose] > 1.02 * with_peak.statistical_limit[loose]
    assert without.expected_limit[loose] == pytest.approx(without.statistical_limit[loose], rel=0.02)


def test_the_kind_of_limit_can_be_chosen() -> None:
    candidates, fit = simulated(peaking_weight=0.5, separation=1.0), to_come(peaking_effects={"peaking": 0.2})
    statistical = scanned(candidates, fit, systematics=False)
    assert statistical.optimised[statistical.best] == np.nanmin(statistical.statistical_limit)
    assert not statistical.systematics


def test_cuts_of_others_are_marked() -> None:
    candidates = simulated()
    scan = scanned(candidates, to_come(), loose=0.25, tight=0.75)
    assert scan.threshold[scan.marks["loose"]] == 0.25
    assert scan.threshold[scan.marks["tight"]] == 0.75
    assert (np.diff(scan.threshold) > 0).all()
    passed = candidates.signal & (candidates.score >= 0.25)
    assert scan.signal[scan.marks["loose"]] == pytest.approx(candidates.weight[passed].sum())
    assert len(scan.threshold) == 22


def test_running_out_of_simulation_is_not_rewarded() -> None:
    """300 background candidates: beyond the last of them no background seems to be left."""
    scan = scanned(simulated(n=300, background_weight=1000.0), to_come())
    assert scan.measured[scan.best]
    assert scan.background[scan.best] >= 100_000
    assert np.isnan(scan.expected_limit[~scan.measured]).all()
    # once not measured, never again
    assert not np.diff(scan.measured.astype(int)).max() > 0


def test_errors_come_from_the_size_of_the_simulation() -> None:
    """A limit of a large background grows as its root, so its relative error is half that of the background."""
    scan = scanned(simulated(), to_come())
    relative = scan.background_error[:5] / scan.background[:5]
    np.testing.assert_allclose(scan.statistical_limit_error[:5], scan.statistical_limit[:5] * relative / 2)
    few = scanned(simulated(n=400, background_weight=500.0), to_come())
    assert few.statistical_limit_error[0] == pytest.approx(10 * scan.statistical_limit_error[0], rel=0.1)


def test_no_cut_that_can_be_chosen() -> None:
    with pytest.raises(LimitError, match="no cut can be chosen by its expected limit: none of ") as caught:
        scanned(simulated(n=5, background_weight=1000.0), to_come())
    assert "Simulate more background" in caught.value.hint
