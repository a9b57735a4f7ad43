"""e+e- -> e+e- X by two almost real photons: equivalent-photon fluxes, and X = mu+mu- or pi+pi-.

Fluxes and limits: Budnev et al., Phys. Rept. 15 (1975) 181. gamma gamma -> mu+mu- is QED at tree level;
gamma gamma -> pi+pi- is the Born term of scalar QED with a form factor, plus the f2(1270). sqrt(s) in GeV, results in nb.
The scattered electrons are kept. The mass of X is that of the flux and its momentum balances the electrons exactly, so that
its energy is too large by about Q^2/E: 0.3 % of sqrt(s) on average.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mlbkg.physics.beams import Beams
from mlbkg.physics.constants import ALPHA, FB_GEV2, M_ELECTRON, M_MUON, M_PION
from mlbkg.physics.lorentz import FourVector
from mlbkg.registry import Field
from mlbkg.simulation.base import Generated, ProcessParams
from mlbkg.simulation.kinematics import back_to_back, boosted, direction

Array = NDArray[np.float64]

NB_GEV2 = FB_GEV2 * 1e-6
"""(hbar c)^2 in nb GeV^2."""

BORN_SCALE = 1.25
"""GeV; dampens the Born term so that e+e- pi+pi- with W > 0.5 GeV has Belle II's 1.9 nb."""

FIDUCIAL_EVENTS, FIDUCIAL_BLOCK = 40_000, 200_000
"""Fiducial events that a cross section is computed from at least, and events that are tried at once."""

F2_MASS, F2_WIDTH, F2_TO_PHOTONS, F2_TO_CHARGED_PIONS = 1.2755, 0.1867, 2.8e-6, 0.842 * 2.0 / 3.0
"""GeV and GeV; the partial width is in the middle of the measured 2.6-3.0 keV."""


class Fiducial(ProcessParams):
    """Both particles of X in the laboratory. By default wider than the tracking's limits by more than its resolution and the
    spread of the beams; a tighter one spends no events on what an analysis cuts away."""

    theta_degrees: tuple[Annotated[float, Field(ge=0, lt=90)], Annotated[float, Field(gt=90, le=180)]] = Field(
        (15.0, 152.0), description="polar angles"
    )
    min_pt: float = Field(0.045, ge=0, lt=3, description="transverse momentum, GeV")
    min_mass: float = Field(0.0, ge=0, lt=6, description="mass of X, GeV; up to 1.5 times min_pt loses next to nothing")

    def hold_both(self, pair: tuple[FourVector, FourVector], beams: Beams) -> NDArray[np.bool_]:
        """``pair``: in the centre-of-mass frame."""
        first, second = (self._holds(beams.to_lab(particle)) for particle in pair)
        return first & second

    def _holds(self, lab: FourVector) -> NDArray[np.bool_]:
        low, high = np.deg2rad(self.theta_degrees)
        theta = np.arctan2(lab.pt, lab.pz)
        return np.asarray((theta > low) & (theta < high) & (lab.pt > self.min_pt))


@dataclass(frozen=True)
class FinalState:
    """``differential(w, c)``: d sigma / d cos(theta*) in 1/GeV^2 at gamma gamma mass ``w``."""

    pdg: int
    mass: float
    differential: Callable[[Array, Array], Array]


def muons(w: Array, c: Array) -> Array:
    """Brodsky, Kinoshita, Terazawa, Phys. Rev. D 4 (1971) 1532."""
    beta2 = _velocity_squared(w, M_MUON)
    numerator = 1.0 + 2.0 * beta2 * (1.0 - beta2) * (1.0 - c**2) - (beta2 * c**2) ** 2
    return 2.0 * np.pi * ALPHA**2 * np.sqrt(beta2) / w**2 * numerator / (1.0 - beta2 * c**2) ** 2


def pions(w: Array, c: Array) -> Array:
    """Damped Born term and f2(1270) in helicity 2, without interference."""
    beta2 = _velocity_squared(w, M_PION)
    sin2 = 1.0 - c**2
    amplitudes = (1.0 - beta2) ** 2 + (beta2 * sin2) ** 2
    born = np.pi * ALPHA**2 * np.sqrt(beta2) / w**2 * amplitudes / (1.0 - beta2 * c**2) ** 2
    damping = 1.0 / (1.0 + (w**2 - 4.0 * M_PION**2) / BORN_SCALE**2) ** 2
    strength = 8.0 * np.pi * 5.0 * F2_TO_PHOTONS * F2_WIDTH * F2_TO_CHARGED_PIONS
    resonance = strength * (F2_MASS / w) ** 2 / ((w**2 - F2_MASS**2) ** 2 + (F2_MASS * F2_WIDTH) ** 2)
    # The D wave opens as beta^5; 15/16 normalises sin^4
    return np.asarray(born * damping + resonance * beta2**2.5 * 15.0 / 16.0 * sin2**2)


FINAL_STATES = {"mumu": FinalState(13, M_MUON, muons), "pipi": FinalState(211, M_PION, pions)}


def flux(x: Array, w: Array, sqrt_s: float) -> Array:
    """Photons with the fraction ``x`` of the beam energy, dN/dx, for virtualities up to min(4 E^2 (1-x), W^2)."""
    low, high = _virtuality_limits(x, w, sqrt_s)
    ratio = np.maximum(high / low, 1.0)
    transverse = (1.0 + (1.0 - x) ** 2) / x * np.log(ratio)
    return ALPHA / (2.0 * np.pi) * (transverse - 2.0 * M_ELECTRON**2 * x * (1.0 - 1.0 / ratio) / low)


def cross_section(name: str, sqrt_s: float, *, minimum_mass: float | None = None) -> float:
    """Of e+e- -> e+e- X with the mass of X above ``minimum_mass`` (its threshold by default), nb, without fiducial cuts."""
    state = FINAL_STATES[name]
    log_w, density = _spectrum(name, sqrt_s, max(minimum_mass or 0.0, 2.0 * state.mass * (1.0 + 1e-6)))
    return float(np.trapezoid(density, log_w))


def generate(rng: Generator, n: int, name: str, beams: Beams, fiducial: Fiducial) -> Generated:
    """``n`` events whose two particles of X are fiducial."""
    # (particle, component, event): X+, X-, e-, e+
    particles = np.empty((4, 4, 0))
    while particles.shape[2] < n:
        pairs, electrons = _unbiased(rng, 2 * n + 1000, name, float(beams.total_mass), fiducial.min_mass)
        kept = fiducial.hold_both(pairs, beams)
        particles = np.concatenate([particles, np.array([*pairs, *electrons])[:, :, kept]], axis=2)
    particles = particles[:, :, :n]
    pdg = FINAL_STATES[name].pdg
    codes = np.array([pdg, -pdg, 11, -11] if pdg == 211 else [-pdg, pdg, 11, -11])
    components = particles.transpose(1, 2, 0).reshape(4, -1)
    return Generated(
        n_events=n,
        event=np.repeat(np.arange(n), 4),
        pdg=np.tile(codes, n),
        momentum=FourVector(*components),
        mode=np.zeros(n, dtype=np.int64),
    )


def fiducial_cross_section(beams: Beams, fiducial: Fiducial, *, name: str) -> float:
    """Of e+e- -> e+e- X as :func:`generate` makes it; nb, always from the same events, with a relative error of 0.5 %."""
    rng, sqrt_s = np.random.default_rng(1), float(beams.total_mass)
    tried = found = 0
    while found < FIDUCIAL_EVENTS:
        pairs, _ = _unbiased(rng, FIDUCIAL_BLOCK, name, sqrt_s, fiducial.min_mass)
        found += int(fiducial.hold_both(pairs, beams).sum())
        tried += FIDUCIAL_BLOCK
    return cross_section(name, sqrt_s, minimum_mass=fiducial.min_mass) * found / tried


def _velocity_squared(w: Array, mass: float) -> Array:
    return np.maximum(1.0 - (2.0 * mass / w) ** 2, 0.0)


def _virtuality_limits(x: Array, w: Array, sqrt_s: float) -> tuple[Array, Array]:
    low = (M_ELECTRON * x) ** 2 / (1.0 - x)
    return low, np.minimum(sqrt_s**2 * (1.0 - x), w**2)


@lru_cache(maxsize=16)
def _spectrum(name: str, sqrt_s: float, minimum_mass: float) -> tuple[Array, Array]:
    """log(W) and d sigma / d log(W) in nb: dx1 dx2 = d tau d y with tau = W^2/s, x = sqrt(tau) exp(+-y)."""
    log_w = np.linspace(np.log(minimum_mass), np.log(0.999 * sqrt_s), 3001)
    w = np.exp(log_w)
    tau = (w / sqrt_s) ** 2
    share = np.linspace(-1.0, 1.0, 401)[:, np.newaxis] * (1.0 - 1e-9)
    half_range = -0.5 * np.log(tau)
    x1, x2 = np.sqrt(tau) * np.exp(share * half_range), np.sqrt(tau) * np.exp(-share * half_range)
    luminosity = np.trapezoid(flux(x1, w, sqrt_s) * flux(x2, w, sqrt_s), share[:, 0], axis=0) * half_range
    # Equal steps in atanh(c) resolve the peaks along the photons
    rapidity = np.linspace(0.0, 8.0, 401)[:, np.newaxis]
    c = np.tanh(rapidity)
    total = 2.0 * np.trapezoid(FINAL_STATES[name].differential(w, c) * (1.0 - c**2), rapidity[:, 0], axis=0)
    return log_w, NB_GEV2 * 2.0 * tau * luminosity * total


def _unbiased(
    rng: Generator, n: int, name: str, sqrt_s: float, minimum_mass: float
) -> tuple[tuple[FourVector, FourVector], tuple[FourVector, FourVector]]:
    """``(X+, X-), (e-, e+)`` of ``n`` events in the centre-of-mass frame."""
    state = FINAL_STATES[name]
    log_w, density = _spectrum(name, sqrt_s, max(minimum_mass, 2.0 * state.mass * (1.0 + 1e-6)))
    cumulative = np.concatenate([[0.0], np.cumsum(density[1:] + density[:-1])])
    w = np.exp(np.interp(rng.random(n), cumulative / cumulative[-1], log_w))
    x1, x2 = _fractions(rng, w, sqrt_s)
    electron = _scattered(rng, x1, w, sqrt_s, sign=1.0)
    positron = _scattered(rng, x2, w, sqrt_s, sign=-1.0)
    px, py, pz = (-(first + second) for first, second in zip(electron[1:], positron[1:], strict=True))
    system = FourVector(np.sqrt(w**2 + px**2 + py**2 + pz**2), px, py, pz)
    axis = direction(_polar_angles(rng, w, state), rng.uniform(-np.pi, np.pi, n))
    first, second = (boosted(particle, system) for particle in back_to_back(axis, w, state.mass, state.mass))
    return (first, second), (electron, positron)


def _fractions(rng: Generator, w: Array, sqrt_s: float) -> tuple[Array, Array]:
    """Both photons' energy fractions at fixed W: the product of the fluxes is largest where they are equal."""
    root = w / sqrt_s
    largest = flux(root, w, sqrt_s) ** 2
    y = np.empty(len(w))
    pending = np.arange(len(w))
    while len(pending):
        limit = -np.log(root[pending])
        tried = rng.uniform(-1.0, 1.0, len(pending)) * limit * (1.0 - 1e-9)
        mass, centre = w[pending], root[pending]
        value = flux(centre * np.exp(tried), mass, sqrt_s) * flux(centre * np.exp(-tried), mass, sqrt_s)
        kept = rng.random(len(pending)) * largest[pending] < value
        y[pending[kept]] = tried[kept]
        pending = pending[~kept]
    return root * np.exp(y), root * np.exp(-y)


def _scattered(rng: Generator, x: Array, w: Array, sqrt_s: float, *, sign: float) -> FourVector:
    """The beam particle along ``sign`` z after radiating; Q^2 from the flux between its limits."""
    low, high = _virtuality_limits(x, w, sqrt_s)
    virtuality = np.empty(len(x))
    pending = np.arange(len(x))
    while len(pending):
        tried = low[pending] * (high[pending] / low[pending]) ** rng.random(len(pending))
        split = 1.0 + (1.0 - x[pending]) ** 2
        # dn/dlogQ^2 ~ (1 + (1-x)^2)/x - 2 m^2 x / Q^2, relative to its first term
        value = 1.0 - 2.0 * (M_ELECTRON * x[pending]) ** 2 / (split * tried)
        kept = rng.random(len(pending)) < value
        virtuality[pending[kept]] = tried[kept]
        pending = pending[~kept]
    beam = sqrt_s / 2.0
    energy = beam * (1.0 - x)
    half_sine_squared = np.clip((virtuality - low) / (4.0 * beam * energy), 0.0, 1.0)
    axis = direction(sign * (1.0 - 2.0 * half_sine_squared), rng.uniform(-np.pi, np.pi, len(x)))
    momentum = np.sqrt(np.maximum(energy**2 - M_ELECTRON**2, 0.0))
    return FourVector(energy, momentum * axis.px, momentum * axis.py, momentum * axis.pz)


@lru_cache(maxsize=4)
def _angle_table(state: FinalState) -> tuple[Array, Array, Array]:
    """log(W), rapidities, and for each W the cumulative density of the rapidity atanh(c) of one hemisphere."""
    log_w = np.linspace(np.log(2.0 * state.mass * (1.0 + 1e-6)), np.log(12.0), 1201)
    rapidity = np.linspace(0.0, 8.0, 401)
    c = np.tanh(rapidity)
    density = state.differential(np.exp(log_w)[:, np.newaxis], c) * (1.0 - c**2)
    cumulative = np.cumsum(0.5 * (density[:, 1:] + density[:, :-1]), axis=1)
    cumulative = np.concatenate([np.zeros((len(log_w), 1)), cumulative], axis=1)
    return log_w, rapidity, cumulative / cumulative[:, -1:]


def _polar_angles(rng: Generator, w: Array, state: FinalState) -> Array:
    log_w, rapidity, cumulative = _angle_table(state)
    row = np.clip(np.round((np.log(w) - log_w[0]) / (log_w[1] - log_w[0])).astype(np.int64), 0, len(log_w) - 1)
    # Searching in row + cumulative finds the place in every event's own row at once
    wanted = row + rng.random(len(w))
    place = np.searchsorted((cumulative + np.arange(len(log_w))[:, np.newaxis]).ravel(), wanted, side="right") - 1
    column = np.clip(place - row * len(rapidity), 0, len(rapidity) - 2)
    low, high = cumulative[row, column], cumulative[row, column + 1]
    share = np.clip((wanted - row - low) / np.where(high > low, high - low, 1.0), 0.0, 1.0)
    sign = np.where(rng.random(len(w)) < 0.5, -1.0, 1.0)
    return np.asarray(sign * np.tanh(rapidity[column] + share * (rapidity[1] - rapidity[0])))
