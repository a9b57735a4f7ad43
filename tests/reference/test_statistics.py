"""Limits, intervals and significances against published tables and closed forms."""

from __future__ import annotations

import math

import pytest
from scipy.stats import chi2

from mlbkg.limits.counting import Count, counting_interval
from mlbkg.limits.feldman_cousins import raw_upper_limit
from mlbkg.limits.gaussian import feldman_cousins, truncated_upper_limit
from mlbkg.limits.significance import asimov, li_ma, z_bi


def interval(method: str, *count: float, level: float = 0.9) -> tuple[float, float]:
    found = counting_interval(Count(*count), method=method, confidence_level=level)  # type: ignore[arg-type]
    return found.lower, found.upper


# Poisson upper limits without background: PDG, Statistics, Table 40.3; in closed form half a chi-square quantile.
NO_BACKGROUND = {
    0.90: [2.3026, 3.8897, 5.3223, 6.6808, 7.9936, 9.2747],
    0.95: [2.9957, 4.7439, 6.2958],
}


@pytest.mark.parametrize("method", ["bayesian", "cls", "clsb"])
@pytest.mark.parametrize(("level", "n"), [(level, n) for level, row in NO_BACKGROUND.items() for n in range(len(row))])
def test_no_background(method: str, level: float, n: int) -> None:
    upper = interval(method, n, 0.0, level=level)[1]
    assert upper == pytest.approx(NO_BACKGROUND[level][n], abs=5e-5)
    assert upper == pytest.approx(chi2.ppf(level, 2 * n + 2) / 2, rel=1e-11)


@pytest.mark.parametrize("method", ["bayesian", "cls"])
@pytest.mark.parametrize(
    ("n", "b", "level", "expected"),
    [
        # O. Helene, Nucl. Instrum. Meth. 212 (1983) 319: 1 - CL = Q(n; s + b) / Q(n; b), solved by hand.
        (0, 3, 0.90, 2.3026),
        (1, 3, 0.90, 2.8389),
        (3, 3, 0.90, 4.3624),
        (5, 2, 0.90, 7.3058),
        (0, 0.7, 0.95, 2.9957),
        (0, 3, 0.95, 2.9957),
        (0, 2500, 0.95, 2.9957),
    ],
)
def test_known_background(method: str, n: int, b: float, level: float, expected: float) -> None:
    assert interval(method, n, b, level=level) == (0, pytest.approx(expected, abs=5e-5))


@pytest.mark.parametrize(
    ("count", "expected"),
    # Gauss-Hermite quadrature with 61 x 61 nodes in the logarithms of background and efficiency, medians b and 1.
    [((0, 0, 0, 0.1), 2.3409), ((0, 0, 0, 0.2), 2.4594), ((3, 3, 0.2, 0.1), 4.5173)],
)
def test_log_normal_uncertainties(count: tuple[float, ...], expected: float) -> None:
    assert interval("bayesian", *count)[1] == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize(
    ("n", "b", "lower", "upper"),
    # Feldman and Cousins, Phys. Rev. D 57 (1998) 3873, Table IV (90 %), two digits; grids of 0.005.
    [
        (0, 0, 0, 2.44),
        (1, 0, 0.11, 4.36),
        (2, 0, 0.53, 5.91),
        (3, 0, 1.10, 7.42),
        (4, 0, 1.47, 8.60),
        (5, 0, 1.84, 9.99),
        (0, 0.5, 0, 1.94),
        (0, 1, 0, 1.61),
        (0, 1.5, 0, 1.33),
        (0, 2, 0, 1.26),
        (0, 2.5, 0, 1.18),
        (0, 3, 0, 1.08),
        (0, 3.5, 0, 1.06),
        (0, 4, 0, 1.01),
        (0, 5, 0, 0.98),
        (1, 3, 0, 1.88),
        (3, 3, 0, 4.42),
        (6, 3, 0.15, 8.47),
    ],
)
def test_feldman_cousins_poisson(n: int, b: float, lower: float, upper: float) -> None:
    assert interval("feldman-cousins", n, b) == (pytest.approx(lower, abs=0.0055), pytest.approx(upper, abs=0.0055))


def test_feldman_cousins_before_the_correction() -> None:
    assert raw_upper_limit(0, 3.0, confidence_level=0.9) == pytest.approx(0.95, abs=0.005)  # as constructed: 1.08 in print


def test_feldman_cousins_of_many_counts() -> None:
    # ROOT forum, L. Moneta on TFeldmanCousins: n = b = 40 has an upper limit of about 11.5.
    assert interval("feldman-cousins", 40, 40)[1] == pytest.approx(11.5, abs=0.05)


@pytest.mark.parametrize(
    ("x", "lower", "upper"),
    # Feldman and Cousins, Table X (90 %).
    [(-3, 0, 0.26), (-1, 0, 0.81), (0, 0, 1.64), (1, 0, 2.64), (2, 0.58, 3.64), (3, 1.37, 4.64)],
)
def test_feldman_cousins_gaussian(x: float, lower: float, upper: float) -> None:
    found = feldman_cousins(x, 1, confidence_level=0.9)
    assert (found.lower, found.upper) == (pytest.approx(lower, abs=0.0055), pytest.approx(upper, abs=0.0055))
    scaled = feldman_cousins(2 * x, 2, confidence_level=0.9)
    assert (scaled.lower, scaled.upper) == pytest.approx((2 * found.lower, 2 * found.upper))


@pytest.mark.parametrize(
    ("signal", "background", "expected"),
    # Eq. (97) of Cowan et al., arXiv:1007.1727, by hand.
    [(10, 100, 0.9840), (5, 1, 3.3913), (10, 10, 2.7795), (50, 100, 4.6518)],
)
def test_asimov(signal: float, background: float, expected: float) -> None:
    assert asimov(signal, background) == pytest.approx(expected, abs=5e-5)
    assert asimov(signal, background, background_error=1e-6) == pytest.approx(expected, abs=5e-5)


def test_asimov_with_an_uncertain_background() -> None:
    s, b, sigma = 50.0, 100.0, 10.0
    # G. Cowan, "Discovery sensitivity for a counting experiment with background uncertainty" (2012).
    logarithms = (s + b) * math.log((s + b) * (b + sigma**2) / (b**2 + (s + b) * sigma**2)) - b**2 / sigma**2 * math.log(
        1 + sigma**2 * s / (b * (b + sigma**2))
    )
    assert asimov(s, b, background_error=sigma) == pytest.approx(3.1730, abs=5e-5)
    assert asimov(s, b, background_error=sigma) == pytest.approx(math.sqrt(2 * logarithms), rel=1e-12)


@pytest.mark.parametrize(
    ("on", "off", "tau", "binomial", "profile"),
    # Cousins, Linnemann, Tucker, physics/0702156, table of examples: Z_Bi and Z_PL.
    [
        (4, 5, 5.0, 1.66, 1.95),
        (17, 40.11, 10.56, 4.46, 4.57),
        (67, 15, 0.5, 2.89, 3.04),
        (498426, 493434, 1.0, 5.01, 5.01),
    ],
)
def test_on_and_off(on: float, off: float, tau: float, binomial: float, profile: float) -> None:
    assert z_bi(on, off, tau) == pytest.approx(binomial, abs=0.0055)
    assert li_ma(on, off, tau) == pytest.approx(profile, abs=0.0055)


@pytest.mark.parametrize(("measured", "expected"), [(-1, 1.1478), (0, 1.6449), (1, 2.3778)])
def test_truncated_gaussian(measured: float, expected: float) -> None:
    # Closed form: measured + Phi^-1(1 - 0.1 Phi(measured)).
    assert truncated_upper_limit(measured, 1, confidence_level=0.9) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize(("level", "expected"), [(0.95, 1.96), (0.90, 1.645)])
def test_expected_gaussian_limit(level: float, expected: float) -> None:
    # Median asymptotic CLs limit, Eq. (89) of arXiv:1007.1727: sigma Phi^-1(1 - alpha / 2).
    assert truncated_upper_limit(0, 1, confidence_level=level) == pytest.approx(expected, abs=5e-4)


def test_closure_on_babar() -> None:
    # BaBar, arXiv:0908.2840: B = (-1.6 +- 1.4 +- 1.6)e-4 and B < 3.0e-4 (90 %); the truncated Gaussian gives 2.66e-4.
    limit = truncated_upper_limit(-1.6e-4, 2.126e-4, confidence_level=0.9)
    assert limit == pytest.approx(2.66e-4, abs=5e-7)
    assert limit == pytest.approx(3.0e-4, rel=0.15)
