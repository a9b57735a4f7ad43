"""Y(3S) -> pi+ pi- Y(1S) as the detector sees it, against an independent Monte Carlo and the talk (physics.md 1.3, 1.7)."""

import numpy as np
import pytest

from mlbkg.physics.beams import BEAMS
from mlbkg.physics.constants import M_PION
from mlbkg.physics.lorentz import FourVector
from mlbkg.simulation.acceptance import CDC, inside
from mlbkg.simulation.base import PROCESSES, ProcessParams, Setting
from mlbkg.simulation.collisions import Collisions, collide
from mlbkg.simulation.detector import Events
from mlbkg.simulation.generate import Block, simulate_block

Y3S = BEAMS["Y3S"]
BLOCK = 10_000


def setting(pythia_seed: int) -> Setting:
    return Setting(BEAMS["Y3S"], pythia_seed, ProcessParams(), np.empty((0, 0)))


@pytest.fixture(scope="module")
def signal() -> list[Events]:
    return [
        simulate_block(Block("upsilon1s_invisible", "signal", 1, number, BLOCK, Y3S, ProcessParams())) for number in range(4)
    ]


@pytest.fixture(scope="module")
def leptonic() -> dict[str, np.ndarray]:
    blocks = [
        simulate_block(Block("upsilon1s_leptonic", "peaking", 1, number, BLOCK, Y3S, ProcessParams())) for number in range(6)
    ]
    return {name: np.concatenate([block.event[name] for block in blocks]) for name in blocks[0].event}


def collisions(name: str, n: int) -> Collisions:
    made = PROCESSES[name].generate_block(np.random.default_rng(1), n, setting(2))
    return collide(np.random.default_rng(3), made, Y3S, resonant=True)


def recoil_mass(events: Events) -> np.ndarray:
    """M_r^2 = s + M^2 - 2 sqrt(s) E* of the two tracks, sqrt(s) being the mass of the Y(3S)."""
    two = np.repeat(events.counts["track"] == 2, events.counts["track"])
    tracks = events.collections["track"]
    p = [tracks[name][two].astype(np.float64).reshape(-1, 2) for name in ("px", "py", "pz")]
    energy = np.sqrt(sum(component**2 for component in p) + M_PION**2)
    pair = FourVector(energy.sum(axis=1), *(component.sum(axis=1) for component in p))
    return np.asarray(np.sqrt(Y3S.sqrt_s**2 + pair.mass_squared - 2 * Y3S.sqrt_s * Y3S.to_cms(pair).e))


def test_recoil_mass_peaks_at_the_upsilon_1s(signal: list[Events]) -> None:
    mass = np.concatenate([recoil_mass(events) for events in signal])
    # m(Y(1S)) = 9.46040 GeV; rms 2.30 MeV and sigma68 2.25 MeV from an independent parametrised Monte Carlo
    assert mass.mean() == pytest.approx(9.46040, abs=1e-4)
    assert mass.std() == pytest.approx(2.30e-3, rel=0.1)
    low, high = np.quantile(mass, [0.15866, 0.84134])
    assert (high - low) / 2 == pytest.approx(2.25e-3, rel=0.1)


def test_true_dipion_mass(signal: list[Events]) -> None:
    mass = np.concatenate([events.event["mc_dipion_mass"] for events in signal])
    # CLEO's spectrum: mean 0.5640, rms 0.1752
    assert mass.mean() == pytest.approx(0.5640, abs=5 * 0.1752 / np.sqrt(len(mass)))
    assert mass.std() == pytest.approx(0.1752, rel=0.01)


def test_pions_in_the_laboratory() -> None:
    lab = collisions("upsilon1s_invisible", 40_000)
    accepted = inside(lab.theta, CDC)
    n = lab.n_events
    # 0.858 have both pions at 17-150 degrees, 0.827 also pT > 0.1; momentum quantiles 5/50/95 %: 0.185/0.420/0.700
    for mask, expected in ((accepted, 0.858), (accepted & (lab.momentum.pt > 0.1), 0.827)):
        both = (np.bincount(lab.event[mask], minlength=n) == 2).mean()
        assert both == pytest.approx(expected, abs=5 * np.sqrt(expected * (1 - expected) / n) + 5e-4)
    np.testing.assert_allclose(np.quantile(lab.momentum.p, [0.05, 0.5, 0.95]), [0.185, 0.420, 0.700], atol=0.005)


@pytest.mark.parametrize(
    ("detector", "inside_it", "expected"),
    # Both leptons outside the CDC 8.96 %, outside the ECL 5.01 %; exactly one inside the CDC 4.2 %
    [("cdc", 0, 0.0896), ("ecl", 0, 0.0501), ("cdc", 1, 0.042)],
)
def test_lepton_losses(leptonic: dict[str, np.ndarray], detector: str, inside_it: int, expected: float) -> None:
    number = leptonic[f"mc_n_leptons_in_{detector}"]
    error = np.sqrt(expected * (1 - expected) / len(number))
    assert (number == inside_it).mean() == pytest.approx(expected, abs=4 * error + 5e-4)


def test_ratio_of_lost_electrons_to_lost_muons(leptonic: dict[str, np.ndarray]) -> None:
    electrons = ((leptonic["mc_mode"] == 11) & (leptonic["mc_n_leptons_in_ecl"] == 0)).sum()
    muons = ((leptonic["mc_mode"] == 13) & (leptonic["mc_n_leptons_in_cdc"] == 0)).sum()
    ratio = electrons / muons
    error = ratio * np.sqrt(1 / electrons + 1 / muons)
    # .0238 x .0501 / (.0248 x .0896) = .537
    assert ratio == pytest.approx(0.537, abs=4 * error)
    # The talk counts 272 and 486
    assert abs(ratio - 0.560) < 3 * np.hypot(0.042, error)


def test_generator_flags_of_the_pions(signal: list[Events]) -> None:
    tracks = signal[0].collections["track"]
    assert set(np.abs(tracks["mc_pdg"]).tolist()) == {211}
    assert tracks["mc_from_dipion"].all()
    assert set(signal[0].event["mc_n_leptons_in_cdc"].tolist()) == {-1}
    np.testing.assert_allclose(signal[0].event["mc_sqrt_s"], 10.3551, atol=1e-5)
