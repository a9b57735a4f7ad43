from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mlbkg.limits.asymptotic import expected_median
from mlbkg.limits.impacts import expected_without, impacts, statistical
from mlbkg.limits.result import Problem

Make = Callable[..., Problem]


def test_impacts_on_a_count(counting: Make) -> None:
    # 150 on 100 exp(0.1 z) with an efficiency exp(0.05 z), neither constrained by a count alone: the signal moves by
    # 100 (exp(0.1) - 1) = 10.52 downwards, and 50 becomes 50 exp(-0.05).
    problem = counting(150.0, 100.0, background_uncertainty=0.1, efficiency_uncertainty=0.05)
    first, second = impacts(problem)
    assert (first.nuisance, second.nuisance) == ("background_0", "efficiency")
    assert first.up == pytest.approx(-10.517, abs=0.02)
    assert first.down == pytest.approx(9.516, abs=0.02)
    assert second.up == pytest.approx(50 * (np.exp(-0.05) - 1), abs=0.01)
    assert second.down == pytest.approx(50 * (np.exp(0.05) - 1), abs=0.01)
    assert first.constraint == pytest.approx(1.0, rel=0.01)
    assert first.pull == pytest.approx(0.0, abs=0.01)


def test_without_data_a_signal_can_be_assumed(counting: Make) -> None:
    problem = counting(None, 100.0, efficiency_uncertainty=0.05)
    (nothing,) = impacts(problem)
    (something,) = impacts(problem, signal=50.0)
    assert nothing.size == pytest.approx(0.0, abs=0.01)
    assert something.size == pytest.approx(50 * (np.exp(0.05) - 1), abs=0.01)


def test_ranking_of_many(peak: Make) -> None:
    found = impacts(peak(0.0))
    assert len(found) == 8
    assert [impact.size for impact in found] == sorted((impact.size for impact in found), reverse=True)
    # 5 % of 84000 peaking candidates is 4200 candidates, or 1.75e-4; 2 % of them 0.7e-4.
    assert [impact.nuisance for impact in found[:2]] == ["peaking", "tracking"]
    assert found[0].size == pytest.approx(1.75e-4, rel=0.05)
    assert found[1].size == pytest.approx(0.70e-4, rel=0.05)
    # 84000 candidates know their own width to 1 %, better than the 3 % it is known to before.
    by_name = {impact.nuisance: impact for impact in found}
    assert by_name["width"].constraint < 0.5
    assert by_name["trigger"].constraint == pytest.approx(1.0, rel=0.01)


def test_uncertainties_after_an_asimov_fit_are_no_larger_than_before(peak: Make) -> None:
    assert max(impact.constraint for impact in impacts(peak(None))) < 1.02


def test_limits_without_one_uncertainty(peak: Make) -> None:
    problem = peak(None)
    with_all = expected_median(problem, confidence_level=0.90)
    without = expected_without(problem, confidence_level=0.90)
    statistics_only = expected_median(statistical(problem), confidence_level=0.90)
    assert min(without, key=lambda name: without[name]) == "peaking"
    assert statistics_only < min(without.values())
    assert max(without.values()) <= with_all * (1 + 1e-4)


def test_statistical_keeps_what_is_free(peak: Make) -> None:
    problem = statistical(peak(0.0))
    free = [parameter.name for parameter in problem.model.parameters if not parameter.fixed]
    assert free == ["br", "n_background", "c1", "c2"]
    assert all(p.constraint is None for p in problem.model.parameters)
    assert problem.data is not None
