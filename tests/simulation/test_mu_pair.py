"""e+e- -> mu+ mu- (gamma): spectra and directions of the photons against closed forms."""

from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from mlbkg.physics.beams import BEAMS
from mlbkg.physics.constants import ALPHA, FB_GEV2, M_ELECTRON, M_MUON
from mlbkg.physics.lorentz import FourVector
from mlbkg.physics.radiation import beta, radiated
from mlbkg.simulation.base import PROCESSES, Generated, ProcessParams, Setting
from mlbkg.simulation.initial_radiation import beam_axes, photons, shares_lost
from mlbkg.simulation.kinematics import boosted, direction, fermion_pair_direction, isotropic, turned
from mlbkg.simulation.muon_pairs import SOFTEST, born, final_states

Array = NDArray[np.float64]

Y4S = BEAMS["Y4S"]
SQRT_S = float(Y4S.total_mass)


def generated(n: int) -> Generated:
    setting = Setting(Y4S, 1, ProcessParams(), np.empty((n, 0)))
    return PROCESSES["mu_pair"].generate_block(np.random.default_rng(1), n, setting)


def from_the_muons(z: Array, sqrt_s: float) -> Array:
    """dN/dz of one photon with the energy z sqrt(s)/2: alpha/pi [1 + (1-z)^2]/z [ln(s (1-z)/m^2) - 1], up to m^2/s."""
    return ALPHA / np.pi * (1 + (1 - z) ** 2) / z * (np.log(sqrt_s**2 * (1 - z) / M_MUON**2) - 1)


def from_the_beams(x: Array, sqrt_s: float) -> Array:
    """dN/dx, Kuraev and Fadin's radiator times sigma_0(s (1-x))/sigma_0(s)."""
    b = 2 * ALPHA / np.pi * (2 * np.log(sqrt_s / M_ELECTRON) - 1)
    radiator = b * x ** (b - 1) * (1 + 0.75 * b + ALPHA / np.pi * (np.pi**2 / 3 - 0.5)) - b * (1 - x / 2)
    r = M_MUON**2 / (sqrt_s**2 * (1 - x))
    return radiator * (1 + 2 * r) * np.sqrt(1 - 4 * r) / (1 - x)


def integrated(density: Callable[[Array, float], Array], low: float, high: float, sqrt_s: float) -> float:
    """In equal steps of ln(x/(1-x)), where both ends are flat."""
    y = np.linspace(np.log(low / (1 - low)), np.log(high / (1 - high)), 200_001)
    x = 1 / (1 + np.exp(-y))
    return float(np.trapezoid(density(x, sqrt_s) * x * (1 - x), y))


@pytest.mark.parametrize("sqrt_s", [10.58, 3.0])
def test_spectrum_of_the_muons_photons(sqrt_s: float) -> None:
    n = 400_000
    _, _, photon = final_states(np.random.default_rng(2), np.full(n, sqrt_s), highest=sqrt_s)
    z = 2 * photon.e / sqrt_s
    edges = np.concatenate([np.geomspace(2 * SOFTEST, 0.5, 9), [0.7, 0.9]])
    # what the virtual corrections leave of one pair: 1 + 3 alpha/(4 pi)
    expected = [integrated(from_the_muons, *pair, sqrt_s) / (1 + 0.75 * ALPHA / np.pi) for pair in pairwise(edges)]
    found = np.histogram(z, edges)[0] / n
    np.testing.assert_allclose(found, expected, atol=0, rtol=5 / np.sqrt(n * min(expected)) + 8 * (M_MUON / sqrt_s) ** 2)
    assert (photon.e > 0).mean() == pytest.approx(sum(expected) + integrated(from_the_muons, 0.9, 0.995, sqrt_s), rel=0.015)


def test_muons_without_a_photon_are_back_to_back_and_follow_1_plus_cos2() -> None:
    plus, minus, photon = final_states(np.random.default_rng(2), np.full(200_000, SQRT_S), highest=SQRT_S)
    alone = photon.e == 0
    np.testing.assert_allclose((plus.px + minus.px)[alone], 0, atol=1e-12)
    cosine = (minus.pz / minus.p)[alone]
    # <cos^2> = 2/5 of 1 + cos^2; the mass adds 4 m^2/s sin^2
    assert (cosine**2).mean() == pytest.approx(0.4, abs=5 * (cosine**2).std() / np.sqrt(alone.sum()))


def test_energy_that_the_beams_lose() -> None:
    n = 400_000
    lost = shares_lost(np.random.default_rng(3), n, born, sqrt_s=SQRT_S, threshold=2 * M_MUON)
    highest = 1 - (2 * M_MUON / SQRT_S) ** 2 - 1e-9
    total = radiated(born, sqrt_s=SQRT_S, threshold=2 * M_MUON) / born(np.array(SQRT_S))
    for cut in (1e-6, 1e-3, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999):
        expected = integrated(from_the_beams, cut, highest, SQRT_S) / total
        assert (lost > cut).mean() == pytest.approx(
            expected, abs=5 * np.sqrt(expected * (1 - expected) / n) + 3e-4 * expected
        )


@pytest.mark.parametrize("x", [0.01, 0.5, 0.95])
def test_direction_of_the_beams_photons(x: float) -> None:
    n = 400_000
    photon = photons(np.random.default_rng(4), np.full(n, x), sqrt_s=SQRT_S)
    np.testing.assert_allclose(photon.e, x * SQRT_S / 2)
    cosine = np.abs(photon.pz / photon.e)
    log = 2 * np.log(SQRT_S / M_ELECTRON) - 1
    for cut in (np.cos(np.deg2rad(17)), 0.5):
        # Bonneau and Martin away from the beams: 1/sin^2 - x^2/(2 (x^2 - 2x + 2)), over ln(s/m_e^2) - 1 in all directions
        expected = (np.log((1 + cut) / (1 - cut)) - x**2 * cut / (x**2 - 2 * x + 2)) / log
        assert (cosine < cut).mean() == pytest.approx(expected, abs=5 * np.sqrt(expected / n))
    # Their integral near the beams, angles from 0 to much more than m_e/E: ln(angle^2 E^2/m_e^2) - 1 + x^2/(x^2 - 2x + 2)
    angle2 = M_ELECTRON / (SQRT_S / 2)
    near = (np.hypot(photon.px, photon.py) / photon.e < np.sqrt(angle2)).mean()
    expected = (np.log(1 / angle2) - 1 + x**2 / (x**2 - 2 * x + 2)) / log
    assert near == pytest.approx(expected, abs=5 * np.sqrt(expected / n))


@pytest.mark.parametrize(("x", "cosine"), [(0.8, 0.0), (0.8, 0.7), (0.97, -0.5)])
def test_muons_after_a_wide_photon_of_the_beams(x: float, cosine: float) -> None:
    # |M|^2 ~ t^2 + t'^2 + u^2 + u'^2 of massless beams and muons: Berends et al., Nucl. Phys. B206 (1982) 61
    n = 200_000
    rng = np.random.default_rng(5)
    energy = np.full(n, x / 2)
    photon = FourVector(energy, *(energy * part for part in direction(np.full(n, cosine), np.zeros(n))[1:]))
    left = FourVector(1 - photon.e, -photon.px, -photon.py, -photon.pz)
    mass = np.sqrt(1 - x)

    def muons(axis: FourVector) -> tuple[FourVector, FourVector]:
        momentum = [mass / 2 * component for component in axis[1:]]
        minus = boosted(FourVector(np.full(n, mass / 2), *momentum), left)
        return left.minus(minus), minus

    plus, minus = muons(isotropic(rng, n))
    weight = sum((q.e - sign * q.pz) ** 2 for q in (plus, minus) for sign in (1, -1))
    massless = fermion_pair_direction(rng, n, 1.0, 0.0)
    _, found = muons(turned(massless, beam_axes(rng, photon, sqrt_s=1.0)))
    for wanted, made in ((minus.e, found.e), (minus.pz**2, found.pz**2), (minus.px * minus.pz, found.px * found.pz)):
        expected = np.average(wanted, weights=weight)
        error = np.hypot(made.std(), np.sqrt(np.average((wanted - expected) ** 2, weights=weight))) / np.sqrt(n)
        assert made.mean() == pytest.approx(expected, abs=5 * error)


def test_momentum_is_conserved_and_particles_are_on_their_shells() -> None:
    made = generated(20_000)
    assert (np.diff(made.event) >= 0).all()
    assert sorted(set(made.pdg.tolist())) == [-13, 13, 22]
    for code in (13, -13):
        np.testing.assert_array_equal(made.event[made.pdg == code], np.arange(20_000))
    for component, total in zip(made.momentum, (SQRT_S, 0, 0, 0), strict=True):
        # photons of less than 1 MeV are left out
        np.testing.assert_allclose(np.bincount(made.event, component), total, atol=1.01e-3)
    mass = np.where(made.pdg == 22, 0.0, M_MUON)
    np.testing.assert_allclose(made.momentum.mass_squared, mass**2, atol=1e-9)
    assert set(made.mode.tolist()) == {13}


def test_same_settings_make_the_same_events() -> None:
    first, second = generated(3000), generated(3000)
    np.testing.assert_array_equal(np.array(first.momentum), np.array(second.momentum))
    np.testing.assert_array_equal(first.pdg, second.pdg)


def test_bound_holds_at_all_masses(caplog: pytest.LogCaptureFixture) -> None:
    masses = 2 * M_MUON + np.geomspace(1e-4, SQRT_S - 2 * M_MUON, 400_000)
    with caplog.at_level(logging.WARNING):
        plus, minus, photon = final_states(np.random.default_rng(6), masses, highest=SQRT_S)
    assert not caplog.records
    np.testing.assert_allclose(plus.e + minus.e + photon.e, masses)


def test_cross_section() -> None:
    # The vacuum polarisation at 10.58 GeV adds 6 to 8 %
    process = PROCESSES["mu_pair"]
    point_like = 4 * np.pi * ALPHA**2 / 3 * FB_GEV2 * 1e-6
    without = point_like * radiated(born, sqrt_s=10.58, threshold=2 * M_MUON)
    assert beta(10.58) == pytest.approx(0.0877, abs=5e-5)
    found = process.cross_section(Y4S, ProcessParams())
    assert found is not None
    assert 1.05 < found / without < 1.09
