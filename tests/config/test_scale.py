"""``--scale``: simulated samples of another size, in files of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlbkg.config.load import load
from mlbkg.errors import ConfigError

TEXT = """\
analysis: small
candidates: {pair: pipi}
samples:
  - {name: signal, role: signal, files: signal.root, simulate: {process: upsilon1s_invisible, events: 1000}}
  - {name: qq, role: background, files: "data/qq*.root", simulate: {process: continuum_qq, events: 15}}
  - {name: mine, role: background, files: "mine*.root"}
features: [EROE]
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(TEXT, encoding="utf-8")
    return Path("small.yaml")


@pytest.mark.parametrize(
    ("scale", "events", "folder"), [(0.1, [100, 2], "x0.1"), (20, [20_000, 300], "x20"), (1e-6, [1, 1], "x1e-06")]
)
def test_only_simulated_samples_are_scaled(config: Path, scale: float, events: list[int], folder: str) -> None:
    loaded = load(config, scale=scale)
    signal, qq, mine = loaded.config.samples
    assert loaded.scale == scale
    assert [sample.simulate.events for sample in (signal, qq) if sample.simulate] == events
    assert signal.files == (f"{folder}/signal.root",)
    assert qq.files == (f"data/{folder}/qq*.root",)
    assert mine.files == ("mine*.root",)


def test_scale_one_is_the_config(config: Path) -> None:
    assert load(config, scale=1.0).config == load(config).config


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_a_factor_that_is_none_is_refused(config: Path, scale: float) -> None:
    with pytest.raises(ConfigError, match="--scale must be a positive number; got"):
        load(config, scale=scale)


def test_nothing_to_scale(config: Path) -> None:
    lines = [line for line in TEXT.splitlines() if "simulate" not in line]
    signal = '  - {name: signal, role: signal, files: "signal*.root"}'
    config.write_text("\n".join([*lines[:3], signal, *lines[3:]]), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"--scale 2 changes nothing: no sample of small\.yaml has a section 'simulate'"):
        load(config, scale=2)
