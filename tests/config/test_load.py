"""Configs that are right: what comes out of them."""

from __future__ import annotations

import hashlib
import logging
import pickle
from pathlib import Path

import pytest

from mlbkg.classifiers.base import BACKENDS
from mlbkg.config.load import json_schema, load, resolved_yaml
from mlbkg.config.schema import Config
from mlbkg.features.sets import SETS

ROOT = Path(__file__).resolve().parents[2]
TEXT = """\
analysis: test
luminosity_per_fb: 10
candidates: {pair: pipi}
samples:
  - {name: signal, role: signal, files: s.root, cross_section_nb: 1e-3, simulate: {process: tau_pair, events: 1e5}}
  - {name: generic, role: background, files: [b.root], category: resonant}
features:
  - "set:upsilon1s_decorrelated"
  - {name: mine, expression: "2 * EGammaMax"}
spectators: [mRecoil]
training: {classifiers: [{backend: lightgbm, num_leaves: 7}, {backend: lightgbm, name: other, early_stopping_rounds: null}]}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "test.yaml").write_text(TEXT, encoding="utf-8")
    return tmp_path / "test.yaml"


def test_values_defaults_and_sets(path: Path) -> None:
    config = load(path).config
    assert config.samples[0].files == ("s.root",)
    assert config.samples[0].cross_section_nb == 1e-3
    assert config.samples[0].simulate is not None
    assert config.samples[0].simulate.events == 100_000
    assert config.training.folds == Config.model_fields["training"].default.folds
    assert [feature.name for feature in config.features] == [*SETS["upsilon1s_decorrelated"], "mine"]
    assert [entry.label for entry in config.training.classifiers] == ["lightgbm", "other"]
    assert config.training.classifiers[1].parameters == {"early_stopping_rounds": None}


def test_lines_are_those_of_the_file_also_behind_a_set(path: Path) -> None:
    loaded = load(path)
    last = len(loaded.config.features) - 1
    assert loaded.line_of(("samples", 1, "category")) == 6
    assert loaded.line_of(("features", 0)) == 8
    assert loaded.line_of(("features", last - 1)) == 8
    assert loaded.line_of(("features", last, "expression")) == 9
    assert loaded.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_resolved_config_holds_every_default_and_loads_to_itself(path: Path, tmp_path: Path) -> None:
    text = resolved_yaml(load(path).config)
    (tmp_path / "resolved.yaml").write_text(text, encoding="utf-8")
    again = load(tmp_path / "resolved.yaml").config
    assert resolved_yaml(again) == text
    assert again.training.classifiers[0].parameters == BACKENDS["lightgbm"].params(num_leaves=7).model_dump()
    assert again.training.classifiers[1].parameters["early_stopping_rounds"] is None
    assert again.samples == load(path).config.samples
    assert again.features == load(path).config.features


def test_a_loaded_config_travels_to_workers(path: Path) -> None:
    loaded = load(path)
    assert pickle.loads(pickle.dumps(loaded)).config == loaded.config  # noqa: S301  (own bytes)


def test_a_spectator_that_is_a_feature_is_said(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.write_text(TEXT.replace("[mRecoil]", "[mRecoil, EGammaMax]"), encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        load(path)
    assert "'EGammaMax' is a spectator, but also a feature" in caplog.text


def test_a_byte_order_mark_and_windows_lines_do_no_harm(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode())
    assert load(path).line_of(("features", 0)) == 8


@pytest.mark.parametrize("config", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda config: config.name)
def test_shipped_configs_load(config: Path) -> None:
    assert load(config).config.analysis == config.stem


def test_the_json_schema_knows_keys_and_backends() -> None:
    schema = json_schema()
    assert set(schema["properties"]) == set(Config.model_fields)
    assert schema["additionalProperties"] is False
    files = schema["$defs"]["SampleConfig"]["properties"]["files"]
    assert {"type": "string"} in files["anyOf"]
    classifier = schema["$defs"]["ClassifierConfig"]
    assert classifier["properties"]["backend"]["enum"] == list(BACKENDS.names())
    of_xgboost = next(rule for rule in classifier["allOf"] if rule["if"]["properties"]["backend"]["const"] == "xgboost")
    assert set(BACKENDS["xgboost"].params.model_fields) < set(of_xgboost["then"]["properties"])
