"""From branches to scores in one file: what the model answers to features that Python computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot

from mlbkg.candidates.build import build
from mlbkg.candidates.column import Setting
from mlbkg.candidates.pairs import PAIRS
from mlbkg.candidates.table import GROUP_OF, CandidateTable
from mlbkg.classifiers.base import TrainingSet
from mlbkg.errors import MlbkgError
from mlbkg.export.forest import Forest
from mlbkg.export.graph.inputs import PROPERTY, feature_sources_of, raw_inputs_of
from mlbkg.export.load import look_into, open_model, read_safely
from mlbkg.export.metadata import FeatureInfo, ModelMetadata
from mlbkg.export.onnx import build_models
from mlbkg.export.read_back import forests_of
from mlbkg.export.session import open_session
from mlbkg.features.resolve import FeatureColumns, FeatureSpec, resolve
from mlbkg.physics.beams import BEAMS
from mlbkg.simulation.generate import generate
from mlbkg.stages.export_model import export_model

ROWS = 50_000
SETTING = Setting(PAIRS["pipi"], BEAMS["Y3S"])
SPECS = (
    FeatureSpec("tag", column="b-tag"),
    FeatureSpec("mRecoil"),
    FeatureSpec("PtPiPi"),
    FeatureSpec("CosHelicityPiPi"),
    FeatureSpec("asymmetry", expression="(daughter0_pz - daughter1_pz) / (daughter0_pz + daughter1_pz)"),
    FeatureSpec("cut", expression="9.4 < mRecoil < 10.5 && PtPiPi > 0.1"),
)
UPSILON = Path(__file__).resolve().parents[3] / "models" / "upsilon1s" / "model.onnx"


def rows(number: int = ROWS) -> dict[str, Any]:
    rng = np.random.default_rng(11)
    columns = {f"daughter{i}_{axis}": rng.normal(0, 0.25, number) for i in (0, 1) for axis in ("px", "py", "pz")}
    columns["b-tag"] = np.where(rng.random(number) < 0.2, np.nan, rng.random(number))
    return {name: values.astype(np.float32) for name, values in columns.items()}


def in_python(given: dict[str, Any]) -> Any:
    table = {name: values if name == "b-tag" else values.astype(np.float64) for name, values in given.items()}
    table["event_index"] = np.zeros(len(given["b-tag"]), dtype=np.intp)
    for name in ("daughter0_energy", "daughter1_energy", "pair_px", "beam_px"):
        group = GROUP_OF[name]
        table.update(zip(group.names, group.compute(table, SETTING), strict=True))
    columns = FeatureColumns(table, resolve(SPECS, registered=True))
    return np.column_stack([columns[spec.name] for spec in SPECS])


@pytest.fixture(scope="module")
def trained_files(
    make_fit: Callable[..., Any],
    make_forest: Callable[..., Forest],
    make_metadata: Callable[..., ModelMetadata],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Path]:
    """The model of features, and the same of branches."""
    folder = tmp_path_factory.mktemp("raw")
    X = in_python(rows(4000))
    y = (X[:, 1] + X[:, 4].clip(-2, 2) + np.nan_to_num(X[:, 0]) > np.nanmedian(X[:, 1])).astype(np.int8)
    forests = []
    for fold in range(2):
        (folder / str(fold)).mkdir()
        forests.append(make_forest(make_fit("xgboost", TrainingSet(X, y, np.ones(len(y))), seed=fold), folder / str(fold)))
    features = tuple(
        FeatureInfo(s.name, "GeV" * s.name.startswith("m"), column=s.column, expression=s.expression) for s in SPECS
    )
    config = {"candidates": {"pair": "pipi", "beams": "Y3S"}}
    about = replace(make_metadata("xgboost", features, 2), config=config, working_points=())
    model, raw = folder / "model.onnx", folder / "raw.onnx"
    model.write_bytes(build_models(forests, about).model)
    export_model(model, raw, form="raw-inputs")
    return model, raw


def test_scores_and_decisions_are_those_of_the_model(trained_files: tuple[Path, Path]) -> None:
    model, raw = trained_files
    given = rows()
    X = in_python(given)
    expected = open_session(open_model(model).content).run(["output", "margin"], {"input": X})
    session = open_session(read_safely(raw))
    assert {one.name for one in session.get_inputs()} == set(given)
    found = session.run(["output", "margin"], {name: values[:, None] for name, values in given.items()})
    differ = (found[1] != expected[1]).sum()
    assert differ <= ROWS // 10_000  # a float32 apart at the edge of a tree's cut
    for threshold in np.quantile(expected[0], [0.1, 0.5, 0.9]) + 1e-4:
        np.testing.assert_array_equal(found[0] >= threshold, expected[0] >= threshold)
    assert np.ptp(expected[0]) > 0.5


def test_the_file_says_what_it_takes(trained_files: tuple[Path, Path]) -> None:
    model, contents = look_into(trained_files[1])
    assert model.is_sealed
    assert {one.name: one.unit for one in raw_inputs_of(contents.props)} == {
        "b-tag": "",
        **{f"daughter{i}_{axis}": "GeV" for i in (0, 1) for axis in ("px", "py", "pz")},
    }
    assert {one.name: one.made for one in feature_sources_of(contents.props)} == {
        "tag": "branch",
        **dict.fromkeys([spec.name for spec in SPECS[1:]], "computed"),
    }
    before = forests_of(open_model(trained_files[0]))
    assert [forest.n_nodes for forest in forests_of(model)] == [forest.n_nodes for forest in before]


def test_a_model_of_features_says_nothing_of_branches(trained_files: tuple[Path, Path]) -> None:
    _, contents = look_into(trained_files[0])
    assert not raw_inputs_of(contents.props)
    assert not feature_sources_of(contents.props)


def test_the_same_model_writes_the_same_bytes(trained_files: tuple[Path, Path], tmp_path: Path) -> None:
    export_model(trained_files[0], tmp_path / "again.onnx", form="raw-inputs")
    assert (tmp_path / "again.onnx").read_bytes() == trained_files[1].read_bytes()


@pytest.mark.parametrize("name", ["output", "fold", "margin_0", "n_folds", "input", "mlbkg/Cast_0"])
def test_names_of_the_graph_are_refused(
    name: str, trained_files: tuple[Path, Path], make_metadata: Callable[..., ModelMetadata], tmp_path: Path
) -> None:
    forests = forests_of(open_model(trained_files[0]))
    features = tuple(FeatureInfo(s.name, column=name if s.name == "tag" else s.name) for s in SPECS)
    about = replace(make_metadata("xgboost", features, 2), working_points=())
    (tmp_path / "model.onnx").write_bytes(build_models(forests, about).model)
    with pytest.raises(MlbkgError, match=f"'{name}' cannot be an input"):
        export_model(tmp_path / "model.onnx", tmp_path / "raw.onnx", form="raw-inputs")
    assert not (tmp_path / "raw.onnx").exists()


def test_a_decision_stays_one(trained_files: tuple[Path, Path], tmp_path: Path) -> None:
    export_model(trained_files[0], tmp_path / "cut.onnx", form="decision", score=0.5)
    export_model(tmp_path / "cut.onnx", tmp_path / "raw.onnx", form="raw-inputs")
    given = {name: values[:, None] for name, values in rows(1000).items()}
    output, selected = open_session(read_safely(tmp_path / "raw.onnx")).run(["output", "selected"], given)
    np.testing.assert_array_equal(selected, output >= np.float32(0.5))
    assert 0.1 < selected.mean() < 0.9


def test_branches_are_not_put_in_front_twice(trained_files: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(MlbkgError):
        export_model(trained_files[1], tmp_path / "raw.onnx", form="raw-inputs")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"inputs":{}}', '{"inputs":[1]}', '{"inputs":[{"name":"a"}]}'])
def test_properties_that_make_no_sense(text: str) -> None:
    with pytest.raises(MlbkgError, match="makes no sense"):
        raw_inputs_of({PROPERTY: text})


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> CandidateTable:
    path = tmp_path_factory.mktemp("simulated") / "signal.root"
    generate("upsilon1s_invisible", events=4000, seed=1, sample="signal", path=path, workers=1)
    with uproot.open(path) as file:
        events = file["events"].arrays()
    columns = {name: events[name] for name in events.fields}
    flat = {name: values.to_numpy() if values.ndim == 1 else values for name, values in columns.items()}
    return build(flat, pair="pipi", beams="Y3S")


def test_published_model_scores_candidates_as_it_does(simulated: CandidateTable, tmp_path: Path) -> None:
    """Features of collections stay inputs, under the features' names."""
    export_model(UPSILON, tmp_path / "raw.onnx", form="raw-inputs")
    _, contents = look_into(tmp_path / "raw.onnx")
    inputs = raw_inputs_of(contents.props)
    assert {"nTracksROE", "EExtra", "CosGammaNormal"} <= {one.name for one in inputs if one.feature}
    assert {"daughter0_px", "daughter1_muon_id"} <= {one.name for one in inputs if not one.feature}
    model = open_model(UPSILON)
    assert model.metadata is not None
    specs = [FeatureSpec(one.name, one.column, one.expression) for one in model.metadata.features]
    columns = FeatureColumns(simulated, resolve(specs, registered=True))
    X = np.column_stack([columns[spec.name] for spec in specs])
    given = {
        one.name: np.asarray((columns if one.feature else simulated)[one.name], dtype=np.float32)[:, None] for one in inputs
    }
    expected = open_session(model.content).run(["output", "margin"], {"input": X})
    output, margin = open_session(read_safely(tmp_path / "raw.onnx")).run(["output", "margin"], given)
    assert len(X) > 2000
    assert (margin != expected[1]).sum() <= 1
    for point in model.metadata.working_points:
        np.testing.assert_array_equal(output >= point.threshold, expected[0] >= point.threshold)
        assert (output >= point.threshold).any()
