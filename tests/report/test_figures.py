"""Every figure is written, whole, the same twice, and survives samples that are thin or oddly named."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from matplotlib import rcParams
from matplotlib.image import imread

from mlbkg.evaluation.distributions import Distribution, feature_distributions
from mlbkg.evaluation.evaluate import Evaluation, EvaluationInputs, evaluate
from mlbkg.evaluation.importance import HeldOut
from mlbkg.evaluation.working_point import ByPunzi, ByScore
from mlbkg.report.classifier_figures import draw_background_efficiency
from mlbkg.report.figures import TrainingFigures, draw_all
from mlbkg.report.style import Caption, canvas, short, with_unit
from mlbkg.report.tables import Reference, category_table, classifier_table, sculpting_table, working_point_table

FEATURES = ("EPiPi", "nTracksROE", "_hidden$name", "jet1_b-tag")
CATEGORIES = ("signal", "generic", "_continuum", "absent")


def _evaluated(n: int, *, seed: int = 1, name: str = "xgboost", threshold: float = 0.8):
    random = np.random.default_rng(seed)
    category = np.resize([0, 1, 1, 2], n).astype(np.int16)
    label = (category == 0).astype(np.int8)
    margin = 2.0 * (2 * label - 1) + 1.5 * random.standard_normal(n)
    score = 1 / (1 + np.exp(-margin))
    X = (random.standard_normal((n, 4)) + margin[:, None] / 3).astype(np.float32)
    X[:, 1] = np.rint(X[:, 1])
    X[::5, 3] = np.nan
    weight = np.array([0.1, 2.0, 5.0])[category]
    inputs = EvaluationInputs(
        name=name, score=score, margin=margin, train_score=np.roll(score, 4), label=label, weight=weight,
        event_index=np.arange(n), category=category, category_names=CATEGORIES, features=X, feature_names=FEATURES,
        spectators={"mRecoil": random.random(n), "constant": np.ones(n)}, gain=np.array([0.7, 0.1, 0.2, 0.0]),
        held_out=HeldOut(lambda rows: rows[:, 0].astype(np.float64), X, label, weight, np.arange(n)),
        permutation_repeats=1, working_point=ByScore(threshold), punzi=ByPunzi(3.0, 1.28155), signal_efficiency=0.849,
        replicas=20, seed=2,
    )  # fmt: skip
    columns = {name: X[:, i] for i, name in enumerate(FEATURES)}
    shapes = feature_distributions(
        columns, label, weight, category, category_names=CATEGORIES, event_index=np.arange(n), units={"EPiPi": "GeV"}
    )
    return evaluate(inputs), shapes


def _figures(evaluations: Mapping[str, Evaluation], shapes: tuple[Distribution, ...]) -> TrainingFigures:
    return TrainingFigures(
        caption=Caption("Υ(3S) → π⁺π⁻ Υ(1S), $50 each", 200.0),
        evaluations=evaluations,
        distributions=shapes,
        learning_curves={name: ([0.6, 0.4, 0.3, 0.31], [0.6, 0.5, 0.4]) for name in evaluations},
        units={"EPiPi": "GeV", "mRecoil": "GeV/c²"},
        reference=Reference("talk", 0.849, 0.993),
    )


@pytest.fixture(scope="module")
def evaluated():
    return _evaluated(2000)


def test_all_figures_are_written_and_no_state_is_left(evaluated, tmp_path):
    before = dict(rcParams)
    other, _ = _evaluated(500, seed=2, name="my model")
    drawn = draw_all(_figures({"xgboost": evaluated[0], "my model": other}, evaluated[1] * 4), tmp_path)
    assert dict(rcParams) == before
    kinds = ("roc_categories", "scores", "overtraining", "importance", "correlations", "punzi", "sculpting")
    shared = {"roc", "background_efficiency", "calibration", "learning_curves", "features_1", "features_2"}
    assert set(drawn) == shared | {f"{kind}_{name}" for kind in kinds for name in ("xgboost", "my_model")}
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(p.name for p in drawn.values())
    for path in drawn.values():
        assert re.fullmatch(r"[A-Za-z0-9_.-]+\.png", path.name)
        image = imread(path)[..., :3]
        assert min(image.shape[:2]) > 300
        # Nothing may be cut: the outermost pixels are paper.
        edge = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
        assert edge.min() > 0.99, path.name


def test_the_same_content_gives_the_same_bytes(evaluated, tmp_path):
    sums = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        drawn = draw_all(_figures({"xgboost": evaluated[0]}, evaluated[1]), folder)
        sums.append({name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in drawn.items()})
    assert sums[0] == sums[1]


def test_a_sample_of_forty_candidates_can_be_drawn(tmp_path):
    evaluation, shapes = _evaluated(40, threshold=0.999)
    assert evaluation.working_point.background_efficiency.passing == 0
    inputs = dataclasses.replace(_figures({"tiny": evaluation}, shapes), learning_curves={}, reference=None)
    drawn = draw_all(dataclasses.replace(inputs, caption=Caption("", None)), tmp_path)
    assert "learning_curves" not in drawn
    assert all(path.stat().st_size > 5000 for path in drawn.values())


def test_figures_can_be_pdf(evaluated, tmp_path):
    path = draw_background_efficiency({"xgboost": evaluated[0]}, tmp_path / "kept.pdf", caption=Caption("", None))
    assert path.read_bytes().startswith(b"%PDF")


def test_a_figure_that_fails_leaves_nothing(tmp_path):
    def fail(path: Path) -> None:
        with canvas(path, width=2, height=2):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail(tmp_path / "half.png")
    assert not list(tmp_path.iterdir())


def test_names_are_shown_as_they_are():
    assert with_unit("m$x", "GeV") == r"m\$x [GeV]"
    assert with_unit("_x", "") == " _x"
    assert short("abcdefghij", 7) == "abc…hij"
    assert short("abc", 7) == "abc"


def test_tables_of_an_evaluation_fit_a_terminal(evaluated):
    result = evaluated[0]
    tables = [
        classifier_table({"xgboost": result}, reference=Reference("talk", 0.849, 0.993)),
        category_table(result),
        working_point_table(result),
        sculpting_table(result),
    ]
    assert max(len(line) for table in tables for line in str(table).splitlines()) <= 100
    assert [row[0] for row in tables[0].rows] == ["xgboost", "talk"]
    assert tables[0].rows[1][3] == "99.3 %"
    assert [row[0] for row in tables[1].rows] == ["generic", "_continuum", "absent"]
    assert tables[1].rows[2][1:] == ("0", "0", "-", "-")
    assert [row[0] for row in tables[2].rows][-2:] == ["all background", "signal"]
    assert [row[0] for row in tables[3].rows] == ["mRecoil", "constant"]
