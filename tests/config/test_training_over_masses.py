"""What is told of a training over a range of masses before any file is opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlbkg.config.load import load
from mlbkg.errors import ConfigError

CONFIG = """\
analysis: bump
luminosity_per_fb: 10
samples:
  - {name: signal, role: signal, files: signal.root}
  - {name: smooth, role: background, files: smooth.root}
features: [x, y]
spectators: [m2]
training: {flatten: [true_mass]}
selection: {working_point: {punzi: {per: window}}}
evaluation: {compare_cuts: {name: someone, line: [x, y], above: [m2]}}
limit: {quantity: cross_section}
scan:
  axes: [{name: mass, variable: m2, power: 2, truth: true_mass, range: [1, 5]}]
"""
SCAN = CONFIG[CONFIG.index("limit:") :]
ONE = "axes: [{name: mass, variable: m2, power: 2, truth: true_mass, range: [1, 5]}]"
TWO = (
    "axes: [{name: mass_u, variable: m2, truth: true_mass, range: [1, 5]}, "
    "{name: mass_h, variable: x, truth: true_h, range: [1, 5]}]"
)


def problems(tmp_path: Path, text: str) -> str:
    path = tmp_path / "bump.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(path)
    return "\n".join([caught.value.what, *caught.value.details])


def test_a_right_config_has_no_problems(tmp_path: Path) -> None:
    path = tmp_path / "bump.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    assert load(path).config.training.flatten == ("true_mass",)


@pytest.mark.parametrize("feature", ["true_mass", "{name: z, column: true_mass}", '{name: z, expression: "x / true_mass"}'])
def test_no_classifier_sees_the_true_mass(tmp_path: Path, feature: str) -> None:
    found = problems(tmp_path, CONFIG.replace("[x, y]\nspec", f"[x, y, {feature}]\nspec"))
    assert "training.flatten[0]: 'true_mass' is what features[2]" in found
    assert "scan.axes[0].truth: 'true_mass' is what features[2]" in found
    assert "no classifier may see the true mass" in found


def test_branches_are_flattened_once(tmp_path: Path) -> None:
    assert "'true_mass' is there twice" in problems(tmp_path, CONFIG.replace("[true_mass]", "[true_mass, true_mass]"))


def test_what_needs_a_scan(tmp_path: Path) -> None:
    text = CONFIG.replace(SCAN, "").replace("flatten: [true_mass]", "champion: punzi")
    found = problems(tmp_path, text)
    assert "training.champion: punzi is the mean over the masses of the section scan, which is missing" in found
    assert "selection.working_point.punzi.per: window needs the section scan, which is missing" in found
    assert "evaluation.compare_cuts: compares mass by mass; it needs the section scan, which is missing" in found


def test_windows_are_of_one_axis(tmp_path: Path) -> None:
    found = problems(tmp_path, CONFIG.replace(ONE, TWO))
    assert "selection.working_point.punzi.per: window is for a scan of one axis, this one has two; use per: sel" in found
    assert "evaluation.compare_cuts: compares mass by mass; it needs a scan of one axis, this one has two" in found


def test_cuts_are_on_what_is_listed(tmp_path: Path) -> None:
    found = problems(
        tmp_path, CONFIG.replace("line: [x, y], above: [m2]", 'requires: ["w > 1", "x >"], line: [x, z], above: [m3]')
    )
    assert "evaluation.compare_cuts.requires[0]: 'w' is neither a feature nor a spectator" in found
    assert "evaluation.compare_cuts.requires[1]: " in found
    assert "evaluation.compare_cuts.line[1]: 'z' is neither a feature nor a spectator" in found
    assert "evaluation.compare_cuts.above[0]: 'm3' is neither a feature nor a spectator" in found


def test_branches_of_simulated_signal_are_known(tmp_path: Path) -> None:
    text = CONFIG.replace("features: [x, y]", "candidates: {pair: pipi}\nfeatures: [EPiPi, MPiPi]").replace("m2", "mRecoil")
    text = text.replace("line: [x, y]", "line: [EPiPi, MPiPi]").replace("signal.root}", "s.root, simulate: SIMULATED}")
    text = text.replace("SIMULATED", "{process: upsilon1s_invisible, events: 10}").replace("true_mass", "mc_mas")
    assert "training.flatten[0]: unknown branch 'mc_mas'; did you mean 'mc_mass'?" in problems(tmp_path, text)
