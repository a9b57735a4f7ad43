from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import poisson

from mlbkg.errors import LimitError
from mlbkg.fitting.data import Binned
from mlbkg.limits.asymptotic import cls_asymptotic
from mlbkg.limits.result import Problem
from mlbkg.limits.toys import cls_toys

Make = Callable[..., Problem]


@pytest.mark.parametrize(("observed", "background", "upper"), [(0, 0, 2.3026), (3, 3, 4.3624), (5, 2, 7.3058)])
def test_counting(counting: Make, observed: int, background: int, upper: float) -> None:
    # CLs of a single count is Helene's formula; asymptotically these would be 1.35, 3.81, 6.70.
    limit = cls_toys(counting(observed, background), confidence_level=0.90, toys=600, seed=4)
    assert limit.error is not None
    assert limit.error < 0.15 * upper
    assert limit.observed == pytest.approx(upper, abs=3 * limit.error)
    assert limit.toys == 600


def test_band_of_a_count(counting: Make) -> None:
    limit = cls_toys(counting(None, 100.0), confidence_level=0.90, toys=1000, seed=1)
    assert limit.observed is None
    assert limit.error is None
    assert limit.expected is not None
    # Closed form: the limits for the quantiles of a Poisson count of mean 100.
    quantiles = poisson.ppf([0.0228, 0.1587, 0.5, 0.8413, 0.9772], 100)
    wanted = [brentq(lambda s, n=n: poisson.cdf(n, s + 100) / poisson.cdf(n, 100) - 0.1, 1e-3, 200) for n in quantiles]
    assert list(vars(limit.expected).values()) == pytest.approx(wanted, rel=0.12)


def test_agrees_with_the_asymptotic_limit_of_a_large_count(counting: Make) -> None:
    problem = counting([420.0, 380.0], [400.0, 400.0], signal=[20.0, 10.0], background_uncertainty=[0.02, 0.02])
    by_toys = cls_toys(problem, confidence_level=0.90, toys=300)
    asymptotic = cls_asymptotic(problem, confidence_level=0.90)
    assert by_toys.error is not None
    assert by_toys.observed == pytest.approx(asymptotic.observed, abs=3 * by_toys.error)
    assert by_toys.scan is not None
    assert by_toys.scan.expected.shape == (5, len(by_toys.scan.values))


def test_same_answer_for_any_number_of_workers(counting: Make) -> None:
    problem = counting(3.0, 3.0, background_uncertainty=0.2)
    told: list[int] = []
    one = cls_toys(problem, confidence_level=0.90, toys=60, seed=7, workers=1, on_toy=told.append)
    two = cls_toys(problem, confidence_level=0.90, toys=60, seed=7, workers=2)
    other = cls_toys(problem, confidence_level=0.90, toys=60, seed=8)
    assert one.observed == two.observed
    assert one.expected == two.expected
    assert one.observed != other.observed
    assert one.scan is not None
    assert sum(told) == 2 * 60 * len(one.scan.values)


def test_coverage(counting: Make) -> None:
    # CLs overcovers: at least 90 % of experiments with 12 true candidates of signal on 20 must have a higher limit.
    rng = np.random.default_rng(11)
    covered = 0
    for count in rng.poisson(32.0, size=200):
        problem = counting(float(count), 20.0)
        limit = cls_asymptotic(problem, confidence_level=0.90)
        assert isinstance(problem.data, Binned)
        assert limit.observed is not None
        covered += limit.observed > 12.0
    # Three binomial standard deviations of 200 experiments.
    assert covered / 200 > 0.90 - 3 * np.sqrt(0.09 / 200)


def test_too_few_toys(counting: Make) -> None:
    with pytest.raises(LimitError, match=r"10 toys cannot tell a p value of 0\.1"):
        cls_toys(counting(3.0, 3.0), confidence_level=0.90, toys=10)
