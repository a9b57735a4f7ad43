"""Cascades through the b bbar levels: which transitions happen here, and what is left for Pythia to annihilate.

Pythia's own tables know neither the dipion spectra nor the chi_b(2P), and its Y(3S) has wrong branching fractions.
Branching fractions: DECAY_BELLE2.DEC (as shipped in decaylanguage 1.1.2) for the Y(3S) and the chi_b(2P), PDG for the rest.
Masses: PDG 2026. Transitions below 1e-4 of all Y(3S) are left out; every chi_b annihilates to two gluons, which is not so
for the chi_b1, but gives nearly the same hadrons. Photons and pi0 of the cascade are unpolarised.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mlbkg.physics import dipion
from mlbkg.physics.constants import (
    M_ELECTRON,
    M_MUON,
    M_TAU,
    M_UPSILON_1S,
    M_UPSILON_2S,
    M_UPSILON_3S,
)
from mlbkg.physics.lorentz import FourVector
from mlbkg.simulation.base import Generated
from mlbkg.simulation.hard import HardRecord
from mlbkg.simulation.kinematics import (
    at_rest,
    back_to_back,
    boosted,
    dipion_transition,
    fermion_pair_direction,
    two_body,
)
from mlbkg.simulation.pythia import decayed

M_PI0 = 0.1349768
LEPTON_MASS = {11: M_ELECTRON, 13: M_MUON, 15: M_TAU}
EMITTED_MASS = {22: 0.0, 111: M_PI0, 223: 0.78266}


@dataclass(frozen=True)
class Emission:
    """A photon, pi0 or omega, and the level below."""

    branching: float
    pdg: int
    daughter: str


@dataclass(frozen=True)
class Dipion:
    """Two pions with the matrix element of ``transition``, and the level below."""

    branching: float
    pdgs: tuple[int, int]
    daughter: str
    transition: dipion.Transition


@dataclass(frozen=True)
class Leptons:
    branching: float
    pdg: int


@dataclass(frozen=True)
class Level:
    """``annihilation``: Pythia's channels (relative weight, matrix-element code, products) for what no transition takes."""

    pdg: int
    mass: float
    transitions: tuple[Emission | Dipion | Leptons, ...]
    annihilation: tuple[tuple[float, int, str], ...]


def _neutral(transition: dipion.Transition) -> dipion.Transition:
    return dipion.Transition(transition.parent_mass, transition.daughter_mass, transition.ratio, M_PI0)


CHARGED, NEUTRAL = (211, -211), (111, 111)
TWO_GLUONS = ((1.0, 91, "21 21"),)
THREE_GLUONS = ((1.0, 92, "21 21 21"),)


def _annihilation(ggg: float, photon_gg: float, quarks: float) -> tuple[tuple[float, int, str], ...]:
    """Quark pairs by the squares of their charges."""
    pairs = tuple((quarks * charge, 91, f"{q} -{q}") for q, charge in ((1, 0.1), (2, 0.4), (3, 0.1), (4, 0.4)))
    return ((ggg, 92, "21 21 21"), (photon_gg, 92, "22 21 21"), *pairs)


LEVELS: dict[str, Level] = {
    "Y3S": Level(
        200553,
        M_UPSILON_3S,
        (
            Leptons(0.0218, 11),
            Leptons(0.0218, 13),
            Leptons(0.0229, 15),
            Dipion(0.0437, CHARGED, "Y1S", dipion.UPSILON_3S_TO_1S),
            Dipion(0.0220, NEUTRAL, "Y1S", _neutral(dipion.UPSILON_3S_TO_1S)),
            Dipion(0.0282, CHARGED, "Y2S", dipion.UPSILON_3S_TO_2S),
            Dipion(0.0185, NEUTRAL, "Y2S", _neutral(dipion.UPSILON_3S_TO_2S)),
            Emission(0.059, 22, "chi_b0_2P"),
            Emission(0.126, 22, "chi_b1_2P"),
            Emission(0.131, 22, "chi_b2_2P"),
            Emission(0.0027, 22, "chi_b0_1P"),
            Emission(0.0010, 22, "chi_b1_1P"),
            Emission(0.0099, 22, "chi_b2_1P"),
            Emission(0.00051, 22, "eta_b"),
            Emission(0.00087, 111, "h_b"),
        ),
        _annihilation(0.403, 0.011, 0.0766),
    ),
    "chi_b2_2P": Level(
        100555,
        10.26865,
        (Emission(0.0648, 22, "Y1S"), Emission(0.0921, 22, "Y2S"), Emission(0.0110, 223, "Y1S")),
        TWO_GLUONS,
    ),
    "chi_b1_2P": Level(
        120553,
        10.25546,
        (Emission(0.0995, 22, "Y1S"), Emission(0.1997, 22, "Y2S"), Emission(0.0163, 223, "Y1S")),
        TWO_GLUONS,
    ),
    "chi_b0_2P": Level(110551, 10.2325, (Emission(0.0039, 22, "Y1S"), Emission(0.0139, 22, "Y2S")), TWO_GLUONS),
    "Y2S": Level(
        100553,
        M_UPSILON_2S,
        (
            Leptons(0.0191, 11),
            Leptons(0.0193, 13),
            Leptons(0.0200, 15),
            Dipion(0.1785, CHARGED, "Y1S", dipion.UPSILON_2S_TO_1S),
            Dipion(0.0860, NEUTRAL, "Y1S", _neutral(dipion.UPSILON_2S_TO_1S)),
            Emission(0.038, 22, "chi_b0_1P"),
            Emission(0.069, 22, "chi_b1_1P"),
            Emission(0.0715, 22, "chi_b2_1P"),
        ),
        _annihilation(0.588, 0.0187, 0.070),
    ),
    "chi_b2_1P": Level(555, 9.91221, (Emission(0.180, 22, "Y1S"),), TWO_GLUONS),
    "h_b": Level(10553, 9.8993, (Emission(0.52, 22, "eta_b"),), THREE_GLUONS),
    "chi_b1_1P": Level(20553, 9.89278, (Emission(0.352, 22, "Y1S"),), TWO_GLUONS),
    "chi_b0_1P": Level(10551, 9.85944, (Emission(0.0194, 22, "Y1S"),), TWO_GLUONS),
    "Y1S": Level(
        553,
        M_UPSILON_1S,
        (Leptons(0.0238, 11), Leptons(0.0248, 13), Leptons(0.0260, 15)),
        _annihilation(0.8162, 0.022, 0.0872),
    ),
    "eta_b": Level(551, 9.3987, (), TWO_GLUONS),
}
"""In the order of mass: every transition leads further down this table."""

MODE_TO_1S = 1
"""``mc_mode`` of Y(3S) -> pi+ pi- Y(1S) with a hadronic Y(1S); 11, 13, 15 where it is leptonic; 0 for all other events."""


def pythia_settings() -> tuple[str, ...]:
    """The levels as Pythia particles that only annihilate."""
    settings = []
    for name, level in LEVELS.items():
        settings.append(f"{level.pdg}:all = {name} void 3 0 0 {level.mass} 0 0 0 0")
        settings += [
            f"{level.pdg}:{'addChannel' if number else 'oneChannel'} = 1 {weight:.6f} {code} {products}"
            for number, (weight, code, products) in enumerate(level.annihilation)
        ]
        settings.append(f"{level.pdg}:mayDecay = on")
    return tuple(settings)


class _Cascade:
    """The state of ``n`` events on their way down."""

    def __init__(self, rng: Generator, n: int) -> None:
        self.rng = rng
        self.record = HardRecord(n)
        self.mode = np.zeros(n, dtype=np.int64)
        self.to_1s = np.zeros(n, dtype=bool)
        self.dipion_mass = np.full(n, np.nan)
        self.leptons = FourVector(*np.full((4, 2, n), np.nan))
        self.arrived: dict[str, list[tuple[NDArray[np.int64], FourVector]]] = {name: [] for name in LEVELS}
        self.arrived["Y3S"].append((np.arange(n), at_rest(M_UPSILON_3S, n)))

    def level(self, name: str, transitions: tuple[Emission | Dipion | Leptons, ...], *, annihilate: bool) -> None:
        """Everything that is at level ``name`` moves on; without ``annihilate`` the transitions share all of it."""
        level = LEVELS[name]
        if not self.arrived[name]:
            return
        events = np.concatenate([events for events, _ in self.arrived[name]])
        momentum = FourVector(*map(np.concatenate, zip(*(momentum for _, momentum in self.arrived[name]), strict=True)))
        weights = [step.branching for step in transitions]
        weights.append(1.0 - sum(weights) if annihilate else 0.0)
        chosen = self.rng.choice(len(weights), size=len(events), p=np.array(weights) / sum(weights))
        for number, step in enumerate(transitions):
            rows = chosen == number
            self._step(name, step, events[rows], _rows(momentum, rows))
        rows = chosen == len(transitions)
        self.record.add(events[rows], level.pdg, _rows(momentum, rows), level.mass)

    def _step(self, name: str, step: Emission | Dipion | Leptons, events: NDArray[np.int64], parent: FourVector) -> None:
        level = LEVELS[name]
        if isinstance(step, Leptons):
            self._to_leptons(name, step, events, parent)
            return
        daughter = LEVELS[step.daughter]
        if isinstance(step, Emission):
            mass = EMITTED_MASS[step.pdg]
            emitted, below = two_body(self.rng, parent, level.mass, (mass, daughter.mass))
            self.record.add(events, step.pdg, emitted, mass)
        else:
            first, second, below, dipion_mass = dipion_transition(self.rng, parent, step.transition)
            self.record.add(events, step.pdgs[0], first, step.transition.pion_mass)
            self.record.add(events, step.pdgs[1], second, step.transition.pion_mass)
            if step.transition is dipion.UPSILON_3S_TO_1S:
                self.to_1s[events] = True
                self.mode[events] = MODE_TO_1S
                self.dipion_mass[events] = dipion_mass
        self.arrived[step.daughter].append((events, below))

    def _to_leptons(self, name: str, step: Leptons, events: NDArray[np.int64], parent: FourVector) -> None:
        """1 + cos^2 about the beams in the parent's frame: right for the Y(3S) and for S-wave transitions from it."""
        level, mass = LEVELS[name], LEPTON_MASS[step.pdg]
        axis = fermion_pair_direction(self.rng, len(events), level.mass, mass)
        pair = [boosted(lepton, parent) for lepton in back_to_back(axis, level.mass, mass, mass)]
        self.record.add(events, level.pdg, parent, level.mass, resonance=True)
        for sign, lepton in zip((1, -1), pair, strict=True):
            self.record.add(events, sign * step.pdg, lepton, mass, from_resonance=True)
        if name == "Y1S":
            for component, first, second in zip(self.leptons, *pair, strict=True):
                component[0, events], component[1, events] = first, second
            self.mode[events] = np.where(self.to_1s[events], step.pdg, self.mode[events])


def _rows(momentum: FourVector, rows: NDArray[np.bool_]) -> FourVector:
    return FourVector(*(component[rows] for component in momentum))


def _finished(cascade: _Cascade, seed: int) -> Generated:
    made = decayed(cascade.record.events(), sqrt_s=M_UPSILON_3S, seed=seed, settings=pythia_settings())
    assert made.from_dipion is not None
    return replace(
        made,
        from_dipion=made.from_dipion & cascade.to_1s[made.event],
        mode=cascade.mode,
        dipion_mass=cascade.dipion_mass,
        leptons=cascade.leptons,
    )


def inclusive(rng: Generator, n: int, seed: int) -> Generated:
    """Everything that a Y(3S) does."""
    cascade = _Cascade(rng, n)
    for name, level in LEVELS.items():
        cascade.level(name, level.transitions, annihilate=True)
    return _finished(cascade, seed)


def leptonic(rng: Generator, n: int, seed: int) -> Generated:
    """Y(3S) -> pi+ pi- Y(1S), Y(1S) -> e+e-, mu+mu- or tau+tau- in the ratio of their branching fractions."""
    cascade = _Cascade(rng, n)
    to_1s = tuple(
        step for step in LEVELS["Y3S"].transitions if isinstance(step, Dipion) and step.transition is dipion.UPSILON_3S_TO_1S
    )
    cascade.level("Y3S", to_1s, annihilate=False)
    cascade.level("Y1S", LEVELS["Y1S"].transitions, annihilate=False)
    return _finished(cascade, seed)
