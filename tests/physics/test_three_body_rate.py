"""The rate of gamma* -> l1 l2 V against traces of explicit Dirac matrices and against the massless closed form."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mlbkg.physics.three_body_rate import contracted_tensor, integrated_rate

Array = NDArray[np.float64]
Matrix = NDArray[np.complex128]

METRIC = np.array([1.0, -1.0, -1.0, -1.0])
PAULI = [np.array([[0, 1], [1, 0]]), np.array([[0, -1j], [1j, 0]]), np.array([[1, 0], [0, -1]])]
ZERO = np.zeros((2, 2))
GAMMA = [np.diag([1, 1, -1, -1]).astype(complex), *(np.block([[ZERO, s], [-s, ZERO]]) for s in PAULI)]


def slash(p: Array) -> Matrix:
    return np.asarray(sum(METRIC[i] * p[i] * GAMMA[i] for i in range(4)))


def dot(a: Array, b: Array) -> float:
    return float((METRIC * a * b).sum())


def decay(rng: np.random.Generator, parent: Array, first: float, second: float) -> tuple[Array, Array]:
    """Momenta of an isotropic two-body decay."""
    mass = np.sqrt(dot(parent, parent))
    momentum = np.sqrt((mass**2 - (first + second) ** 2) * (mass**2 - (first - second) ** 2)) / (2 * mass)
    way = rng.normal(size=3)
    at_rest = np.array([np.hypot(momentum, first), *(momentum * way / np.linalg.norm(way))])
    gamma, boost = parent[0] / mass, parent[1:] / parent[0]
    along = boost @ at_rest[1:]
    share = gamma**2 / (gamma + 1) * along + gamma * at_rest[0]
    moved = np.array([gamma * (at_rest[0] + along), *(at_rest[1:] + share * boost)])
    return moved, parent - moved


def traced(p1: Array, p2: Array, k: Array, m1: float, m2: float) -> tuple[float, float, float]:
    """T by multiplying matrices, and both denominators."""
    first, second = p1 + k, -(p2 + k)
    d1, d2 = dot(first, first) - m1**2, dot(second, second) - m2**2
    one = np.eye(4)
    total = 0.0
    for m in range(4):
        for a in range(4):
            left = GAMMA[a] @ (slash(first) + m1 * one) @ GAMMA[m] / d1
            amplitude = left + GAMMA[m] @ (slash(second) + m2 * one) @ GAMMA[a] / d2
            conjugate = GAMMA[0] @ amplitude.conj().T @ GAMMA[0]
            product = (slash(p1) + m1 * one) @ amplitude @ (slash(p2) - m2 * one) @ conjugate
            total += METRIC[m] * METRIC[a] * np.trace(product).real
    return total, d1, d2


@pytest.mark.parametrize(
    ("mass", "m1", "m2"), [(0.3, 0, 0), (0.2, 0.01, 0.01), (0.5, 0.2, 0.2), (0.3, 0.2, 0.05), (0.01, 0.01, 5e-5)]
)
def test_tensor_is_the_trace(mass: float, m1: float, m2: float) -> None:
    rng = np.random.default_rng(7)
    for _ in range(5):
        pair = rng.uniform(m1 + m2 + 1e-3, 1 - mass - 1e-3)
        k, leptons = decay(rng, np.array([1.0, 0, 0, 0]), mass, pair)
        p1, p2 = decay(rng, leptons, m1, m2)
        expected, d1, d2 = traced(p1, p2, k, m1, m2)
        found = contracted_tensor(*(np.array(x) for x in (d1, d2)), mass=np.array(mass), m1=np.array(m1), m2=np.array(m2))
        assert found == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("mass", [1e-4, 0.01, 0.1, 0.5, 0.9])
def test_leptons_may_be_swapped(mass: float) -> None:
    heavy, light = np.array([0.01]), np.array([5e-5])
    swapped = integrated_rate(np.array([mass]), light, heavy)
    assert integrated_rate(np.array([mass]), heavy, light) == pytest.approx(swapped, rel=1e-12)


def test_integral_has_converged(monkeypatch: pytest.MonkeyPatch) -> None:
    import mlbkg.physics.three_body_rate as module

    mass = np.array([1e-4, 1e-3, 0.01, 0.1, 0.5, 0.9, 0.97, 0.979])
    muon, electron = np.full(8, 0.01), np.full(8, 5e-5)
    usual = [integrated_rate(mass, muon, other) for other in (muon, electron)]
    monkeypatch.setattr(module, "NODES", 160)
    module._nodes.cache_clear()
    finer = [integrated_rate(mass, muon, other) for other in (muon, electron)]
    module._nodes.cache_clear()
    for values, better in zip(usual, finer, strict=True):
        np.testing.assert_allclose(values, better, rtol=1e-7)


def test_closed_beyond_the_threshold() -> None:
    mass = np.array([0.5, 0.97, 0.981, 1.2])
    rate = integrated_rate(mass, np.full(4, 0.01), np.full(4, 0.01))
    assert (rate[:2] > 0).all()
    assert (rate[2:] == 0).all()


def test_many_masses_are_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    mass = np.linspace(0.01, 0.9, 150)
    lepton = np.full(150, 0.01)
    together = integrated_rate(mass, lepton, lepton)
    alone = [integrated_rate(mass[n : n + 1], lepton[:1], lepton[:1])[0] for n in (0, 63, 64, 149)]
    np.testing.assert_allclose(together[[0, 63, 64, 149]], alone, rtol=1e-13)
