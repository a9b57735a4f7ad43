"""The branches of a simulated event: flat event numbers, and jagged collections of tracks, clusters and KLM clusters.

Momenta are reconstructed, in the laboratory, z along the detector solenoid. ``mc_*`` branches are generator truth and never
reach a classifier.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Branch:
    dtype: str
    unit: str
    description: str


EVENT: dict[str, Branch] = {
    "__experiment__": Branch("int32", "", "1000 plus the number of the process, so that no two processes share an event id"),
    "__run__": Branch("int32", "", "seed of the sample, folded to 31 bits"),
    "__event__": Branch("int64", "", "number of the event within the sample"),
    "__weight__": Branch("float32", "", "generator weight, mean one"),
    "mc_her_energy": Branch("float32", "GeV", "true electron-beam energy"),
    "mc_ler_energy": Branch("float32", "GeV", "true positron-beam energy"),
    "mc_sqrt_s": Branch("float32", "GeV", "true mass of the e+e- system or of the resonance made"),
    "mc_mode": Branch(
        "int32", "", "what was generated: 11, 13, 15 for the lepton of a leptonic decay, else as the process says"
    ),
    "mc_mass": Branch(
        "float64", "GeV", "true mass of the particle that is searched for (of the Z', of the dark photon); NaN without one"
    ),
    "mc_mass_h": Branch(
        "float64", "GeV", "true mass of the second particle that is searched for (of the dark Higgs); NaN without one"
    ),
    "mc_dipion_mass": Branch("float32", "GeV", "true mass of the dipion of a transition to the Y(1S); NaN without one"),
    "mc_n_leptons_in_cdc": Branch("int32", "", "leptons of the Y(1S) decay inside 17-150 degrees; -1 where there are none"),
    "mc_n_leptons_in_ecl": Branch(
        "int32", "", "leptons of the Y(1S) decay inside 12.4-155.1 degrees; -1 where there are none"
    ),
}

TRACK: dict[str, Branch] = {
    "px": Branch("float32", "GeV", "momentum at the interaction point"),
    "py": Branch("float32", "GeV", "momentum at the interaction point"),
    "pz": Branch("float32", "GeV", "momentum at the interaction point"),
    "charge": Branch("int32", "", "+1 or -1"),
    "d0": Branch("float32", "cm", "signed transverse distance to the interaction point"),
    "z0": Branch("float32", "cm", "longitudinal distance to the interaction point"),
    "d0_error": Branch("float32", "cm", "uncertainty of d0"),
    "z0_error": Branch("float32", "cm", "uncertainty of z0"),
    "pion_id": Branch("float32", "", "likelihood ratio of the pion hypothesis, 0 to 1"),
    "electron_id": Branch("float32", "", "likelihood ratio of the electron hypothesis, 0 to 1"),
    "muon_id": Branch("float32", "", "likelihood ratio of the muon hypothesis, 0 to 1"),
    "cluster_energy": Branch("float32", "GeV", "energy of the ECL cluster matched to the track; 0 without one"),
    "mc_pdg": Branch("int32", "", "true particle"),
    "mc_from_dipion": Branch("int32", "", "1 for a pion of Y(3S) -> pi+ pi- Y(1S), else 0"),
}

CLUSTER: dict[str, Branch] = {
    "energy": Branch("float32", "GeV", "ECL cluster without a track"),
    "theta": Branch("float32", "rad", "polar angle"),
    "phi": Branch("float32", "rad", "azimuth"),
    "hadronic": Branch("int32", "", "1 where the shower shape says neutral hadron, else 0 (photon)"),
    "mc_background": Branch("int32", "", "1 for beam background"),
}

KLM: dict[str, Branch] = {
    "theta": Branch("float32", "rad", "polar angle of a KLM cluster without a track"),
    "phi": Branch("float32", "rad", "azimuth"),
}

COLLECTIONS: dict[str, dict[str, Branch]] = {"track": TRACK, "cluster": CLUSTER, "klm": KLM}
"""Collection -> its branches; in the file they are ``<collection>_<branch>``, with the counter ``n_<collection>``."""
