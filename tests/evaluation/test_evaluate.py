"""The whole evaluation of a toy whose answers are known."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import norm

from mlbkg.evaluation.estimates import to_plain
from mlbkg.evaluation.evaluate import EvaluationInputs, evaluate
from mlbkg.evaluation.importance import HeldOut
from mlbkg.evaluation.working_point import ByPunzi, BySignalEfficiency


def _inputs(n: int = 8000) -> EvaluationInputs:
    random = np.random.default_rng(1)
    category = random.choice(3, n, p=[0.4, 0.4, 0.2]).astype(np.int16)
    label = (category == 0).astype(np.int8)
    x = random.standard_normal((n, 2)).astype(np.float32)
    x[:, 0] += 2 * label
    # two unit Gaussians shifted by 2: the log-odds of equal priors are 2 x - 2
    margin = (2 * x[:, 0] - 2).astype(np.float64)
    weight = np.array([0.1, 2.0, 5.0])[category]
    held = np.arange(0, n, 4)
    return EvaluationInputs(
        name="exact", score=1 / (1 + np.exp(-margin)), margin=margin,
        train_score=1 / (1 + np.exp(-margin - 0.1 * random.standard_normal(n))), label=label, weight=weight,
        event_index=np.arange(n), category=category, category_names=("signal", "generic", "continuum", "absent"),
        features=x, feature_names=("x", "noise"), spectators={"mass": random.random(n)}, gain=np.array([1.0, 0.0]),
        held_out=HeldOut(lambda X: X[:, 0].astype(np.float64), x[held], label[held], weight[held], held),
        permutation_repeats=1, working_point=BySignalEfficiency(0.849), punzi=ByPunzi(3.0, 1.28155),
        signal_efficiency=0.849, replicas=50, seed=3,
    )  # fmt: skip


def test_a_likelihood_ratio_of_two_gaussians():
    result = evaluate(_inputs())
    ranking = result.ranking
    # AUC = Phi(2 / sqrt 2); background kept where 84.9 % of the signal is
    assert ranking.auc.value == pytest.approx(norm.cdf(2**0.5), abs=4 * ranking.auc.error)
    kept = norm.sf(2 - norm.ppf(0.849))
    assert ranking.background_rejection.value == pytest.approx(1 - kept, abs=4 * ranking.background_rejection.error)
    assert 0 < ranking.background_rejection.error < 0.02
    assert [line.name for line in ranking.categories] == ["generic", "continuum", "absent"]
    assert result.calibration.expected_error.value < 3 * result.calibration.expected_error_if_perfect
    assert result.sculpting[0].test.p_value > 0.01
    assert [line.name for line in result.importance] == ["x", "noise"]
    assert result.importance[0].auc_drop.value > 0.3
    assert result.correlations.names == ("x", "noise", "mass", "score")
    assert result.scores.total(is_signal=False)[0].sum() == pytest.approx(
        sum(line.expected_yield for line in ranking.categories)
    )


def test_the_answer_is_json_and_the_same_twice():
    texts = [json.dumps(to_plain(evaluate(_inputs(2000))), allow_nan=False) for _ in range(2)]
    assert texts[0] == texts[1]
    assert json.loads(texts[0])["working_point"]["rule"] == "signal efficiency 0.849"
