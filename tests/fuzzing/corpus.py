"""What is mutated: small files of every kind, from the importers' fixtures or trained in seconds."""

from __future__ import annotations

import gzip
import logging
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlbkg.errors import MlbkgError
from mlbkg.export.forest import Forest
from mlbkg.export.importers.base import IMPORTERS, Imported
from mlbkg.export.metadata import FeatureInfo, ModelMetadata, WorkingPointInfo
from mlbkg.export.onnx import build_folds_model, build_model

DATA = Path(__file__).resolve().parents[1] / "export" / "importers" / "data"
LARGEST = 60_000
"""Bytes; larger seeds are mutated where nothing happens, and take their time."""
_SUFFIXES = {"xgboost-json": "json", "xgboost-ubj": "ubj", "lightgbm": "txt"}
Seeds = dict[str, list[bytes]]


def corpus() -> Seeds:
    """Kind -> files. A kind whose importer is not there, or reads none of its files, is left out."""
    logging.disable(logging.WARNING)
    seeds: Seeds = {
        "fastbdt": [*_files("fastbdt", "*.txt")],
        "basf2-xml": [*_files("fastbdt", "*.xml")],
        "basf2-root": [*_files("fastbdt", "*.root")],
        "tmva": [TMVA_XML, *_files("tmva", "*.xml")],
    }
    seeds["tmva-gz"] = [gzip.compress(content, mtime=0) for content in seeds["tmva"]]
    for kind, trained in _boosted().items():
        seeds[kind] = [*trained, *_files(importer_of(kind), f"*.{_SUFFIXES[kind]}")]
    read = {kind: [content for content in found if readable(kind, content)] for kind, found in seeds.items()}
    seeds = {kind: found for kind, found in read.items() if found}
    seeds["onnx"] = list(_onnx(seeds))
    return seeds


def importer_of(kind: str) -> str:
    """``basf2-xml`` and so on are what one importer reads."""
    return "fastbdt" if kind.startswith("basf2") else kind.partition("-")[0]


def readable(kind: str, content: bytes) -> Imported | None:
    if importer_of(kind) not in IMPORTERS:
        return None
    try:
        return IMPORTERS[importer_of(kind)].read(content, kind)
    except MlbkgError:
        return None


def _files(folder: str, pattern: str) -> Iterator[bytes]:
    for path in sorted((DATA / folder).glob(pattern)):
        if path.stat().st_size <= LARGEST:
            yield path.read_bytes()


def _sample() -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    rng = np.random.default_rng(7)
    X = rng.normal(size=(400, 4)).astype(np.float32)
    X[:, 3] = rng.integers(0, 6, size=400)
    X[rng.random(X.shape) < 0.05] = np.nan
    y = (np.nan_to_num(X[:, 0]) + (X[:, 3] == 2) > 0.2).astype(np.int8)
    return X, y


def _boosted() -> Seeds:
    import lightgbm
    import xgboost

    X, y = _sample()
    found: Seeds = {"xgboost-json": [], "xgboost-ubj": [], "lightgbm": []}
    rounds = 4
    for objective, kinds in (
        ("binary:logistic", ["q"] * 4),
        ("reg:squarederror", ["q"] * 4),
        ("binary:logistic", ["q", "q", "q", "c"]),
    ):
        data = xgboost.DMatrix(X, y, feature_types=kinds, feature_names=["p", "E", "m", "n"], enable_categorical=True)
        settings = {"objective": objective, "max_depth": 3, "nthread": 1, "seed": 1, "eta": 0.5, "verbosity": 0}
        booster = xgboost.train({**settings, "max_cat_to_onehot": 2}, data, rounds)
        for suffix in ("json", "ubj"):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / f"model.{suffix}"
                booster.save_model(path)
                found[f"xgboost-{suffix}"].append(path.read_bytes())
    for objective, categories in (("binary", []), ("regression", []), ("binary", [3])):
        options = {"objective": objective, "num_leaves": 6, "min_data_in_leaf": 5, "min_data_per_group": 5, "cat_smooth": 1}
        quiet = {"num_threads": 1, "verbosity": -1, "seed": 1, "deterministic": True}
        data = lightgbm.Dataset(X, y.astype(float), categorical_feature=categories, params=quiet)
        found["lightgbm"].append(lightgbm.train({**options, **quiet}, data, rounds).model_to_string().encode())
    return found


def _onnx(seeds: Seeds) -> Iterator[bytes]:
    """Models of what the other seeds hold: with lookups and without, in float32 and float64, of one fold and several."""
    for kind, found in seeds.items():
        for content in found[:3]:
            imported = readable(kind, content)
            if imported is None or imported.forest.n_nodes > 2000:
                continue
            forest = imported.forest
            yield build_model([forest], about(forest, 1))
            yield build_folds_model([forest, forest], about(forest, 2))


def about(forest: Forest, n_folds: int) -> ModelMetadata:
    names = tuple(FeatureInfo(f"f{i}", "GeV", (f"c{i}",), "a number") for i in range(forest.n_features))
    whole = ModelMetadata(
        analysis="fuzzing",
        title="",
        backend="xgboost",
        features=names,
        n_folds=n_folds,
        salt="mlbkg",
        event_id=("__event__",),
        working_points=(WorkingPointInfo("tight", 0.9, 0.5, 0.01),),
        class_prior=0.5,
        config={"seed": 1},
        data_fingerprints={"signal": "12ab"},
        versions={"mlbkg": "0.1.0"},
    )
    return replace(whole, output=forest.output)


TMVA_XML = b"""<?xml version="1.0"?>
<MethodSetup Method="BDT::BDT">
  <GeneralInfo>
    <Info name="TMVA Release" value="4.2.1 [262657]"/>
    <Info name="ROOT Release" value="6.14/04 [396804]"/>
    <Info name="AnalysisType" value="Classification"/>
  </GeneralInfo>
  <Options>
    <Option name="V" modified="Yes">False</Option>
    <Option name="NTrees" modified="Yes">2</Option>
    <Option name="BoostType" modified="Yes">AdaBoost</Option>
    <Option name="AdaBoostBeta" modified="Yes">5.000000e-01</Option>
    <Option name="UseYesNoLeaf" modified="No">True</Option>
    <Option name="UseFisherCuts" modified="No">False</Option>
  </Options>
  <Variables NVar="2">
    <Variable VarIndex="0" Expression="p" Label="p" Title="p" Unit="" Internal="p" Type="F" Min="-1.0" Max="2.0"/>
    <Variable VarIndex="1" Expression="E" Label="E" Title="E" Unit="" Internal="E" Type="F" Min="0.0" Max="5.0"/>
  </Variables>
  <Spectators NSpec="0"/>
  <Classes NClass="2">
    <Class Name="Signal" Index="0"/>
    <Class Name="Background" Index="1"/>
  </Classes>
  <Transformations NTransformations="0"/>
  <MVAPdfs/>
  <Weights NTrees="2" AnalysisType="0">
    <BinaryTree type="DecisionTree" boostWeight="1.2e+00" itree="0">
      <Node pos="s" depth="0" NCoef="0" IVar="0" Cut="0.5" cType="1" res="0" rms="0" purity="0.5" nType="0">
        <Node pos="l" depth="1" NCoef="0" IVar="-1" Cut="0" cType="1" res="0" rms="0" purity="0.2" nType="-1"/>
        <Node pos="r" depth="1" NCoef="0" IVar="1" Cut="1.5" cType="0" res="0" rms="0" purity="0.6" nType="0">
          <Node pos="l" depth="2" NCoef="0" IVar="-1" Cut="0" cType="1" res="0" rms="0" purity="0.4" nType="-1"/>
          <Node pos="r" depth="2" NCoef="0" IVar="-1" Cut="0" cType="1" res="0" rms="0" purity="0.9" nType="1"/>
        </Node>
      </Node>
    </BinaryTree>
    <BinaryTree type="DecisionTree" boostWeight="7.5e-01" itree="1">
      <Node pos="s" depth="0" NCoef="0" IVar="1" Cut="2.25" cType="1" res="0" rms="0" purity="0.5" nType="0">
        <Node pos="l" depth="1" NCoef="0" IVar="-1" Cut="0" cType="1" res="0" rms="0" purity="0.1" nType="-1"/>
        <Node pos="r" depth="1" NCoef="0" IVar="-1" Cut="0" cType="1" res="0" rms="0" purity="0.8" nType="1"/>
      </Node>
    </BinaryTree>
  </Weights>
</MethodSetup>
"""
"""Written by hand, in the layout that ``MethodBase::WriteStateToXML`` and ``DecisionTreeNode::AddAttributesToNode`` have."""
