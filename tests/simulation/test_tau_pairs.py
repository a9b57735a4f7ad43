"""e+e- -> tau+ tau- -> two leptons: Michel's spectrum and the correlation of the spins against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mlbkg.physics.beams import BEAMS
from mlbkg.physics.constants import M_ELECTRON, M_MUON, M_TAU
from mlbkg.physics.lorentz import FourVector
from mlbkg.physics.radiation import radiated
from mlbkg.simulation.base import PROCESSES, Generated, ProcessParams, Setting
from mlbkg.simulation.kinematics import isotropic
from mlbkg.simulation.processes.tau_pair_leptonic import born
from mlbkg.simulation.tau_decays import leptons_of_tau_pairs, spin_correlation

Array = NDArray[np.float64]

N = 400_000
SQRT_S = float(BEAMS["Y4S"].total_mass)


def generated(name: str, n: int, *, beams: str = "Y4S") -> Generated:
    return PROCESSES[name].generate_block(
        np.random.default_rng(1), n, Setting(BEAMS[beams], 1, ProcessParams(), np.empty((n, 0)))
    )


def leptons(sqrt_s: float, code: int) -> tuple[FourVector, FourVector]:
    codes = np.full(N, code)
    return leptons_of_tau_pairs(np.random.default_rng(2), np.full(N, sqrt_s), codes, codes)


def assert_mean(values: Array, expected: float) -> None:
    assert values.mean() == pytest.approx(expected, abs=5 * values.std() / np.sqrt(len(values)))


def test_michel_spectrum_of_a_tau_at_rest() -> None:
    # dGamma/dx = 2 x^2 (3 - 2x), x = 2E/m_tau: the integral 2 x^3 - x^4, mean 7/10, mean square 8/15
    energy = leptons(2.0000001 * M_TAU, 11)[0].e
    x = energy / ((M_TAU**2 + M_ELECTRON**2) / (2 * M_TAU))
    assert_mean(x, 0.7)
    assert_mean(x**2, 8 / 15)
    for cut in (0.2, 0.5, 0.8, 0.95):
        assert_mean((x < cut).astype(float), 2 * cut**3 - cut**4)
    assert x.max() < 1.001


def test_muons_spectrum_knows_their_mass() -> None:
    # PDG, muon decay parameters: sqrt(x^2 - x0^2) [x (1 - x) + 2/9 rho (4 x^2 - 3 x - x0^2)], rho = 3/4
    largest = (M_TAU**2 + M_MUON**2) / (2 * M_TAU)
    x0 = M_MUON / largest
    grid = np.linspace(x0, 1, 100_001)
    density = np.sqrt(grid**2 - x0**2) * (grid * (1 - grid) + 2 / 9 * 0.75 * (4 * grid**2 - 3 * grid - x0**2))
    x = leptons(2.0000001 * M_TAU, 13)[0].e / largest
    assert x.min() >= x0 * (1 - 1e-9)
    for cut in (0.2, 0.3, 0.5, 0.8, 0.95):
        assert_mean((x < cut).astype(float), density[grid < cut].sum() / density.sum())


def test_energies_of_leptons_in_flight() -> None:
    # z = E/(sqrt(s)/2) of unpolarised taus at beta = 1: dN/dz = 5/3 - 3 z^2 + 4/3 z^3 (Tsai), mean 7/20
    sqrt_s = 1000.0
    z = 2 * leptons(sqrt_s, 11)[0].e / sqrt_s
    assert_mean(z, 0.35)
    for cut in (0.1, 0.3, 0.6):
        assert_mean((z < cut).astype(float), 5 / 3 * cut - cut**3 + cut**4 / 3)


@pytest.mark.parametrize("sqrt_s", [4.0, SQRT_S, 200.0])
def test_both_leptons_are_hard_or_both_are_soft(sqrt_s: float) -> None:
    """Helicities are opposite, but for the share 1/(2 gamma^2 + 1), so that the energies z = x + beta x cos are correlated.

    <x cos> = -+P/10 by V-A, so that cov(z, z') = (beta/10)^2 <sigma_z sigma_z'>: (1 - r)/(1 + r) with r = 1/(2 gamma^2).
    """
    gamma = sqrt_s / (2 * M_TAU)
    beta, r = np.sqrt(1 - 1 / gamma**2), 1 / (2 * gamma**2)
    z = [lepton.e / (gamma * M_TAU / 2) for lepton in leptons(sqrt_s, 11)]
    for energy in z:
        assert_mean(energy, 0.7)
        assert_mean((energy - 0.7) ** 2, 8 / 15 + 8 / 45 * beta**2 - 0.49)
    assert_mean((z[0] - 0.7) * (z[1] - 0.7), (beta / 10) ** 2 * (1 - r) / (1 + r))


def test_pairs_at_rest_remember_the_beams() -> None:
    # At threshold the spins are those of a vector state across z, <sigma_i sigma_j> = delta_iz delta_jz
    first, second = leptons(2.0000001 * M_TAU, 11)
    scale = M_TAU / 2
    for component, expected in (("px", 0.0), ("py", 0.0), ("pz", -0.01)):
        assert_mean(getattr(first, component) * getattr(second, component) / scale**2, expected)


def test_correlation_of_the_spins_is_that_of_the_traces() -> None:
    """C_ij = sum over the photon's polarisations of Tr[sigma_i M sigma_j^T M+] / Tr[M M+], M the amplitude of spinors."""
    rng = np.random.default_rng(3)
    pauli = [np.array([[0, 1], [1, 0]]), np.array([[0, -1j], [1j, 0]]), np.array([[1, 0], [0, -1]])]
    zero, one = np.zeros((2, 2)), np.eye(2)
    gammas = [np.block([[zero, s], [-s, zero]]) for s in pauli]
    gamma0 = np.block([[one, zero], [zero, -one]])
    charge_conjugation = 1j * gammas[1] @ gamma0

    def spinors(p: Array) -> NDArray[np.complex128]:
        """u(p) of spins up and down in the rest frame, Dirac's representation, as columns."""
        energy = np.sqrt(p @ p + M_TAU**2)
        sigma_p = sum(component * s for component, s in zip(p, pauli, strict=True))
        return np.vstack([one, sigma_p / (energy + M_TAU)])

    flight, a, b = (np.array(isotropic(rng, 20)[1:]) for _ in range(3))
    gamma = rng.uniform(1.01, 6.0, 20)
    found = spin_correlation(flight, gamma, a, b)
    for event in range(20):
        p = flight[:, event] * M_TAU * np.sqrt(gamma[event] ** 2 - 1)
        u = spinors(p)
        # v = C u-bar^T, its columns those of the positive tau's spins
        v = charge_conjugation @ (spinors(-p).conj().T @ gamma0).T
        amplitudes = [u.conj().T @ gamma0 @ matrix @ v for matrix in gammas[:2]]
        sigma_a, sigma_b = (sum(n * s for n, s in zip(vector[:, event], pauli, strict=True)) for vector in (a, b))
        # amplitudes have the outgoing spins as conjugate indices
        top = sum(np.trace(sigma_a @ m @ sigma_b.T @ m.conj().T) for m in amplitudes)
        expected = (top / sum(np.trace(m @ m.conj().T) for m in amplitudes)).real
        assert found[event] == pytest.approx(expected, abs=1e-12)


def test_leptons_and_their_modes() -> None:
    made = generated("tau_pair_leptonic", 50_000)
    lepton = made.pdg != 22
    np.testing.assert_array_equal(np.bincount(made.event[lepton]), 2)
    first, second = np.abs(made.pdg[lepton]).reshape(-1, 2).T
    np.testing.assert_array_equal(made.mode, 100 * np.minimum(first, second) + np.maximum(first, second))
    np.testing.assert_array_equal(made.pdg[lepton].reshape(-1, 2) > 0, [[True, False]] * 50_000)
    # PDG: B(tau -> mu) = 17.39 %, B(tau -> e) = 17.82 %
    mu, e = 0.1739 / 0.3521, 0.1782 / 0.3521
    for mode, expected in ((1313, mu**2), (1113, 2 * mu * e), (1111, e**2)):
        assert_mean((made.mode == mode).astype(float), expected)
    mass = np.select([np.abs(made.pdg) == 11, np.abs(made.pdg) == 13], [M_ELECTRON, M_MUON], 0.0)
    np.testing.assert_allclose(made.momentum.mass_squared, mass**2, atol=1e-9)


def test_four_neutrinos_take_the_rest() -> None:
    made = generated("tau_pair_leptonic", 50_000)
    missing = [total - np.bincount(made.event, part) for total, part in zip((SQRT_S, 0, 0, 0), made.momentum, strict=True)]
    assert (FourVector(*missing).mass_squared > -1e-6).all()
    assert missing[0].min() > 0


def test_beams_radiate() -> None:
    made = generated("tau_pair_leptonic", N)
    photon = made.momentum.e[made.pdg == 22]
    # Kuraev and Fadin's radiator: soft photons below x go as x^beta
    total = radiated(born, sqrt_s=SQRT_S, threshold=2 * M_TAU)
    soft = 2 * 0.01 / SQRT_S
    b = 0.0877
    expected = soft**b * (1 + 0.75 * b + (np.pi**2 / 3 - 0.5) / 137.036 / np.pi) * born(np.array(SQRT_S)) / total
    assert 1 - (photon > 0.01).sum() / N == pytest.approx(expected, abs=0.005)


def test_cross_section() -> None:
    # 0.919 nb (17.39 % + 17.82 %)^2, 2 x 17.39 % x 17.82 % of it 57.0 pb of mu e and 17.39 %^2 27.8 pb of mu mu
    process, beams = PROCESSES["tau_pair_leptonic"], BEAMS["Y4S"]
    nb = process.cross_section(beams, ProcessParams())
    assert nb == pytest.approx(0.919 * 0.3521**2, rel=2e-4)
    assert nb * (0.1739 / 0.3521) ** 2 == pytest.approx(27.8e-3, rel=2e-3)
    # Y(3S): physics of point-like particles, 0.959 nb of tau pairs
    assert PROCESSES["tau_pair"].cross_section(BEAMS["Y3S"], ProcessParams()) == pytest.approx(0.959, abs=1e-3)


def test_pythia_marks_the_decays_that_are_made_here() -> None:
    made = generated("tau_pair", 3000, beams="Y4S")
    # PDG, as above: (17.39 % + 17.82 %)^2
    leptonic = np.isin(made.mode, [1111, 1113, 1313])
    assert_mean(leptonic.astype(float), 0.3521**2)
    assert set(made.mode[~leptonic].tolist()) == {15}
    charged = np.isin(np.abs(made.pdg), [11, 13, 211, 321])
    number = np.bincount(made.event[charged], minlength=3000)
    hadrons = np.bincount(made.event[np.isin(np.abs(made.pdg), [211, 321])], minlength=3000)
    assert (number[leptonic] == 2).all()
    assert (hadrons[leptonic] == 0).all()
    assert ((hadrons > 0) | (number != 2))[~leptonic].all()
