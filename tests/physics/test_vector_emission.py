"""The squared amplitude of e+e- -> l1 l2 V against another program's points and traces of explicit Dirac matrices."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mlbkg.physics.constants import M_MUON
from mlbkg.physics.lorentz import FourVector, boost
from mlbkg.physics.three_body_rate import contracted_tensor
from mlbkg.physics.vector_emission import contraction, plane, spatial_trace, squared_amplitude, transverse_tensor

Array = NDArray[np.float64]

METRIC = np.array([1.0, -1.0, -1.0, -1.0])
PAULI = [np.array([[0, 1], [1, 0]]), np.array([[0, -1j], [1j, 0]]), np.array([[1, 0], [0, -1]])]
ZERO = np.zeros((2, 2))
GAMMA = np.array([np.diag([1, 1, -1, -1]).astype(complex), *(np.block([[ZERO, s], [-s, ZERO]]) for s in PAULI)])

MASSES = [(0.3, 0.0, 0.0), (0.2, 0.01, 0.01), (0.5, 0.2, 0.2), (0.3, 0.2, 0.05), (0.01, 0.01, 5e-5), (0.0, 0.1, 0.1)]


def events(n: int, mass: float, m1: float, m2: float) -> tuple[FourVector, FourVector, FourVector]:
    """Two two-body decays in a row, of something of mass 1 at rest; (l1, l2, V)."""
    rng = np.random.default_rng(5)

    def back_to_back(parent: Array, first: float, second: float) -> tuple[FourVector, FourVector]:
        momentum = np.sqrt((parent**2 - (first + second) ** 2) * (parent**2 - (first - second) ** 2)) / (2 * parent)
        way = rng.normal(size=(3, n))
        way *= momentum / np.linalg.norm(way, axis=0)
        return FourVector(np.hypot(momentum, first), *way), FourVector(np.hypot(momentum, second), *-way)

    pair = rng.uniform(m1 + m2 + 1e-3, 1 - mass - 1e-3, n)
    momentum = np.sqrt((1 - (mass + pair) ** 2) * (1 - (mass - pair) ** 2)) / 2
    way = rng.normal(size=(3, n))
    way *= momentum / np.linalg.norm(way, axis=0)
    velocity = dict(zip(("bx", "by", "bz"), -way / np.hypot(momentum, pair), strict=True))
    first, second = (boost(lepton, **velocity) for lepton in back_to_back(pair, m1, m2))
    return first, second, FourVector(np.hypot(momentum, mass), *way)


def slash(p: Array) -> NDArray[np.complex128]:
    return np.asarray(np.einsum("i,i,ijk->jk", METRIC, p, GAMMA))


def traced(p1: Array, p2: Array, k: Array, m1: float, m2: float) -> NDArray[np.float64]:
    """H^mn ``(4, 4)`` by multiplying matrices."""
    one = np.eye(4)
    first, second = p1 + k, -(p2 + k)
    d1, d2 = (METRIC * first**2).sum() - m1**2, (METRIC * second**2).sum() - m2**2
    amplitude = np.einsum("aij,jk,mkl->amil", GAMMA, slash(first) + m1 * one, GAMMA) / d1
    amplitude += np.einsum("mij,jk,akl->amil", GAMMA, slash(second) + m2 * one, GAMMA) / d2
    conjugate = np.einsum("ij,amkj,kl->amil", GAMMA[0], amplitude.conj(), GAMMA[0])
    left, right = slash(p1) + m1 * one, slash(p2) - m2 * one
    return -np.einsum("a,ij,amjk,kl,anli->mn", METRIC, left, amplitude, right, conjugate).real


@pytest.mark.parametrize(
    ("p1", "p2", "k", "expected"),
    # Another program: all 16 x 4 components of the tensors, M(Z') = 2 GeV at 10.58 GeV
    [
        (
            (2.8332834943918233, 1.9983171968109803, -1.601381854899361, -1.2077401222980162),
            (4.835896298643274, -2.89915894262833, 2.688410199506553, 2.7824552725040776),
            (2.9108202069649027, 0.9008417458173498, -1.0870283446071918, -1.5747151502060612),
            0.5953113,
        ),
        (
            (4.331480786911596, -4.139142830736203, 0.6739461055121148, -1.0788212959990875),
            (1.1075298798728257, -0.49394785887893167, 0.29807568229414316, 0.9394813158501962),
            (5.140989333215581, 4.633090689615132, -0.9720217878062575, 0.13933998014889123),
            0.08644972,
        ),
    ],
)
def test_points(p1: tuple[float, ...], p2: tuple[float, ...], k: tuple[float, ...], expected: float) -> None:
    found = squared_amplitude(FourVector(*p1), FourVector(*p2), FourVector(*k), mass=2.0, m1=M_MUON, m2=M_MUON)
    assert found == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize(("mass", "m1", "m2"), MASSES)
def test_is_the_trace(mass: float, m1: float, m2: float) -> None:
    particles = events(6, mass, m1, m2)
    found = squared_amplitude(*particles, mass=mass, m1=m1, m2=m2)
    for i, (p1, p2, k) in enumerate(np.array(particles).transpose(2, 0, 1)):
        tensor = traced(p1, p2, k, m1, m2)
        assert found[i] == pytest.approx((tensor[1, 1] + tensor[2, 2]) / 2, rel=1e-8)


@pytest.mark.parametrize(("mass", "m1", "m2"), MASSES)
def test_lies_between_nothing_and_the_sum_over_all_directions(mass: float, m1: float, m2: float) -> None:
    p1, p2, k = events(2000, mass, m1, m2)
    d1, d2 = (mass**2 + 2 * (p.e * k.e - p.px * k.px - p.py * k.py - p.pz * k.pz) for p in (p1, p2))
    masses = {"mass": mass, "m1": m1, "m2": m2}
    total = spatial_trace(d1, d2, **masses)
    along = [contraction(d1, d2, n1, n2, **masses) for n1, n2 in zip(p1[1:], p2[1:], strict=True)]
    np.testing.assert_allclose(sum(along), total, rtol=1e-6)
    across = transverse_tensor(d1, d2, p1, p2, **masses)
    assert (across >= 0).all()
    assert (across <= total * (1 + 1e-9)).all()


@pytest.mark.parametrize(("mass", "lepton"), [(0.3, 0.0), (0.2, 0.01), (0.5, 0.2), (0.0, 0.1)])
def test_sum_is_that_of_the_rate_where_the_current_is_conserved(mass: float, lepton: float) -> None:
    p1, p2, k = events(2000, mass, lepton, lepton)
    d1, d2 = (mass**2 + 2 * (p.e * k.e - p.px * k.px - p.py * k.py - p.pz * k.pz) for p in (p1, p2))
    masses = {"mass": mass, "m1": lepton, "m2": lepton}
    np.testing.assert_allclose(spatial_trace(d1, d2, **masses), contracted_tensor(d1, d2, **masses), rtol=1e-6)


def test_plane() -> None:
    mass, m1, m2 = 0.3, 0.2, 0.05
    p1, p2, k = events(1000, mass, m1, m2)
    d1, d2 = (mass**2 + 2 * (p.e * k.e - p.px * k.px - p.py * k.py - p.pz * k.pz) for p in (p1, p2))
    found = plane(d1, d2, mass=mass, m1=m1, m2=m2)
    along = (p1.px * k.px + p1.py * k.py + p1.pz * k.pz) / k.p
    expected = (p1.e, p2.e, k.e, k.p, along, np.sqrt(p1.p**2 - along**2))
    np.testing.assert_allclose(found, expected, atol=1e-7)
