from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mlbkg.errors import LimitError
from mlbkg.limits.asymptotic import cls, cls_asymptotic
from mlbkg.limits.histfactory import pyhf_limit
from mlbkg.limits.result import Limit, Problem
from mlbkg.limits.workspace import workspace

Make = Callable[..., Problem]


@pytest.fixture(scope="module")
def readme() -> dict[str, Any]:
    """The example of pyhf's README: two bins, uncorrelated background."""
    return _uncorrelated([12, 11], [50, 52], [3, 7], [51, 48])


def _uncorrelated(signal: list[float], background: list[float], error: list[float], observed: list[float]) -> dict[str, Any]:
    constrained = {"name": "uncorr_bkguncrt", "type": "shapesys", "data": error}
    samples = [
        {"name": "signal", "data": signal, "modifiers": [{"name": "mu", "type": "normfactor", "data": None}]},
        {"name": "background", "data": background, "modifiers": [constrained]},
    ]
    return {
        "version": "1.0.0",
        "channels": [{"name": "singlechannel", "samples": samples}],
        "observations": [{"name": "singlechannel", "data": observed}],
        "measurements": [{"name": "measurement", "config": {"poi": "mu", "parameters": []}}],
    }


def _all(limit: Limit) -> list[float]:
    assert limit.expected is not None
    assert limit.observed is not None
    return [limit.observed, *vars(limit.expected).values()]


def test_pyhf_s_readme(readme: dict[str, Any]) -> None:
    # pyhf 0.7.6 README: CLs at mu = 1 is 0.05251497 observed and 0.06445321 expected. A limit at that very level is 1.
    seen = pyhf_limit(readme, confidence_level=1 - 0.05251497)
    assert seen.observed == pytest.approx(1.0, abs=2e-4)
    expected = pyhf_limit(readme, confidence_level=1 - 0.06445321).expected
    assert expected is not None
    assert expected.median == pytest.approx(1.0, abs=2e-4)


def test_pyhf_s_readme_in_our_own_model(counting: Make) -> None:
    # The same, but with log-normal constraints instead of Poisson ones: 1 to 2 % apart in mu.
    problem = counting([51, 48], [50, 52], signal=[12, 11], background_uncertainty=[3 / 50, 7 / 52])
    limit = cls_asymptotic(problem, confidence_level=1 - 0.05251497)
    assert limit.observed == pytest.approx(1.0, rel=0.02)


def test_one_bin_of_pyhf_at_95_per_cent() -> None:
    # pyhf 0.7.6, uncorrelated_background([10], [50], [7]) with 55 observed: interpolated in a grid of 200 values to 5.
    limit = pyhf_limit(_uncorrelated([10], [50], [7], [55]), confidence_level=0.95)
    assert _all(limit) == pytest.approx([2.380, 1.076, 1.447, 2.018, 2.832, 3.847], abs=2e-3)


def test_formulae_are_pyhf_s_own(readme: dict[str, Any]) -> None:
    import pyhf

    loaded = pyhf.Workspace(readme)
    model = loaded.model()
    data = loaded.data(model)
    for mu in (0.3, 1.0, 2.5):
        calculator = pyhf.infer.calculators.AsymptoticCalculator(data, model, test_stat="qtilde")
        calculator.teststatistic(mu)
        wanted = float(pyhf.infer.hypotest(mu, data, model, test_stat="qtilde"))
        q = pyhf.infer.test_statistics.qmu_tilde(
            mu, data, model, model.config.suggested_init(), model.config.suggested_bounds(), model.config.suggested_fixed()
        )
        q_asimov = calculator.sqrtqmuA_v**2
        assert cls(float(q), float(q_asimov)) == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize(("observed", "width"), [(55.0, 0.14), (40.0, 0.14), (70.0, 0.3)])
def test_a_count_agrees_with_pyhf(counting: Make, observed: float, width: float) -> None:
    problem = counting(observed, 50.0, signal=10.0, background_uncertainty=width, efficiency_uncertainty=0.1)
    own = cls_asymptotic(problem, confidence_level=0.95)
    assert _all(pyhf_limit(workspace(problem), confidence_level=0.95)) == pytest.approx(_all(own), rel=2e-3)


@pytest.mark.parametrize("luminosity", [1.0, 0.01])
def test_a_peak_agrees_with_pyhf(peak: Make, luminosity: float) -> None:
    problem = peak(0.0, luminosity=luminosity)
    own = cls_asymptotic(problem, confidence_level=0.90)
    assert own.expected is not None
    reference = own.expected.median
    document = json.loads(json.dumps(workspace(problem, reference=reference)))
    written = pyhf_limit(document, confidence_level=0.90, reference=reference)
    assert _all(written) == pytest.approx(_all(own), rel=0.02)


def test_document_is_valid_by_pyhf_s_schema_and_whole(peak: Make) -> None:
    import pyhf

    document = workspace(peak(0.0, luminosity=0.01), reference=1e-3)
    pyhf.schema.validate(document, "workspace.json")
    (channel,) = document["channels"]
    modifiers = {sample["name"]: {(m["name"], m["type"]) for m in sample["modifiers"]} for sample in channel["samples"]}
    shapes = {("shift", "histosys"), ("width", "histosys")}
    efficiency = {(name, "normsys") for name in ("tracking", "pid", "trigger", "pairs", "pipi")}
    assert modifiers == {
        "signal": {("br", "normfactor"), *efficiency, *shapes},
        "peaking": {("peaking", "normsys"), ("tracking", "normsys"), *shapes},
        "background": {("n_background", "normfactor"), ("c1", "histosys"), ("c2", "histosys")},
    }
    signal = channel["samples"][0]
    assert len(signal["data"]) == 120
    # 2.4e7 x 0.01 x 1e-3 candidates, nearly all within the window.
    assert sum(signal["data"]) == pytest.approx(240.0, rel=1e-6)
    tracking = next(m for m in signal["modifiers"] if m["name"] == "tracking")
    assert tracking["data"] == pytest.approx({"hi": 1.02, "lo": 1 / 1.02})
    free = next(m for m in channel["samples"][2]["modifiers"] if m["name"] == "c1")
    nominal = np.array(channel["samples"][2]["data"])
    up, down = (np.array(free["data"][key]) for key in ("hi_data", "lo_data"))
    assert up + down == pytest.approx(2 * nominal, rel=1e-6)


def test_blind_workspace_holds_the_asimov_set(counting: Make) -> None:
    problem = counting(None, [20.0, 30.0], signal=[5.0, 10.0])
    document = workspace(problem)
    assert document["observations"][0]["data"] == pytest.approx([20.0, 30.0])
    assert pyhf_limit(document, confidence_level=0.90, blind=True).observed is None


def test_reference_far_below_the_limit(counting: Make) -> None:
    document = workspace(counting(55.0, 50.0), reference=0.1)
    with pytest.raises(LimitError, match=r"(?s)upper bound 1 of 'mu'.*larger reference"):
        pyhf_limit(document, confidence_level=0.90, reference=0.1)


def test_what_cannot_be_written(counting: Make) -> None:
    with pytest.raises(LimitError, match="reference must be positive; got 0"):
        workspace(counting(3.0, 3.0), reference=0.0)
    no_rate = counting(3.0, 3.0, background_uncertainty=0.1)
    with pytest.raises(LimitError, match="no component's rate is 'background_0'"):
        workspace(Problem(no_rate.model, "background_0", no_rate.edges, no_rate.data))


def test_what_cannot_be_read() -> None:
    with pytest.raises(LimitError, match="pyhf does not read the workspace"):
        pyhf_limit({"version": "1.0.0"}, confidence_level=0.90)
