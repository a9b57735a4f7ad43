"""e+e- -> U h', U -> mu+ mu-: directions of the U and of its muons against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from mlbkg.errors import ConfigError
from mlbkg.physics.beams import BEAMS
from mlbkg.physics.constants import M_MUON
from mlbkg.physics.dark_higgs import angular_density, cross_section_fb
from mlbkg.physics.lorentz import FourVector, boost
from mlbkg.simulation.base import PROCESSES, Generated, Setting
from mlbkg.simulation.generate import Block, simulate_block
from mlbkg.simulation.kinematics import back_to_back, boosted, isotropic
from mlbkg.simulation.processes.dark_higgs import muons, squared_amplitude

Array = NDArray[np.float64]

SQRT_S = float(BEAMS["Y4S"].total_mass)
MASSES = [(4.0, 0.1), (6.0, 2.0), (9.7, 0.5), (1.0, 0.5), (0.3, 0.1), (0.22, 5.0)]


def generated(masses: list[tuple[float, float]], n: int, *, beams: str = "Y4S") -> Generated:
    process = PROCESSES["dark_higgs"]
    params = process.params.model_validate({"masses": masses})
    hypothesis = np.array(params.hypotheses)[np.arange(n) % len(masses)]
    return process.generate_block(np.random.default_rng(1), n, Setting(BEAMS[beams], 1, params, hypothesis))


def polar_and_helicity_angle(mass_u: float, mass_h: float, n: int) -> tuple[Array, Array]:
    """Cosines: of the U about the beams, and of the mu+ in the U's frame about the U's own direction."""
    plus, minus = muons(np.random.default_rng(2), np.full(n, mass_u), np.full(n, mass_h), sqrt_s=SQRT_S)
    u = plus.plus(minus)
    back = boost(plus, bx=-u.px / u.e, by=-u.py / u.e, bz=-u.pz / u.e)
    along = (back.px * u.px + back.py * u.py + back.pz * u.pz) / (back.p * u.p)
    return np.asarray(u.pz / u.p), np.asarray(along)


def assert_follows(values: Array, density: Array, grid: Array) -> None:
    """A histogram of 20 bins of ``values`` against a density on a fine grid on [-1, 1]."""
    cumulative = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(grid))])
    edges = np.linspace(-1, 1, 21)
    expected = len(values) * np.diff(np.interp(edges, grid, cumulative / cumulative[-1]))
    found = np.histogram(values, edges)[0]
    # 5 standard deviations of chi^2/19
    assert ((found - expected) ** 2 / expected).sum() / 19 < 1 + 5 * np.sqrt(2 / 19)


@pytest.mark.parametrize(("mass_u", "mass_h"), MASSES)
def test_angles(mass_u: float, mass_h: float) -> None:
    grid = np.linspace(-1, 1, 4001)
    polar, helicity = polar_and_helicity_angle(mass_u, mass_h, 200_000)
    # Batell, Pospelov and Ritz: 8 m_U^2/s + lambda sin^2
    assert_follows(polar, angular_density(grid, np.array(mass_u), np.array(mass_h), sqrt_s=SQRT_S), grid)
    # Of sigma ~ lambda + 12 u, u = m_U^2/s, the longitudinal U has lambda + 4 u; decays 1 - b^2 c^2 and 1 - b^2 sin^2/2
    u, h = (mass_u / SQRT_S) ** 2, (mass_h / SQRT_S) ** 2
    triangle = 1 + u**2 + h**2 - 2 * (u + h + u * h)
    velocity = 1 - (2 * M_MUON / mass_u) ** 2
    decays = (triangle + 4 * u) * (1 - velocity * grid**2) + 8 * u * (1 - velocity * (1 - grid**2) / 2)
    assert_follows(helicity, decays, grid)


def test_squared_amplitude_is_the_trace() -> None:
    pauli = [np.array([[0, 1], [1, 0]]), np.array([[0, -1j], [1j, 0]]), np.array([[1, 0], [0, -1]])]
    zero, metric = np.zeros((2, 2)), np.array([1.0, -1.0, -1.0, -1.0])
    gamma = np.array([np.diag([1, 1, -1, -1]).astype(complex), *(np.block([[zero, s], [-s, zero]]) for s in pauli)])

    def tensor(first: Array, second: Array, mass: float) -> NDArray[np.complex128]:
        """Tr[(first + m) gamma^i (second - m) gamma^j]"""
        slashed = [np.einsum("i,i,ijk->jk", metric, p, gamma) for p in (first, second)]
        return np.einsum("ab,ibc,cd,jda->ij", slashed[0] + mass * np.eye(4), gamma, slashed[1] - mass * np.eye(4), gamma)

    rng = np.random.default_rng(3)
    u, _ = back_to_back(isotropic(rng, 8), SQRT_S, 3.0, 1.0)
    plus, minus = (boosted(muon, u) for muon in back_to_back(isotropic(rng, 8), 3.0, M_MUON, M_MUON))
    beams = tensor(*(SQRT_S / 2 * np.array([1.0, 0, 0, sign]) for sign in (-1, 1)), 0.0)
    expected = [
        np.einsum("i,j,ij,ij->", metric, metric, beams, tensor(q1, q2, M_MUON)).real
        for q1, q2 in zip(np.array(minus).T, np.array(plus).T, strict=True)
    ]
    ratio = squared_amplitude(plus, minus) / expected
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-10)


@pytest.mark.parametrize(("mass_u", "mass_h"), [(4.0, 0.1), (9.0, 1.0), (1.0, 0.5)])
def test_sum_over_the_muons_is_the_cross_section(mass_u: float, mass_h: float) -> None:
    # The mean over all directions over that of an unpolarised decay, times p_U, the coupling m_U^2 and the propagator
    def rate(mass_u: float, mass_h: float) -> float:
        rng = np.random.default_rng(4)
        u, _ = back_to_back(isotropic(rng, 400_000), SQRT_S, mass_u, mass_h)
        pair = [boosted(muon, u) for muon in back_to_back(isotropic(rng, 400_000), mass_u, M_MUON, M_MUON)]
        decay = mass_u**2 * (1 - (1 - (2 * M_MUON / mass_u) ** 2) / 3)
        coupling = mass_u**2 / (1 - (mass_u / SQRT_S) ** 2) ** 2
        return float(squared_amplitude(*pair).mean() / decay * u.p[0] * coupling)

    expected = cross_section_fb(np.array([mass_u, 6.0]), np.array([mass_h, 2.0]), sqrt_s=SQRT_S)
    assert rate(mass_u, mass_h) / rate(6.0, 2.0) == pytest.approx(expected[0] / expected[1], rel=0.005)


def test_masses_of_the_pair_and_of_what_recoils() -> None:
    made = generated(MASSES, 600)
    pairs = FourVector(*(np.bincount(made.event, part) for part in made.momentum))
    recoil = FourVector(SQRT_S, 0, 0, 0).minus(pairs)
    for particle, column in ((pairs, 0), (recoil, 1)):
        expected = np.tile([masses[column] for masses in MASSES], 100)
        np.testing.assert_allclose(np.sqrt(particle.mass_squared), expected, rtol=1e-6)
    np.testing.assert_allclose(np.sqrt(made.momentum.mass_squared), M_MUON, rtol=1e-6)
    assert made.pdg.tolist() == [-13, 13] * 600


def test_truth_is_written_for_every_event() -> None:
    params = PROCESSES["dark_higgs"].params.model_validate({"masses": MASSES})
    block = Block("dark_higgs", "signal", 1, 0, 1000, BEAMS["Y4S"], params)
    first, second = simulate_block(block), simulate_block(block)
    for column, name in enumerate(("mc_mass", "mc_mass_h")):
        expected = [MASSES[i % len(MASSES)][column] for i in range(1000)]
        np.testing.assert_array_equal(first.event[name], expected)
    np.testing.assert_array_equal(first.collections["track"]["px"], second.collections["track"]["px"])


@pytest.mark.parametrize("masses", [[], [(0.2, 0.1)], [(4.0, 0.0)], [(4.0,)], [(11.0, 0.1)], [4.0]])
def test_impossible_masses_are_refused(masses: list[object]) -> None:
    with pytest.raises(ValidationError):
        PROCESSES["dark_higgs"].params.model_validate({"masses": masses})


def test_pairs_that_the_beams_cannot_make_are_refused() -> None:
    with pytest.raises(ConfigError, match="Y4S"):
        generated([(4.0, 0.1), (9.0, 1.6)], 10)
