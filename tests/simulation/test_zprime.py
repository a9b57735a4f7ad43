"""e+e- -> l1 l2 Z', Z' invisible: the generator against quadratures, and what the detector makes of it against Belle II."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from mlbkg.errors import ConfigError
from mlbkg.physics.beams import BEAMS
from mlbkg.physics.constants import M_ELECTRON, M_MUON
from mlbkg.physics.lorentz import FourVector
from mlbkg.physics.recoil import recoil_mass_squared
from mlbkg.physics.three_body_rate import contracted_tensor, integrated_rate
from mlbkg.physics.vector_emission import contraction, spatial_trace
from mlbkg.simulation.acceptance import in_ecl_barrel
from mlbkg.simulation.base import PROCESSES, Generated, Setting
from mlbkg.simulation.generate import Block, simulate_block
from mlbkg.simulation.vector_radiation import Masses, radiate, rate

Array = NDArray[np.float64]

Y4S = BEAMS["Y4S"]
SQRT_S = float(Y4S.total_mass)
PUBLISHED_WIDTHS = {0.5: 0.2616, 1.0: 0.2875, 3.0: 0.2708, 5.0: 0.2431, 7.0: 0.1582}
"""GeV: GeV^2, of the squared recoil mass; table of weighted widths beside Belle II's Punzi-net (arXiv:2110.00810)."""


def generated(name: str, masses: list[float], n: int, *, beams: str = "Y4S") -> Generated:
    process = PROCESSES[name]
    params = process.params.model_validate({"masses": masses})
    hypothesis = np.array(params.hypotheses)[np.arange(n) % len(masses)]
    return process.generate_block(np.random.default_rng(1), n, Setting(BEAMS[beams], 1, params, hypothesis))


def radiated(n: int, mass: float, m1: float, m2: float) -> tuple[FourVector, FourVector, FourVector]:
    masses = Masses.of(np.full(n, mass), m1, m2, sqrt_s=1.0)
    return radiate(np.random.default_rng(2), masses, largest=np.repeat(rate(masses.take(np.array([0]))).largest, n))


@pytest.mark.parametrize(("name", "leptons"), [("zprime_mumu", {M_MUON}), ("zprime_mue", {M_MUON, M_ELECTRON})])
def test_kinematics(name: str, leptons: set[float]) -> None:
    wanted = [0.01, 0.5, 3.0, 8.5, 10.3]
    made = generated(name, wanted, 5000)
    recoil = FourVector(SQRT_S, 0, 0, 0).minus(FourVector(*(np.bincount(made.event, part) for part in made.momentum)))
    mass = np.sqrt(recoil.mass_squared.reshape(-1, len(wanted)))
    np.testing.assert_allclose(mass, np.tile(wanted, (1000, 1)), rtol=1e-6)
    found = np.sqrt(np.maximum(made.momentum.mass_squared, 0))
    nearest = np.array([M_MUON if abs(code) == 13 else M_ELECTRON for code in made.pdg])
    np.testing.assert_allclose(found, nearest, atol=1e-5)
    assert set(nearest) == leptons
    np.testing.assert_array_equal(made.event, np.repeat(np.arange(5000), 2))


def test_both_charges_of_the_muon_beside_an_electron() -> None:
    codes = generated("zprime_mue", [1.0], 10_000).pdg.reshape(-1, 2)
    assert {tuple(pair) for pair in codes} == {(-13, 11), (13, -11)}
    assert (codes[:, 0] == 13).mean() == pytest.approx(0.5, abs=5 * 0.005)


@pytest.mark.parametrize("name", ["zprime_mumu", "zprime_mue"])
def test_same_settings_make_the_same_events(name: str) -> None:
    first, second = (generated(name, [0.5, 4.0], 2000) for _ in range(2))
    np.testing.assert_array_equal(np.array(first.momentum), np.array(second.momentum))


@pytest.mark.parametrize(("mass", "m1", "m2"), [(0.3, 0.01, 0.01), (0.05, 0.01, 0.01), (0.7, 0.01, 5e-5), (0.1, 0.2, 0.05)])
def test_energies_have_the_moments_of_the_squared_amplitude(mass: float, m1: float, m2: float) -> None:
    # T over the leptons' energies, dx1 dx2 = 4 dE1 dE2 = dd1 dd2, on a plain grid of (ln d1, ln d2) inside its boundary
    p1, p2, k = radiated(200_000, mass, m1, m2)
    points = np.linspace(2 * np.log(mass), 0.0, 2001)
    d1, d2 = np.meshgrid(np.exp(points), np.exp(points))
    e1, e2 = 0.5 * (1 + m1**2 - d2 - m2**2), 0.5 * (1 + m2**2 - d1 - m1**2)
    energy = 1 - e1 - e2
    product = 4 * (e1**2 - m1**2) * (energy**2 - mass**2)
    inside = (e1 > m1) & (e2 > m2) & (energy > mass) & ((2 * e1 * energy + mass**2 - d1) ** 2 < product)
    weight = contracted_tensor(d1, d2, mass=mass, m1=m1, m2=m2) * d1 * d2 * inside
    step = points[1] - points[0]
    at = np.array([mass]), np.array([m1]), np.array([m2])
    assert weight.sum() * step**2 == pytest.approx(integrated_rate(*at)[0], rel=3e-3)
    for value, expected in ((k.e, energy), (p1.e, e1), (p2.e, e2), (p1.e * p2.e, e1 * e2), (k.e**2, energy**2)):
        mean = (expected * weight).sum() / weight.sum()
        assert value.mean() == pytest.approx(mean, abs=5 * value.std() / np.sqrt(len(value)) + 5e-4 * mean)


def test_energies_of_massless_leptons() -> None:
    # (1/sigma_0) d2 sigma/dx1 dx2 = [(x1+e)^2 + (x2+e)^2]/[(1-x1)(1-x2)] - e [1/(1-x1)^2 + 1/(1-x2)^2], e = M^2/s
    mass = 0.3
    e = mass**2
    p1, p2, _ = radiated(200_000, mass, 1e-6, 1e-6)
    x1, x2 = np.meshgrid(*[np.linspace(0.0005, 0.9995, 2000) * (1 - e)] * 2)
    inside = ((1 - x1) * (1 - x2) >= e) & (x1 + x2 >= 1 - e)
    density = ((x1 + e) ** 2 + (x2 + e) ** 2) / ((1 - x1) * (1 - x2)) - e * ((1 - x1) ** -2.0 + (1 - x2) ** -2.0)
    expected = np.histogram2d(x1.ravel(), x2.ravel(), bins=8, range=[[0, 1 - e]] * 2, weights=(density * inside).ravel())[0]
    found = np.histogram2d(2 * p1.e, 2 * p2.e, bins=8, range=[[0, 1 - e]] * 2)[0]
    expected *= found.sum() / expected.sum()
    enough = expected > 100
    assert enough.sum() > 20
    pulls = (found - expected)[enough] / np.hypot(np.sqrt(expected), 2e-3 * expected)[enough]
    assert (pulls**2).mean() < 1.8


@pytest.mark.parametrize(("mass", "m1", "m2"), [(0.3, 0.01, 0.01), (0.05, 0.01, 5e-5), (0.1, 0.2, 0.05)])
def test_polar_angles(mass: float, m1: float, m2: float) -> None:
    # Tr H - z.H.z over all rotations: a direction u that is fixed to the event has <(u.z)^2> = (2 - u.H.u / Tr H)/5
    first, second, vector = radiated(200_000, mass, m1, m2)
    p1, p2, k = (np.array(particle[1:]) for particle in (first, second, vector))
    masses = {"mass": mass, "m1": m1, "m2": m2}
    d1 = 2 * (first.e * vector.e - (p1 * k).sum(axis=0)) + mass**2
    d2 = 2 * (second.e * vector.e - (p2 * k).sum(axis=0)) + mass**2
    for momentum in (p1, p2, k):
        u = momentum / np.linalg.norm(momentum, axis=0)
        own = contraction(d1, d2, (p1 * u).sum(axis=0), (p2 * u).sum(axis=0), **masses)
        difference = u[2] ** 2 - (2 - own / spatial_trace(d1, d2, **masses)) / 5
        assert difference.mean() == pytest.approx(0, abs=5 * difference.std() / np.sqrt(difference.size))


def test_bound_holds_at_all_masses(caplog: pytest.LogCaptureFixture) -> None:
    masses = [*np.geomspace(1e-3, 10.0, 60).tolist(), 10.3, 10.36]
    with caplog.at_level(logging.WARNING):
        generated("zprime_mumu", masses, 100_000)
        generated("zprime_mue", masses, 100_000)
    assert not caplog.records


@pytest.mark.parametrize("masses", [[], [0.0], [-1.0], [1.0, 10.4], [float("nan")], ["heavy"]])
def test_impossible_masses_are_refused(masses: list[float]) -> None:
    with pytest.raises(ValidationError):
        PROCESSES["zprime_mumu"].params.model_validate({"masses": masses})


def test_masses_that_other_beams_cannot_make_are_refused() -> None:
    with pytest.raises(ConfigError, match="Y3S"):
        generated("zprime_mumu", [1.0, 10.2], 10, beams="Y3S")


@pytest.fixture(scope="module")
def residuals() -> dict[float, Array]:
    """Squared recoil mass less the true one, of two muons in the barrel of the ECL; mass of the Z' -> ``(n,)`` GeV^2."""
    params = PROCESSES["zprime_mumu"].params.model_validate({"masses": list(PUBLISHED_WIDTHS)})
    parts = [_residuals(Block("zprime_mumu", "signal", 7, number, 10_000, Y4S, params)) for number in range(16)]
    mass, difference = (np.concatenate(values) for values in zip(*parts, strict=True))
    return {one: difference[mass == one] for one in PUBLISHED_WIDTHS}


def _residuals(block: Block) -> tuple[Array, Array]:
    events = simulate_block(block)
    two = events.counts["track"] == 2
    tracks = events.collections["track"]
    px, py, pz = (
        tracks[name][np.repeat(two, events.counts["track"])].astype(float).reshape(-1, 2) for name in ("px", "py", "pz")
    )
    energy = np.sqrt(px**2 + py**2 + pz**2 + M_MUON**2)
    seen = FourVector(*(component.sum(axis=1) for component in (energy, px, py, pz)))
    barrel = in_ecl_barrel(np.arctan2(np.hypot(px, py), pz)).all(axis=1)
    mass = events.event["mc_mass"][two]
    return mass[barrel], np.asarray(recoil_mass_squared(Y4S.total, seen) - mass**2)[barrel]


@pytest.mark.parametrize("mass", PUBLISHED_WIDTHS)
def test_recoil_resolution_is_that_of_belle_ii(residuals: dict[float, Array], mass: float) -> None:
    found = residuals[mass]
    assert len(found) > 10_000
    assert found.std() == pytest.approx(PUBLISHED_WIDTHS[mass], rel=0.1)
    assert found.mean() == pytest.approx(0, abs=5 * found.std() / np.sqrt(len(found)))
