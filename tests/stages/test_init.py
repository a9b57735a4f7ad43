"""``mlbkg init`` writes a config that is complete, right, and never over another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from mlbkg.classifiers.base import BACKENDS
from mlbkg.config.load import load
from mlbkg.config.schema import Config
from mlbkg.errors import ConfigError
from mlbkg.stages.init import init


def models_in(annotation: Any) -> set[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}.union(*(models_in(field.annotation) for field in annotation.model_fields.values()))
    return set().union(*(models_in(part) for part in getattr(annotation, "__args__", ())))


def test_what_is_written_loads_with_all_defaults(tmp_path: Path) -> None:
    written = init(tmp_path / "b_to_knunu.yaml")
    config = load(written).config
    assert config.analysis == "b_to_knunu"
    for key in ("ntuples", "evaluation", "selection", "tracking", "seed"):
        assert getattr(config, key) == Config.model_fields[key].default
    default = Config.model_fields["training"].default
    assert config.training.model_copy(update={"classifiers": default.classifiers}) == default
    (classifier,) = config.training.classifiers
    assert classifier.parameters == BACKENDS[classifier.backend].params().model_dump()


def test_every_key_is_there(tmp_path: Path) -> None:
    text = init(tmp_path / "a.yaml").read_text()
    models = models_in(Config) | {BACKENDS[name].params for name in BACKENDS}
    assert len(models) > 10
    missing = [
        f"{m.__name__}.{key}"
        for m in models
        for key in m.model_fields
        if f" {key}: " not in f" {text}".replace("\n", " ").replace(":", ": ")
    ]
    assert not missing
    assert max(len(line) for line in text.splitlines() if str(tmp_path) not in line) <= 125


def in_use(lines: list[str], key: str) -> list[str]:
    start = next(i for i, line in enumerate(lines) if line.startswith(f"# {key}:"))
    end = start + 1
    while lines[end].startswith(("#  ", "# # ")):
        end += 1
    return [*lines[:start], *(line[2:] for line in lines[start:end]), *lines[end:]]


@pytest.mark.parametrize(
    "keys", [["candidates"], ["preselection"], ["luminosity_per_fb"], ["fit"], ["fit", "systematics"]], ids=" and ".join
)
def test_what_is_not_in_use_can_be_taken_into_use(keys: list[str], tmp_path: Path) -> None:
    lines = init(tmp_path / "a.yaml").read_text().splitlines()
    for key in keys:
        lines = in_use(lines, key)
    without = [line for line in lines if "- R2" not in line and "- Mbc" not in line]
    text = "\n".join(without).replace("spectators:", "spectators: []", 1) if "candidates" in keys else "\n".join(lines)
    (tmp_path / "b.yaml").write_text(text)
    config = load(tmp_path / "b.yaml").config
    assert all(getattr(config, key) for key in keys)


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("mine")
    with pytest.raises(ConfigError, match="exists; nothing was written") as caught:
        init(path)
    assert caught.value.hint == f"Overwrite it: mlbkg init {path} --force"
    assert path.read_text() == "mine"
    assert load(init(path, force=True)).config.analysis == "a"


def test_a_file_name_that_is_no_name_of_an_analysis(tmp_path: Path) -> None:
    assert load(init(tmp_path / "2024 my-config.yaml")).config.analysis == "my_analysis"
