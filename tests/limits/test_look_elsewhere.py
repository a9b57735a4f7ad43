"""Global p values: numbers that were published, closed forms for Gaussian fields, and toys."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import kstest, norm

from mlbkg.errors import LimitError
from mlbkg.limits.look_elsewhere import (
    EulerCharacteristic,
    GrossVitells,
    euler_characteristic,
    expected_excesses,
    global_p_value,
    p_value_of_excesses,
    p_value_of_independent,
    upcrossings,
)
from mlbkg.limits.significance import p_value_of_z, z_of_p_value

SPACING = 0.1
"""Between neighbouring hypotheses, in correlation lengths; curves rise through a level at most once in between."""


def smooth_root(n: int) -> np.ndarray:
    """``(n, n)``: takes white noise to fields of unit variance with the correlation exp(-distance^2 / 2)."""
    distance = SPACING * np.subtract.outer(np.arange(n), np.arange(n))
    values, vectors = np.linalg.eigh(np.exp(-(distance**2) / 2))
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0)))


def curves(toys: int, n: int, seed: int) -> np.ndarray:
    return np.asarray(np.random.default_rng(seed).standard_normal((toys, n)) @ smooth_root(n).T)


def fields(toys: int, n: int, seed: int) -> np.ndarray:
    root = smooth_root(n)
    return np.asarray(root @ np.random.default_rng(seed).standard_normal((toys, n, n)) @ root.T)


@pytest.mark.parametrize(
    ("z", "p", "expected", "anywhere"),
    [
        (3.1, 9.676e-4, 3.01, 0.951),
        (3.2, 6.871e-4, 2.14, 0.882),
        (3.4, 3.369e-4, 1.048, 0.650),
        (3.8, 7.235e-5, 0.2251, 0.2016),
        (3.9, 4.810e-5, 0.1496, 0.1390),
    ],
)
def test_excesses_of_the_kloe_search(z: float, p: float, expected: float, anywhere: float) -> None:
    # arXiv:1501.06795: 4.2 bins above 3 sigma expected, which are 3111 bins; its largest excesses.
    bins = 4.2 / p_value_of_z(3.0)
    assert round(bins) == 3111
    assert p_value_of_z(z) == pytest.approx(p, rel=2e-4)
    assert expected_excesses(3111, z) == pytest.approx(expected, rel=2e-3)
    assert p_value_of_independent(p_value_of_z(z), 3111) == pytest.approx(anywhere, abs=6e-4)


def test_as_many_excesses_as_expected() -> None:
    # P(N >= 3) = 1 - exp(-4.2) (1 + 4.2 + 4.2^2 / 2), and P(N <= 3) of the same.
    assert p_value_of_excesses(3, 4.2) == pytest.approx(0.78976, abs=5e-6)
    assert 1 - p_value_of_excesses(4, 4.2) == pytest.approx(0.39540, abs=5e-6)
    assert z_of_p_value(p_value_of_independent(p_value_of_z(3.9), 3111)) == pytest.approx(1.08, abs=0.006)
    assert p_value_of_independent(1.0, 3111) == 1.0
    assert p_value_of_independent(1e-20, 10) == pytest.approx(1e-19)


def test_gross_vitells_example() -> None:
    # Their toy has 4.34 upcrossings of c0 = 0.5.
    found = GrossVitells(reference=math.sqrt(0.5), mean=4.34, error=0.0)
    assert found.global_p_value(3.0).value == pytest.approx(0.0633, abs=5e-5)
    at_four = found.global_p_value(4.0).value
    assert at_four == pytest.approx(1.901e-3, rel=5e-4)
    assert z_of_p_value(at_four) == pytest.approx(2.89, abs=0.005)
    assert found.global_p_value(0.71).value == 1.0


def test_upcrossings() -> None:
    drawn = np.array([[0.0, 2.0, 0.0, 2.0, 2.0], [2.0, 0.0, 0.5, 0.9, 1.0], [2.0, 2.0, 2.0, 2.0, 2.0]])
    assert upcrossings(drawn, 1.0).tolist() == [2, 1, 0]


@pytest.mark.parametrize("level", [0.0, 0.7, 1.5])
def test_upcrossings_of_a_gaussian_curve(level: float) -> None:
    # Rice's formula: length / (2 pi) exp(-z^2 / 2) in correlation lengths.
    found = upcrossings(curves(4000, 200, seed=1), level)
    expected = 199 * SPACING / (2 * math.pi) * math.exp(-(level**2) / 2)
    assert found.mean() == pytest.approx(expected, abs=4 * found.std() / math.sqrt(4000) + 2e-3 * expected)


def test_gross_vitells_against_toys() -> None:
    few = GrossVitells.of_toys(curves(300, 200, seed=2), reference=0.5)
    largest = curves(20_000, 200, seed=3).max(axis=1)
    for z in (2.5, 3.0, 3.5):
        direct, extrapolated = global_p_value(z, largest), few.global_p_value(z)
        error = math.hypot(extrapolated.high - extrapolated.low, direct.high - direct.low) / 2
        assert extrapolated.low < extrapolated.value < extrapolated.high
        assert abs(direct.value - extrapolated.value) < 3 * error + 0.02 * direct.value


def test_global_p_values_are_uniform_without_signal() -> None:
    reference = curves(4000, 100, seed=4).max(axis=1)
    found = [global_p_value(z, reference).value for z in curves(500, 100, seed=5).max(axis=1)]
    assert kstest(found, "uniform").pvalue > 0.01


def test_gross_vitells_p_values_are_uniform_where_small() -> None:
    few = GrossVitells.of_toys(curves(500, 100, seed=6), reference=0.5)
    found = np.array([few.global_p_value(z).value for z in curves(5000, 100, seed=7).max(axis=1)])
    for level in (0.01, 0.05, 0.1):
        assert np.mean(found <= level) == pytest.approx(level, abs=4 * math.sqrt(level / 5000) + 0.1 * level)
    assert np.mean(found <= 0.5) < 0.5


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (["....", "....", "...."], 0),
        (["##..", "##..", "...."], 1),
        (["###.", "#.#.", "###."], 0),
        (["#..#", "....", "#..#"], 4),
        (["#...", ".#..", "..#."], 3),
        (["####", "#.##", "####"], 0),
        (["####", "####", "####"], 1),
        (["#.#.", "###.", "#.##"], 1),
    ],
)
def test_euler_characteristic(rows: list[str], expected: int) -> None:
    field = np.array([[2.0 if cell == "#" else 0.0 for cell in row] for row in rows])
    assert euler_characteristic(field[None], 1.0).tolist() == [expected]
    assert euler_characteristic(np.where(field > 1, field, np.nan)[None], 1.0).tolist() == [expected]


def test_euler_characteristic_of_a_gaussian_field() -> None:
    # Adler and Taylor, Random Fields and Geometry, Theorem 12.4.1: for a rectangle with sides a, b in correlation lengths
    # E = p(z) + exp(-z^2 / 2) [(a + b) / (2 pi) + a b z / (2 pi)^(3/2)].
    side = 59 * SPACING
    found = EulerCharacteristic.of_toys(fields(1500, 60, seed=8), levels=(0.5, 1.5), inside=np.ones((60, 60), dtype=bool))
    assert found.region == 1
    errors = np.sqrt(np.diag(found.covariance))
    assert found.n_1 == pytest.approx(2 * side / (2 * math.pi), abs=4 * errors[0] + 0.05)
    assert found.n_2 == pytest.approx(side**2 / (2 * math.pi) ** 1.5, abs=4 * errors[1] + 0.05)


def test_euler_characteristic_against_toys() -> None:
    """In a triangle, as the plane of two ordered masses is."""
    inside = np.tril(np.ones((50, 50), dtype=bool))
    few = EulerCharacteristic.of_toys(fields(400, 50, seed=9), levels=(0.5, 1.2), inside=inside)
    largest = np.where(inside, fields(8000, 50, seed=10), -np.inf).max(axis=(1, 2))
    for z in (3.0, 3.5):
        direct, extrapolated = global_p_value(z, largest), few.global_p_value(z)
        error = math.hypot(extrapolated.high - extrapolated.low, direct.high - direct.low) / 2
        assert abs(direct.value - extrapolated.value) < 3 * error + 0.1 * direct.value
    assert (
        few.global_p_value(30.0).value == pytest.approx(p_value_of_z(30.0), rel=0.5)
        or few.global_p_value(30.0).value < 1e-180
    )


def test_clopper_pearson() -> None:
    # Of 10 trials at 95 %: 0 gives [0, 0.3085], 1 gives [0.0025, 0.4450], 10 gives [0.6915, 1].
    toys = np.arange(10.0)
    nothing, last, everything = (global_p_value(z, toys, confidence_level=0.95) for z in (9.5, 9.0, -1.0))
    assert (nothing.value, nothing.low, nothing.high) == pytest.approx((0.0, 0.0, 0.3085), abs=5e-5)
    assert (last.value, last.low, last.high) == pytest.approx((0.1, 0.0025, 0.4450), abs=5e-5)
    assert (everything.value, everything.low, everything.high) == pytest.approx((1.0, 0.6915, 1.0), abs=5e-5)


def test_global_of_known_curves() -> None:
    # The largest of 50 independent normal variables.
    largest = np.random.default_rng(11).standard_normal((5000, 50)).max(axis=1)
    found = global_p_value(3.0, largest)
    assert found.low < p_value_of_independent(norm.sf(3.0), 50) * 1.05
    assert found.value == pytest.approx(p_value_of_independent(norm.sf(3.0), 50), abs=4 * math.sqrt(0.065 / 5000))


def test_no_upcrossing_has_an_error() -> None:
    found = GrossVitells.of_toys(np.zeros((100, 5)), reference=0.5)
    assert (found.mean, found.error) == (0.0, 0.01)
    assert found.global_p_value(3.0).high > found.global_p_value(3.0).value == pytest.approx(norm.sf(3.0))


def test_refusals() -> None:
    with pytest.raises(LimitError, match="no toys"):
        global_p_value(3.0, [])
    with pytest.raises(LimitError, match="at least 10 toys are needed; got 3"):
        GrossVitells.of_toys(np.zeros((3, 5)), reference=0.5)
    inside = np.ones((5, 5), dtype=bool)
    with pytest.raises(LimitError, match="at least 10 toys are needed; got 3"):
        EulerCharacteristic.of_toys(np.zeros((3, 5, 5)), levels=(0.5, 1.0), inside=inside)
    with pytest.raises(LimitError, match="two different levels are needed; got 1 and 1"):
        EulerCharacteristic.of_toys(np.zeros((20, 5, 5)), levels=(1.0, 1.0), inside=inside)
