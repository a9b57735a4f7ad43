"""The search spaces that are shipped, what a config changes of them, and what is said of those that are wrong."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from mlbkg.classifiers.base import BACKENDS, Backend
from mlbkg.config.load import json_schema, load, resolved_yaml
from mlbkg.config.schema import Config
from mlbkg.config.search_spaces import search_spaces, shipped_spaces
from mlbkg.config.source import parse
from mlbkg.config.tuning import Tuning
from mlbkg.errors import ConfigError
from mlbkg.registry import Field
from mlbkg.stages.check import check
from mlbkg.tuning.space import Choice, Range, SearchSpace, as_fixed, suggest

ROOT = Path(__file__).resolve().parents[2]
MESSAGES = ROOT / "tests" / "messages"
SHIPPED = ("hist_gradient_boosting", "lightgbm", "xgboost")
TEXT = """\
analysis: a
samples:
  - {name: signal, role: signal, files: data/s.root, simulate: {process: upsilon1s_invisible, events: 10}}
  - {name: qqbar, role: background, files: data/b.root, simulate: {process: continuum_qq, events: 10}}
candidates: {pair: pipi}
features: [EPiPi]
"""


def config_of(tmp_path: Path, tuning: str, *, training: str = "") -> Config:
    path = tmp_path / "a.yaml"
    path.write_text(TEXT + training + tuning, encoding="utf-8")
    return load(path).config


class Extreme:
    """A trial that draws the largest or the smallest number, and the choice at a given place."""

    def __init__(self, *, largest: bool, place: int) -> None:
        self.largest, self.place = largest, place

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        return high if self.largest else low

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False) -> float:
        return high if self.largest else low

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        return choices[self.place % len(choices)]


def of_backends(*names: str) -> Config:
    return Config.model_validate({**parse(TEXT).data, "tuning": {"backends": names}})


@pytest.mark.parametrize("backend", SHIPPED)
class TestShipped:
    def space(self, backend: str) -> SearchSpace:
        return search_spaces(of_backends(backend))[backend]

    def test_every_default_lies_within(self, backend: str) -> None:
        default = BACKENDS[backend].params().model_dump()
        start = as_fixed(self.space(backend), {}, prefix="")
        assert start == {name: default[name] for name in start}
        assert len(start) > 5
        assert {"learning_rate", "max_depth"} <= set(start)

    @pytest.mark.parametrize("largest", [False, True])
    @pytest.mark.parametrize("place", range(6))
    def test_every_corner_is_a_classifier(self, backend: str, largest: bool, place: int) -> None:
        parameters = suggest(self.space(backend), Extreme(largest=largest, place=place), prefix="")
        assert BACKENDS[backend].params.model_validate(parameters).n_estimators == 2000

    def test_something_waits_for_something_else(self, backend: str) -> None:
        space = self.space(backend)
        conditional = [name for name, entry in space.vary.items() if entry.when]
        assert conditional
        drawn = [suggest(space, Extreme(largest=True, place=place), prefix="") for place in range(6)]
        assert all(0 < sum(name in found for found in drawn) < 6 for name in conditional)

    def test_the_reasons_are_written_down(self, backend: str) -> None:
        text = (shipped_spaces() / f"{backend}.yaml").read_text(encoding="utf-8")
        assert text.count("\n  #") > len(self.space(backend).vary)
        assert max(len(line) for line in text.splitlines()) <= 125


def test_every_shipped_backend_has_a_space_and_an_installed_package_has_them_all() -> None:
    assert sorted(path.name for path in shipped_spaces().iterdir()) == [f"{name}.yaml" for name in SHIPPED]
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"][
        "wheel"
    ]
    assert wheel["force-include"] == {"training/search_spaces": "mlbkg/search_spaces"}


def test_trees_of_few_levels_are_bounded_by_their_depth_alone() -> None:
    """A tree of four levels has at most 2^4 = 16 leaves, fewer than the default that then holds."""
    for backend, leaves in (("lightgbm", "num_leaves"), ("hist_gradient_boosting", "max_leaf_nodes")):
        space = search_spaces(of_backends(backend))[backend]
        depths = space.vary["max_depth"]
        assert isinstance(depths, Choice)
        waited_for = space.vary[leaves].when["max_depth"]
        assert isinstance(waited_for, tuple)
        for depth in depths.choices:
            if depth not in waited_for:
                assert isinstance(depth, int)
                assert 2**depth <= BACKENDS[backend].params().model_dump()[leaves]


def test_backends_are_those_of_the_section_or_of_the_classifiers_in_order(tmp_path: Path) -> None:
    training = "training: {classifiers: [{backend: lightgbm}, {backend: xgboost}, {backend: lightgbm, name: more}]}\n"
    assert list(search_spaces(config_of(tmp_path, "", training=training))) == ["lightgbm", "xgboost"]
    tuning = "tuning: {backends: [xgboost, hist_gradient_boosting]}\n"
    spaces = search_spaces(config_of(tmp_path, tuning, training=training))
    assert list(spaces) == ["xgboost", "hist_gradient_boosting"]


def test_a_config_puts_its_own_in_the_place_of_single_entries(tmp_path: Path) -> None:
    shipped = search_spaces(of_backends("xgboost"))["xgboost"]
    tuning = """\
tuning:
  search:
    xgboost:
      max_depth: {low: 3, high: 5}        # another range
      max_bin: 64                         # fixed
      gamma: null                         # as the backend has it
      n_estimators: {low: 100, high: 900} # was fixed
      grow_policy: null                   # what waits for it stays, and waits in vain
      reg_alpha: {choices: [0.0, 1.0], when: {max_depth: [3, 4]}}
"""
    space = search_spaces(config_of(tmp_path, tuning))["xgboost"]
    kept = {"learning_rate", "max_leaves", "min_child_weight", "reg_lambda", "subsample", "colsample_bytree"}
    assert {name: space.vary[name] for name in kept} == {name: shipped.vary[name] for name in kept}
    assert space.fixed == {"early_stopping_rounds": 50, "max_bin": 64, "gamma": 0.0, "grow_policy": "depthwise"}
    assert set(space.vary) == kept | {"max_depth", "n_estimators", "reg_alpha"}
    assert space.vary["max_depth"] == Range(low=3, high=5)
    assert list(space.vary)[:2] == list(shipped.vary)[:2]
    assert "max_leaves" not in suggest(space, Extreme(largest=False, place=0), prefix="")
    assert "reg_alpha" not in suggest(space, Extreme(largest=True, place=0), prefix="")


def test_spaces_of_ones_own(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "xgboost.yaml").write_text(
        "backend: xgboost\nfixed: {n_estimators: 10}\nvary:\n  max_depth: {choices: [2, 3]}\n", encoding="utf-8"
    )
    spaces = search_spaces(config_of(tmp_path, f"tuning: {{spaces: {folder}}}\n"))
    expected = SearchSpace(backend="xgboost", fixed={"n_estimators": 10}, vary={"max_depth": Choice(choices=(2, 3))})
    assert spaces == {"xgboost": expected}


@pytest.fixture
def foreign(monkeypatch: pytest.MonkeyPatch) -> str:
    """A backend of another package."""

    class ForestParams(BACKENDS["lightgbm"].params):  # type: ignore[misc,name-defined]
        trees: int = Field(description="a setting that must be given")

    found = BACKENDS["lightgbm"]
    backend = Backend("forest", "of another package", params=ForestParams, fit=found.fit, load=found.load)
    monkeypatch.setitem(BACKENDS._items, "forest", backend)
    return "forest"


def test_a_backend_of_another_package_needs_a_file_or_all_in_the_config(foreign: str, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"no search space of 'forest': write .*forest\.yaml, or give all of it in tuning"
    ) as caught:
        search_spaces(config_of(tmp_path, "tuning: {backends: [xgboost, forest]}\n"))
    assert len(caught.value.details) == 1
    search = "tuning: {backends: [forest], search: {forest: {trees: 5, max_depth: {low: 1, high: 3}, reg_alpha: null}}}\n"
    space = search_spaces(config_of(tmp_path, search))["forest"]
    assert space.fixed == {"trees": 5, "reg_alpha": 0.0}
    assert space.vary == {"max_depth": Range(low=1, high=3)}


WRONG = {
    "hist_gradient_boosting": """\
backend: lightgbm
vary:
  max_depth: {choices: [null, 2, 4]}
  max_leaf_nodes: {low: 4, high: 64, when: {max_depht: null}}
""",
    "lightgbm": """\
backend: lightgbm
fixed:
  n_estimators: 100
  learning_rate: 3
  max_depth: 4
vary:
  max_depth: {choices: [-1, 4]}
  num_leafs: {low: 4, high: 64}
  num_leaves: {low: 1, high: 64, when: {max_depth: 3}}
  reg_lambda: {low: 0.1, high: 10.0, when: {reg_alpha: 1.0}}
  reg_alpha: {choices: [0.0, 1.0], when: {max_bin: 63}}
  max_bin: {choices: [63, 255], when: {reg_lambda: 1.0}}
  subsample: {low: 0.5, high: 1.0, when: {subsample: 0.5}}
  colsample_bytree: {low: 0.5, high: 1.0, when: {min_child_samples: 7, n_estimators: 10}}
  min_child_samples: {low: 5, high: 15, step: 5}
  min_split_gain: {low: 0.0, high: 1.0, when: {min_child_weight: 0.1}}
""",
    "xgboost": """\
vary:
  max_depth: {lwo: 2, high: 8}
  gamma: 3
  subsample: {low: 0.5, high: 1.5}
  reg_alpha: {low: 0.0, high: 1.0, step: 0}
varied: 3
""",
}


def test_all_that_is_wrong_with_all_files_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("spaces").mkdir()
    for name, text in WRONG.items():
        (Path("spaces") / f"{name}.yaml").write_text(text, encoding="utf-8")
    config = config_of(
        tmp_path,
        "tuning:\n  spaces: spaces\n  backends: [hist_gradient_boosting, lightgbm, xgboost]\n",
    )
    with pytest.raises(ConfigError) as caught:
        search_spaces(config)
    told = str(caught.value).replace(str(shipped_spaces()), "training/search_spaces")
    assert f"{told}\n" == (MESSAGES / "config_search_spaces.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("search", "message"),
    [
        (
            "{reg_alpha: {low: 0.0, high: 1.0, when: {grow_policy: lossgiude}}}",
            "reg_alpha.when.grow_policy: 'grow_policy' is never",
        ),
        (
            "{grow_policy: {choices: [depthwise, lossguide], when: {max_leaves: 4}}}",
            "grow_policy -> max_leaves -> grow_policy",
        ),
    ],
)
def test_what_is_wrong_only_beside_the_file(search: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="1 problem in search spaces") as caught:
        search_spaces(config_of(tmp_path, f"tuning: {{search: {{xgboost: {search}}}}}\n"))
    (detail,) = caught.value.details
    assert detail.startswith("tuning.search.xgboost.")
    assert message in detail


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"vary: [\n", r":2 not valid YAML"),
        (b"", r"the file is empty"),
        (b"vary: {max_depth: {choices: [2, 3]}}\ndescription: \xff\n", r":2 not UTF-8 text; save the file as UTF-8"),
        (b"#" * 1_000_001, r"1000001 bytes"),
        (b"backend: xgboost\n", r"tuning\.search\.xgboost: leaves nothing of 'xgboost' to search"),
    ],
)
def test_a_file_that_is_no_space(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "xgboost.yaml").write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        search_spaces(config_of(tmp_path, f"tuning: {{spaces: {tmp_path}}}\n"))


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no folder 'nowhere'"):
        search_spaces(config_of(tmp_path, "tuning: {spaces: nowhere}\n"))


def test_check_reads_the_spaces_where_something_is_to_be_tuned(tmp_path: Path) -> None:
    config_of(tmp_path, "tuning: {spaces: nowhere}\n")
    with pytest.raises(ConfigError, match="no folder 'nowhere'"):
        check(tmp_path / "a.yaml")
    config_of(tmp_path, "tuning: {trials: 3}\n")
    assert check(tmp_path / "a.yaml").analysis == "a"


SECTION: Mapping[str, Any] = {
    "objective": ["expected_limit", "cost"],
    "search": {
        "xgboost": {
            "max_depth": {"low": 2, "high": 4},
            "max_leaves": {"low": 2, "high": 8, "log": True, "when": {"grow_policy": ["lossguide"], "max_bin": 64}},
            "grow_policy": {"choices": ["depthwise", "lossguide"]},
            "max_bin": 64,
            "gamma": None,
        }
    },
    "constraints": {"cost_ns": 300.0},
    "compare": [{"backend": "lightgbm", "num_leaves": 7}],
    "storage": "sqlite:///study.db",
}


def test_the_resolved_config_holds_the_section(tmp_path: Path) -> None:
    data = {**parse(TEXT).data, "fit": {"variable": "EPiPi", "window": [0.0, 1.0]}, "tuning": SECTION}
    config = Config.model_validate(data)
    (tmp_path / "b.yaml").write_text(resolved_yaml(config), encoding="utf-8")
    again = load(tmp_path / "b.yaml").config
    assert again.tuning.model_copy(update={"compare": config.tuning.compare}) == config.tuning
    assert again.tuning.compare[0].parameters == BACKENDS["lightgbm"].params(num_leaves=7).model_dump()
    assert again.tuning.search["xgboost"]["max_depth"] == Range(low=2, high=4)
    assert again.tuning.search["xgboost"]["gamma"] is None


def test_editors_accept_the_section_and_know_its_keys() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json_schema()
    data = {**parse(TEXT).data, "tuning": SECTION}
    jsonschema.validate(data, schema)
    for wrong in (
        {"objective": "acu"},
        {"search": {"xgboost": {"max_depth": [2]}}},
        {"trails": 3},
        {"compare": [{"backend": "no"}]},
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**data, "tuning": wrong}, schema)


def test_one_objective_needs_no_list() -> None:
    assert Tuning(objective="cost").objective == ("cost",)  # type: ignore[arg-type]
    with pytest.raises(ValidationError):
        Tuning(objective=())


@pytest.mark.parametrize(
    "storage", ["study.journal", "/shared/group/study.journal", "sqlite:///study.db", "postgresql+psycopg2://me@db/studies"]
)
def test_storages_that_are_fine(storage: str, tmp_path: Path) -> None:
    assert config_of(tmp_path, f"tuning: {{storage: '{storage}'}}\n").tuning.storage == storage


@pytest.mark.parametrize(
    ("tuning", "message"),
    [
        ("{storage: '~/study.journal'}", "'~' is no folder here"),
        ("{storage: 'folder/'}", "must be a file's path or a database's URL"),
        ("{storage: 'http://db/studies'}", "unknown kind of database 'http'; known: mariadb, mssql"),
        ("{storage: 'mysql://me:secret@db/studies'}", "holds a password"),
        ("{objective: [sculpting, auc]}", "put another before"),
        ("{warm_start: ['']}", "is no name of a study"),
        ("{warm_start: [/etc/passwd]}", "is no name of a study"),
        ("{search: {lightgbm: {num_leaves: 3}}}", "'lightgbm' is not searched"),
    ],
)
def test_what_cannot_be(tuning: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        config_of(tmp_path, f"tuning: {tuning}\n")
    assert "secret" not in str(caught.value)


def test_the_expected_limit_of_a_scan(tmp_path: Path) -> None:
    scan = "scan: {axes: [{variable: EPiPi, truth: mc_mass, range: [0.1, 8.0]}]}\n"
    with pytest.raises(ConfigError, match="expected_limit is of the section fit, which is missing; without it: punzi"):
        config_of(tmp_path, "tuning: {objective: expected_limit}\n", training=scan)
