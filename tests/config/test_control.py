"""What can be wrong with the control samples of a config, said with the line it is on."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlbkg.config.load import load
from mlbkg.errors import ConfigError

CONFIG = """
analysis: small
luminosity_per_fb: 2
candidates: {pair: pipi}
samples:
  - {name: signal, role: signal, files: s*.root, simulate: {process: upsilon1s_invisible, events: 10}}
  - {name: peaking, role: background, files: p*.root, simulate: {process: upsilon1s_leptonic, events: 10}}
features: [nTracksROE]
spectators: [mRecoil]
fit:
  variable: mRecoil
  window: [9.40, 9.52]
  peaking:
    samples: [peaking]
    control:
      modes:
        - {name: mumu, lost: mc_mode == 13, seen: ["nMuonsROE == 2", "MMuMuROE > 8.5"], branching_fraction: 0.0248}
        - {name: ee, lost: mc_mode == 11, seen: ["nElectronsROE == 2"], branching_fraction: 0.0238}
        - {name: tautau, lost: mc_mode == 15, branching_fraction: 0.0260}
      uncertainties:
        - {name: tracking, effect: 0.014}
        - {name: muon_id, effect: 0.01, modes: [mumu]}
        - {name: edges, effect: 0.03, of: lost}
      reference: {name: talk, yields: {mumu: 486}}
"""


def written(folder: Path, old: str = "", new: str = "") -> Path:
    assert old in CONFIG
    path = folder / "small.yaml"
    path.write_text(CONFIG.replace(old, new), encoding="utf-8")
    return path


def test_cuts_may_name_features_that_are_not_listed(tmp_path: Path) -> None:
    control = load(written(tmp_path)).config.fit.peaking.control  # type: ignore[union-attr]
    assert control is not None
    touched = [control.touched(uncertainty) for uncertainty in control.uncertainties]
    assert touched == [("mumu", "ee"), ("mumu",), ("mumu", "ee", "tautau")]


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("MMuMuROE > 8.5", "MMuMu > 8.5", 17, "seen[1]: unknown name 'MMuMu'; did you mean 'MMuMuROE'?"),
        ("MMuMuROE > 8.5", "MMuMuROE >", 17, "seen[1]: the expression ends too early"),
        ("mc_mode == 15", "mc_mod == 15", 19, "lost: unknown name 'mc_mod'; did you mean 'mc_mode'?"),
        ("mc_mode == 15", "nMuonsROE == 0", 19, "lost: unknown name 'nMuonsROE'"),
        ("name: ee,", "name: mumu,", 18, "modes[1]: 'mumu' is there twice; first on line 17"),
        ("[mumu]}", "[mumu, mumumu]}", 22, "modes[1]: unknown mode 'mumumu'; did you mean 'mumu'?"),
        ("[mumu]}", "[tautau]}", 22, "modes[0]: 'tautau' has no control sample, so nothing of it is seen"),
        ("yields: {mumu:", "yields: {mu:", 24, "yields.mu: unknown mode 'mu'; did you mean 'mumu'?"),
        ("name: edges", "name: peaking_simulation", 23, "'peaking_simulation' is the name of a nuisance parameter"),
        ("name: edges", "name: branching_fraction_ee", 23, "'branching_fraction_ee' is the name of a nuisance parameter"),
        (", branching_fraction: 0.0238", "", 15, "'tautau' has no control sample and is tied to the others, so branching_f"),
        (
            ", branching_fraction: 0.0238",
            ", branching_fraction_error: 0.1",
            18,
            "branching_fraction_error needs branching_fr",
        ),
        ("effect: 0.014", "effect: 0.014, of: both", 21, "of: must be lost or seen; got 'both'"),
    ],
)
def test_messages(tmp_path: Path, old: str, new: str, line: int, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, old, new))
    assert any(detail.startswith(f":{line}") and says in detail for detail in caught.value.details), str(caught.value)


def test_at_least_one_mode_is_seen(tmp_path: Path) -> None:
    path = written(tmp_path, ', seen: ["nElectronsROE == 2"]')
    assert load(path)
    text = path.read_text(encoding="utf-8").replace(', seen: ["nMuonsROE == 2", "MMuMuROE > 8.5"]', "")
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="no mode has a control sample"):
        load(path)


def test_names_that_the_skims_do_not_keep(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_text(CONFIG + "selection: {branches: [mRecoil]}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="'mc_mode' is not in the skims"):
        load(path)
