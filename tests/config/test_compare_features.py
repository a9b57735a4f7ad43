"""Features that are only compared: sets among them, and names that would change what the others see."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlbkg.config.load import load
from mlbkg.errors import ConfigError
from mlbkg.features.sets import SETS

BUILT = """\
analysis: small
candidates: {pair: pipi}
samples:
  - {name: signal, role: signal, files: signal.root, simulate: {process: upsilon1s_invisible, events: 1000}}
  - {name: qq, role: background, files: "data/qq*.root", simulate: {process: continuum_qq, events: 15}}
features: ["set:upsilon1s_decorrelated"]
spectators: [mRecoil]
evaluation:
  compare_features: COMPARED
"""
READ = """\
analysis: small
samples:
  - {name: signal, role: signal, files: signal.root}
  - {name: qq, role: background, files: qq.root}
preselection: ["abs(y) < 3"]
features: [x, {name: twice, expression: 2 * z}]
spectators: [mass]
evaluation:
  compare_features: COMPARED
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path("small.yaml")


def with_compared(config: Path, text: str, compared: str) -> Path:
    config.write_text(text.replace("COMPARED", compared), encoding="utf-8")
    return config


def test_sets_are_expanded(config: Path) -> None:
    found = load(with_compared(config, BUILT, '["set:upsilon1s", mRecoil]')).config
    assert [entry.name for entry in found.evaluation.compare_features] == [*SETS["upsilon1s"], "mRecoil"]
    assert [entry.name for entry in found.features] == list(SETS["upsilon1s_decorrelated"])


@pytest.mark.parametrize(
    ("text", "compared", "told"),
    [
        (BUILT, '["set:upsilon2s"]', "unknown set of features 'upsilon2s'; did you mean 'upsilon1s'"),
        (BUILT, "[EPiPj]", "unknown feature 'EPiPj'; did you mean 'EPiPi'?"),
        (BUILT, "[EPiPi, EPiPi]", "'EPiPi' is there twice"),
        (BUILT, "[{name: EExtra, expression: EROE + 1}]", "'EExtra' is not the same as features[0] of that name"),
        (BUILT, "[{name: odd, expression: EROE +}]", "the expression ends too early"),
        (BUILT, "[{name: daughter0_px, expression: 1 + EROE}]", "'daughter0_px' is what features[0] uses; give it another"),
        (READ, "[{name: mass, column: x}]", "'mass' is not the same as spectators[0] of that name"),
        (READ, "[{name: y, column: x}]", "'y' is what preselection[0] uses; give it another name"),
        (READ, "[{name: z, expression: x + 1}]", "'z' is what features[1].expression uses; give it another name"),
        (READ, "[{name: a, expression: b}, {name: b, expression: a}]", "a -> b -> a"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(config: Path, text: str, compared: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(with_compared(config, text, compared))
    (detail,) = [line for line in caught.value.details if line.startswith(":")]
    assert detail.startswith(":9 evaluation.compare_features[")
    assert told in str(caught.value)


def test_formulae_may_use_what_is_listed_and_compared(config: Path) -> None:
    compared = "[y, EPi, {name: sum, expression: x + EPi}, {name: half, expression: sum / 2}]"
    assert len(load(with_compared(config, READ, compared)).config.evaluation.compare_features) == 4


def test_what_is_compared_is_not_listed_for_others(config: Path) -> None:
    path = with_compared(config, BUILT.replace("spectators:", 'preselection: ["EPiPi < 1"]\nspectators:'), "[EPiPi]")
    with pytest.raises(ConfigError, match="'EPiPi' is a feature that is not listed; add it to spectators"):
        load(path)
