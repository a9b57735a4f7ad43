from __future__ import annotations

import numpy as np
import pytest

from mlbkg.physics.event_shape import aplanarity, cleo_cones, fox_wolfram, sphericity, sphericity_eigenvalues, thrust
from mlbkg.physics.segments import Segments


def _events(n_events: int, n_particles: int, seed: int) -> tuple[np.ndarray, Segments]:
    """``(3, n_events * n_particles)`` momenta that are isotropic in half of the events and jet-like in the others."""
    rng = np.random.default_rng(seed)
    momenta = rng.normal(size=(n_events, n_particles, 3)) * rng.exponential(size=(n_events, n_particles, 1))
    jets = rng.normal(size=(n_events, 1, 3)) * rng.choice([-2, 2], size=(n_events, n_particles, 1))
    momenta[::2] += (jets * rng.exponential(size=(n_events, n_particles, 1)))[::2]
    return momenta.reshape(-1, 3).T.copy(), Segments(np.full(n_events, n_particles))


def _thrust_by_planes(momenta: np.ndarray) -> float:
    """The maximum over all partitions by a plane through two particles: exact, cubic in their number."""
    best = 0.0
    for i in range(len(momenta)):
        for j in range(i):
            signs = np.sign(momenta @ np.cross(momenta[i], momenta[j]))
            signs[[i, j]] = 0
            others = signs @ momenta
            sums = [np.linalg.norm(others + a * momenta[i] + b * momenta[j]) for a in (1, -1) for b in (1, -1)]
            best = max(best, *sums)
    return best / np.linalg.norm(momenta, axis=1).sum()


@pytest.mark.parametrize(
    ("n_particles", "may_miss", "by"), [(2, 0, 0), (3, 0, 0), (5, 0, 0), (8, 0.01, 0.01), (14, 0.02, 0.02)]
)
def test_thrust_against_all_planes(n_particles: int, may_miss: float, by: float) -> None:
    momenta, events = _events(150, n_particles, seed=n_particles)
    exact = np.array([_thrust_by_planes(event) for event in momenta.T.reshape(150, n_particles, 3)])
    ratio = thrust(*momenta, events).value / exact
    assert ratio.max() < 1 + 1e-12
    assert (ratio < 1 - 1e-9).mean() <= may_miss
    assert ratio.min() > 1 - by - 1e-9


def test_thrust_axis_gives_the_thrust() -> None:
    momenta, events = _events(100, 9, seed=4)
    value, *axis = thrust(*momenta, events)
    assert np.square(axis).sum(axis=0) == pytest.approx(1.0)
    along = np.abs(sum(p * events.repeat(a) for p, a in zip(momenta, axis, strict=True)))
    assert events.sum(along) / events.sum(np.sqrt(np.square(momenta).sum(axis=0))) == pytest.approx(value)


def test_fox_wolfram_against_the_double_sum() -> None:
    momenta, events = _events(20, 7, seed=5)
    moments = fox_wolfram(*momenta, events)
    for row, event in enumerate(momenta.T.reshape(20, 7, 3)):
        size = np.linalg.norm(event, axis=1)
        products = np.outer(size, size)
        cosine = event @ event.T / products
        # Legendre polynomials of order 0, 1 and 2
        sums = products.sum(), (products * cosine).sum(), (products * (3 * cosine**2 - 1) / 2).sum()
        assert [moments.h0[row], moments.h1[row], moments.h2[row]] == pytest.approx(sums)


def test_sphericity_eigenvalues_against_lapack() -> None:
    momenta, events = _events(200, 6, seed=6)
    found = sphericity_eigenvalues(*momenta, events)
    for row, event in enumerate(momenta.T.reshape(200, 6, 3)):
        expected = np.linalg.eigvalsh(event.T @ event / np.square(event).sum())[::-1]
        assert found[row] == pytest.approx(expected, abs=1e-7)


def test_nine_cones_hold_all_momentum() -> None:
    momenta, events = _events(50, 8, seed=7)
    axis = thrust(*momenta, events)[1:]
    cones = cleo_cones(*momenta, events, axis=axis, n_cones=9)
    assert cones.sum(axis=1) == pytest.approx(events.sum(np.sqrt(np.square(momenta).sum(axis=0))))


def test_cones_are_ten_degrees_wide_on_both_sides() -> None:
    angles = np.radians([5, 15, 175, 165, 25, 95])
    p = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
    one = Segments(np.array([6]))
    z_axis = (np.zeros(1), np.zeros(1), np.ones(1))
    cones = cleo_cones(p * np.sin(angles), 0 * p, p * np.cos(angles), one, axis=z_axis, n_cones=9)
    assert cones[0] == pytest.approx([5, 10, 16, 0, 0, 0, 0, 0, 32])


def test_events_without_particles_have_no_shape() -> None:
    events = Segments(np.array([0, 2, 0]))
    momenta = (np.array([1.0, -1.0]), np.zeros(2), np.zeros(2))
    shapes = thrust(*momenta, events).value, fox_wolfram(*momenta, events).r2
    eigenvalues = sphericity_eigenvalues(*momenta, events)
    for shape in (*shapes, sphericity(eigenvalues), aplanarity(eigenvalues)):
        assert np.isnan(shape).tolist() == [True, False, True]
    nothing = (np.zeros(0), np.zeros(0), np.zeros(0))
    assert len(thrust(*nothing, Segments(np.zeros(0, dtype=np.int64))).value) == 0
