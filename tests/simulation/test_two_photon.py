"""Two-photon fluxes and cross sections against their reference values (physics.md 1.9)."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from mlbkg.ntuples.read import metadata
from mlbkg.physics.beams import BEAMS
from mlbkg.physics.constants import ALPHA, M_MUON
from mlbkg.physics.lorentz import FourVector
from mlbkg.simulation.base import PROCESSES
from mlbkg.simulation.generate import generate as generate_sample
from mlbkg.simulation.two_photon import Fiducial, _unbiased, cross_section, generate, muons

Y3S, Y4S = BEAMS["Y3S"], BEAMS["Y4S"]


@pytest.mark.parametrize(("minimum_mass", "expected_nb"), [(0.5, 21.7), (0.2114, 77.0)])
def test_muon_pair_cross_section(minimum_mass: float, expected_nb: float) -> None:
    assert cross_section("mumu", 10.58, minimum_mass=minimum_mass) == pytest.approx(expected_nb, rel=0.005)


def test_pion_pair_cross_section_is_that_of_belle_ii() -> None:
    # Belle II's Monte Carlo campaign: 1.895 nb; like e+e- mu+mu-, with W > 0.5 GeV
    assert cross_section("pipi", 10.58, minimum_mass=0.5) == pytest.approx(1.895, rel=0.02)


@pytest.mark.parametrize("w", [0.25, 0.5, 2.0, 8.0])
def test_angular_density_of_muons_integrates_to_the_closed_form(w: float) -> None:
    # sigma = 4 pi alpha^2 / W^2 {(1 + 4r - 8r^2) L - (1 + 4r) beta}, r = m^2/W^2, L = 2 ln[(W/2m)(1 + beta)]
    r = (M_MUON / w) ** 2
    beta = np.sqrt(1 - 4 * r)
    log = 2 * np.log(w / (2 * M_MUON) * (1 + beta))
    closed = 4 * np.pi * ALPHA**2 / w**2 * ((1 + 4 * r - 8 * r**2) * log - (1 + 4 * r) * beta)
    rapidity = np.linspace(0.0, 12.0, 4001)
    c = np.tanh(rapidity)
    assert 2 * np.trapezoid(muons(np.array(w), c) * (1 - c**2), rapidity) == pytest.approx(closed, rel=1e-4)


@pytest.mark.parametrize(("beams", "name"), [("Y3S", "pipi"), ("Y3S", "mumu"), ("Y4S", "mumu")])
def test_fiducial_cross_section(beams: str, name: str) -> None:
    n = 400_000
    process, used = PROCESSES[f"two_photon_{name}"], BEAMS[beams]
    pairs, _ = _unbiased(np.random.default_rng(1), n, name, used.total_mass, 0.0)
    angles = np.deg2rad([15, 152])
    inside = np.ones(n, dtype=bool)
    for particle in pairs:
        lab = used.to_lab(particle)
        theta = np.arctan2(lab.pt, lab.pz)
        inside &= (lab.pt > 0.045) & (theta > angles[0]) & (theta < angles[1])
    expected = inside.mean() * cross_section(name, used.total_mass)
    found = process.cross_section(used, process.params())
    assert found == pytest.approx(expected, rel=0.02)
    assert found == process.cross_section(used, process.params())


TIGHT = {"theta_degrees": (35, 122), "min_pt": 0.2, "min_mass": 0.3}


def test_tighter_region_is_a_part_of_the_loose_one() -> None:
    process = PROCESSES["two_photon_mumu"]
    tight, loose = process.params.model_validate(TIGHT), process.params()
    assert isinstance(tight, Fiducial)
    assert isinstance(loose, Fiducial)
    made = {
        name: generate(np.random.default_rng(2), n, "mumu", Y4S, params)
        for name, n, params in (("tight", 10_000, tight), ("loose", 200_000, loose))
    }
    lab = Y4S.to_lab(made["tight"].momentum)
    muons = np.abs(made["tight"].pdg) == 13
    theta = np.rad2deg(np.arctan2(lab.pt, lab.pz))[muons]
    assert lab.pt[muons].min() > 0.2
    assert theta.min() > 35
    assert theta.max() < 122
    pairs = [FourVector(*(part.reshape(-1, 4)[:, i] for part in made["loose"].momentum)) for i in (0, 1)]
    both = [(muon.pt > 0.2) & _between(muon, 35, 122) for muon in map(Y4S.to_lab, pairs)]
    heavy = pairs[0].plus(pairs[1]).mass_squared > 0.3**2
    share = (both[0] & both[1] & heavy).mean()
    cross_sections = [process.cross_section(Y4S, params) for params in (tight, loose)]
    assert share * cross_sections[1] == pytest.approx(
        cross_sections[0], rel=5 * np.hypot(0.007, 1 / np.sqrt(200_000 * share))
    )


def _between(particle: FourVector, low: float, high: float) -> NDArray[np.bool_]:
    theta = np.rad2deg(np.arctan2(particle.pt, particle.pz))
    return np.asarray((theta > low) & (theta < high))


@pytest.mark.parametrize(
    "wrong", [{"theta_degrees": [120, 35]}, {"min_pt": -0.1}, {"min_mas": 1.0}, {"theta_degrees": [35]}]
)
def test_impossible_regions_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PROCESSES["two_photon_mumu"].params.model_validate(wrong)


def test_metadata_have_the_cross_section_of_what_was_made(tmp_path: Path) -> None:
    settings = {"theta_degrees": [35, 122], "min_pt": 0.4, "min_mass": 0.6}
    path = tmp_path / "eemumu.root"
    generate_sample("two_photon_mumu", events=300, seed=1, sample="s", path=path, workers=1, beams="Y4S", settings=settings)
    found = metadata(str(path))
    assert found["settings"] == settings
    assert found["beams"] == "Y4S"
    params = PROCESSES["two_photon_mumu"].params.model_validate(settings)
    assert found["cross_section_nb"] == PROCESSES["two_photon_mumu"].cross_section(Y4S, params)
    assert 0 < found["cross_section_nb"] < 0.05 * PROCESSES["two_photon_mumu"].cross_section(Y4S, Fiducial())


@pytest.mark.parametrize("name", ["pipi", "mumu"])
def test_momentum_is_conserved_and_the_electrons_are_mostly_lost(name: str) -> None:
    n = 20_000
    made = generate(np.random.default_rng(2), n, name, Y3S, Fiducial())
    for component in made.momentum[1:]:
        np.testing.assert_allclose(np.bincount(made.event, weights=component), 0.0, atol=1e-10)
    energy = np.bincount(made.event, weights=made.momentum.e)
    assert abs(np.median(energy) / Y3S.total_mass - 1) < 1e-3
    lab = Y3S.to_lab(made.momentum)
    theta = np.rad2deg(np.arctan2(lab.pt, lab.pz))
    electrons = np.abs(made.pdg) == 11
    assert np.mean((theta < 12.4) | (theta > 155.1), where=electrons) > 0.9
    # Fiducial for the nominal beams
    assert theta[~electrons].min() > 15
    assert theta[~electrons].max() < 152
