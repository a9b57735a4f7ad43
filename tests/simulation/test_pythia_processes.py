"""Processes that end in Pythia: conservation, branching fractions, and multiplicities of Pythia 8.317.2 (physics.md 1.9)."""

from importlib import import_module

import numpy as np
import pytest

from mlbkg.errors import MlbkgError
from mlbkg.physics.beams import BEAMS, Beams
from mlbkg.physics.constants import M_TAU, M_UPSILON_3S
from mlbkg.physics.lorentz import FourVector
from mlbkg.simulation.acceptance import CDC, inside
from mlbkg.simulation.base import PROCESSES, Generated, ProcessParams, Setting
from mlbkg.simulation.bottomonium import LEVELS, pythia_settings
from mlbkg.simulation.collisions import collide
from mlbkg.simulation.fermion_pairs import fermion_pairs
from mlbkg.simulation.hard import HardEvents, HardRecord
from mlbkg.simulation.particles import charge
from mlbkg.simulation.pythia import HARD_FINAL, _batch, decayed

N = 10_000


def setting(pythia_seed: int) -> Setting:
    return Setting(BEAMS["Y3S"], pythia_seed, ProcessParams(), np.empty((0, 0)))


def fraction_of_two_prongs(made: Generated, beams: Beams) -> tuple[float, float]:
    """Mean number of charged particles at 17-150 degrees with pT > 0.1 GeV, and how often they are one of each charge."""
    lab = collide(np.random.default_rng(1), made, beams, resonant=False)
    charges = charge(lab.pdg)
    accepted = (charges != 0) & inside(lab.theta, CDC) & (lab.momentum.pt > 0.1)
    number = np.bincount(lab.event[accepted], minlength=made.n_events)
    total = np.bincount(lab.event[accepted], weights=charges[accepted], minlength=made.n_events)
    return float(number.mean()), float(((number == 2) & (total == 0)).mean())


def quarks(n: int, beams: Beams) -> Generated:
    quark = np.random.default_rng(2).choice([1, 2, 3, 4], size=n, p=[0.1, 0.4, 0.1, 0.4])
    return fermion_pairs(np.random.default_rng(3), beams, quark, np.array([0, 0.33, 0.33, 0.5, 1.5])[quark], seed=4)


def test_few_quark_pairs_look_like_two_tracks() -> None:
    # 1.9 % +- 0.3 %, <n> = 6.5: Pythia's own e+e- -> gamma* -> q qbar at the Y(4S)
    mean, two_prongs = fraction_of_two_prongs(quarks(N, BEAMS["Y4S"]), BEAMS["Y4S"])
    assert two_prongs == pytest.approx(0.019, abs=0.003)
    assert mean == pytest.approx(6.5, abs=0.15)


def test_most_tau_pairs_look_like_two_tracks() -> None:
    beams = BEAMS["Y3S"]
    made = fermion_pairs(np.random.default_rng(5), beams, np.full(N, 15), np.full(N, M_TAU), seed=6)
    assert fraction_of_two_prongs(made, beams)[1] == pytest.approx(0.59, abs=0.02)


def test_quark_flavours_follow_their_cross_sections() -> None:
    made = PROCESSES["continuum_qq"].generate_block(np.random.default_rng(7), N, setting(8))
    # Belle II's uu, dd, ss, cc cross sections at 10.58 GeV in nb
    reference = {2: 1.605, 1: 0.401, 3: 0.383, 4: 1.329}
    for flavour, cross_section in reference.items():
        expected = cross_section / sum(reference.values())
        assert (made.mode == flavour).mean() == pytest.approx(expected, abs=5 * np.sqrt(expected / N))


def test_every_level_leads_down_and_no_more_than_everything_decays() -> None:
    order = list(LEVELS)
    for number, (name, level) in enumerate(LEVELS.items()):
        assert 0 <= sum(step.branching for step in level.transitions) < 1
        for step in level.transitions:
            daughter = getattr(step, "daughter", None)
            assert daughter is None or order.index(daughter) > number, name


def test_generic_decays_of_the_upsilon_3s() -> None:
    made = PROCESSES["upsilon3s_generic"].generate_block(np.random.default_rng(9), N, setting(10))
    energy = np.bincount(made.event, weights=made.momentum.e, minlength=N)
    np.testing.assert_allclose(energy, M_UPSILON_3S, atol=1e-6)
    direct = made.mode > 0
    # B(Y(3S) -> pi+ pi- Y(1S)) = 4.37 %, and 7.46 % of the Y(1S) are leptonic
    assert direct.mean() == pytest.approx(0.0437, abs=5 * np.sqrt(0.0437 / N))
    leptonic = made.mode >= 11
    assert leptonic.sum() / direct.sum() == pytest.approx(0.0746, abs=5 * np.sqrt(0.0746 / direct.sum()))
    assert made.from_dipion is not None
    assert made.dipion_mass is not None
    assert made.leptons is not None
    np.testing.assert_array_equal(np.bincount(made.event[made.from_dipion], minlength=N), 2 * direct)
    np.testing.assert_array_equal(np.isfinite(made.dipion_mass), direct)
    assert np.isfinite(made.leptons.e[:, leptonic]).all()
    # sum of the charges
    np.testing.assert_array_equal(np.bincount(made.event, weights=charge(made.pdg), minlength=N), 0)


def test_neutral_kaons_decay_away_from_the_origin() -> None:
    made = quarks(2000, BEAMS["Y3S"])
    assert made.vertex is not None
    radius = np.sqrt(made.vertex.px**2 + made.vertex.py**2 + made.vertex.pz**2)
    assert not np.isin(made.pdg, [310, 111, 3122, -3122]).any()
    assert 0.02 < (radius[np.abs(made.pdg) == 211] > 0.5).mean() < 0.3


def test_taus_and_leptons_of_the_upsilon_1s() -> None:
    made = PROCESSES["upsilon1s_leptonic"].generate_block(np.random.default_rng(11), N, setting(12))
    # B(ee) : B(mumu) : B(tautau) = 2.38 : 2.48 : 2.60
    for lepton, expected in ((11, 0.319), (13, 0.332), (15, 0.349)):
        assert (made.mode == lepton).mean() == pytest.approx(expected, abs=5 * 0.47 / np.sqrt(N))
    assert made.leptons is not None
    pair = made.leptons
    mass_squared = pair.e.sum(axis=0) ** 2 - sum(part.sum(axis=0) ** 2 for part in pair[1:])
    # m(Y(1S)), PDG
    np.testing.assert_allclose(np.sqrt(mass_squared), 9.4604, atol=1e-6)
    # Leptons radiate: Pythia's final-state shower, more for electrons than for muons
    photons = np.bincount(made.event[made.pdg == 22], minlength=N)
    assert photons[made.mode == 11].mean() > photons[made.mode == 13].mean() > 0.05


def photon_and_upsilon(mass: np.ndarray, *, impossible: tuple[int, ...] = ()) -> HardEvents:
    """A photon that recoils against an Y(1S) of any mass; in ``impossible`` events energy is not conserved."""
    n = len(mass)
    record = HardRecord(n)
    photon = (M_UPSILON_3S**2 - mass**2) / (2 * M_UPSILON_3S)
    upsilon = FourVector(M_UPSILON_3S - photon, np.zeros(n), np.zeros(n), -photon)
    photon[list(impossible)] += 1.0
    record.add(np.arange(n), 22, FourVector(photon, np.zeros(n), np.zeros(n), photon), 0.0)
    record.add(np.arange(n), 553, upsilon, mass)
    return record.events()


def test_events_that_pythia_gives_up_on_do_not_shift_the_others() -> None:
    hard = photon_and_upsilon(np.linspace(4.0, 9.4, 20), impossible=(3, 7, 8))
    columns, failed = _batch(hard, sqrt_s=M_UPSILON_3S, seed=1, settings=pythia_settings())
    assert np.flatnonzero(failed).tolist() == [3, 7, 8]
    photon = (columns["status"] == HARD_FINAL) & (columns["pdg"] == 22)
    assert columns["event"][photon].tolist() == np.flatnonzero(~failed).tolist()
    np.testing.assert_allclose(columns["e"][photon], hard.momentum.e[hard.pdg == 22][~failed], rtol=1e-8)
    with pytest.raises(MlbkgError, match="gave up on 3 of 20 events"):
        decayed(hard, sqrt_s=M_UPSILON_3S, seed=1, settings=pythia_settings())


def test_a_setting_that_pythia_does_not_know() -> None:
    hard = photon_and_upsilon(np.full(2, 9.4))
    with pytest.raises(MlbkgError, match="does not know the setting 'Beams:colour = blue'"):
        decayed(hard, sqrt_s=M_UPSILON_3S, seed=1, settings=("Beams:colour = blue",))


def test_what_pythia_did_before_does_not_matter() -> None:
    process = import_module("mlbkg.simulation.processes.upsilon3s_generic")
    first = process.generate_block(np.random.default_rng(13), 500, setting(14))
    process.generate_block(np.random.default_rng(15), 700, setting(16))
    again = process.generate_block(np.random.default_rng(13), 500, setting(14))
    np.testing.assert_array_equal(first.pdg, again.pdg)
    np.testing.assert_array_equal(np.array(first.momentum), np.array(again.momentum))


def test_processes_have_their_own_numbers() -> None:
    numbers = [PROCESSES[name].number for name in PROCESSES]
    assert len(set(numbers)) == len(numbers)
