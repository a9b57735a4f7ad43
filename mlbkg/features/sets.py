"""Named sets of features; a config writes ``set:<name>`` where a feature's name could stand."""

from __future__ import annotations

from collections.abc import Iterable

from mlbkg.errors import UnknownNameError, did_you_mean

PREFIX = "set:"

_REST_OF_EVENT = (
    "nTracksROE",
    "nPhotonsROE",
    "nHadronsROE",
    "nKLMROE",
    "ChargeROE",
    "EGammaMax",
    "EGamma2",
    "EExtra",
    "ENeutralExtra",
    "EROE",
    "MROE",
)
_PAIR = ("PtPiPi", "CosThetaPiPi", "CosHelicityPiPi", "ThetaRecoil", "ThetaMissing", "CosGammaNormal")
_TRACKS = (
    "chiProb",
    "drMax",
    "dzMax",
    "pionIDMin",
    "pionIDMax",
    "electronIDMin",
    "electronIDMax",
    "muonIDMin",
    "muonIDMax",
    "clusterEMin",
    "clusterEMax",
)
_GIVES_RECOIL_MASS_AWAY = (
    "EPiPi",
    "MPiPi",
    "PPiPi",
    "AnglePiPi",
    "EMissing",
    "M2Missing",
    "R2",
    "thrust",
    "cosThrust",
    "sphericity",
    "CleoCone0",
    "CleoCone1",
    "CleoCone2",
)

_RECOIL_OF_LEPTONS = ("PtRecoilLMax", "PtRecoilLMin", "PtLL", "CosThetaLL", "DPhiLL", "AngleLL")
_NEUTRALS_BESIDE_LEPTONS = (
    "nPhotonsROE",
    "nHadronsROE",
    "nKLMROE",
    "EGammaMax",
    "EExtra",
    "EGammaNearRecoil",
    "AngleGammaNearRecoil",
    "ThetaRecoil",
)
_LEPTON_TRACKS = ("chiProb", "drMax", "dzMax")
_MUONS = ("muonIDMin", "muonIDMax", "clusterEMin", "clusterEMax")
_MUON_AND_ELECTRON = ("muonID0", "electronID1", "clusterE0", "clusterEoP1")

SETS: dict[str, tuple[str, ...]] = {
    "upsilon1s": (*_REST_OF_EVENT, *_PAIR, *_TRACKS, *_GIVES_RECOIL_MASS_AWAY),
    "upsilon1s_decorrelated": (*_REST_OF_EVENT, *_PAIR, *_TRACKS),
    "zprime": (*_RECOIL_OF_LEPTONS, *_NEUTRALS_BESIDE_LEPTONS, *_LEPTON_TRACKS, *_MUONS),
    "zprime_lfv": (*_RECOIL_OF_LEPTONS, *_NEUTRALS_BESIDE_LEPTONS, *_LEPTON_TRACKS, *_MUON_AND_ELECTRON),
    "dark_higgs": ("PtLL", "CosThetaLL", "DPhiLL", "CosHelicityLL", *_NEUTRALS_BESIDE_LEPTONS, *_LEPTON_TRACKS, *_MUONS),
}
"""``upsilon1s``: everything for Y(3S) -> pi+ pi- Y(1S), Y(1S) -> invisible.

``upsilon1s_decorrelated``: what is left when the recoil mass, in which the signal is to be fitted, must not be known.
M_r^2 = s + M^2 - 2 sqrt(s) E*, so with E* (or p*) and the mass M of the pair a classifier rebuilds M_r and carves a peak out
of any background. In an event with nothing but the pair, all of these are functions of its two momenta and leave with them:

- EMissing and M2Missing are sqrt(s) - E* and M_r^2 themselves;
- AnglePiPi, R2, thrust, sphericity: of the momenta's ratio and angle, which with the pair's momentum give M;
- cosThrust: the pair's direction in the centre-of-mass frame for small angles, which with the pair's momentum in the
  laboratory gives its velocity, so E;
- CleoCone0 to 2: |p1*| + |p2*| in cones, so nearly E*.

What stays of the pair is its laboratory momentum (PtPiPi, CosThetaPiPi, ThetaRecoil, ThetaMissing: three-momenta need no
mass hypothesis) and the decay angle, which says nothing of M. On lone dipions with recoil masses from 9.40 to 9.52 GeV a
boosted regression explains 99 % of the variance of M_r from ``upsilon1s`` and 15 % from what stays, less than from p* alone
(19 %): larger recoil masses leave less momentum, a smooth slope that cannot make a peak.

Of what the two tracks leave in the calorimeter, their energies stay: they tell muons from pions where a muon does not reach
the muon detector, and on simulated two-photon background they take what is explained from 8 % to 13 %. The ratios to the
momenta (clusterEoPMin, clusterEoPMax) do not: with the energies they give the momenta, and explain 44 %.

``zprime`` and ``zprime_lfv``: for two leptons and something invisible of unknown mass, scanned in m2Recoil. Signal of all
masses is trained on together, so that no single mass can be learnt, and the slope of the background against M_r^2 may be:
the momenta that recoil across either lepton (PtRecoilLMax, PtRecoilLMin) and across the beams (PtLL) are what tells a
massive recoil from the neutrinos of two taus. Only a sharp M_r would carve windows out of a background. MLL, PLL, P1LL,
P2LL, PRecoil and the recoil masses are left out: on Z' of 0.5 to 8.5 GeV a boosted regression finds M_r^2 to 3 GeV^2 from
``zprime``, ten times the resolution, and with MLL and PLL besides to 0.3 GeV^2, which is the resolution.
A muon and an electron are told apart by their place, so that their identification is that of lepton 0 and of lepton 1.

``dark_higgs``: scanned in MLL and m2Recoil, neither of which is to be known, and so without all of the above and AngleLL,
PtRecoilLMax and PtRecoilLMin, which lead to MLL. What is left gives MLL to 0.3 GeV and m2Recoil to 1.6 GeV^2, eight times
their resolutions or more. CosHelicityLL tells the U's polarisation.
"""


def expand(names: Iterable[str]) -> tuple[str, ...]:
    """``names`` with each ``set:<name>`` replaced by its features, a name that comes again left out.

    Raises :class:`UnknownNameError` for an unknown set.
    """
    expanded: list[str] = []
    for name in names:
        expanded.extend(_members(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else (name,))
    return tuple(dict.fromkeys(expanded))


def _members(name: str) -> tuple[str, ...]:
    if name not in SETS:
        raise UnknownNameError(
            f"unknown set of features '{name}'{did_you_mean(name, SETS)}",
            where=f"{PREFIX}{name}",
            hint=f"Known: {', '.join(sorted(SETS))}",
        )
    return SETS[name]
