"""The peaking background from control samples: closed forms, toy experiments, and what cannot be computed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mlbkg.errors import EmptySampleError, FitError
from mlbkg.fitting.peaking import Counted, Mode, PeakingPrediction, RatioUncertainty, predict_peaking

WEIGHT = 40.0
"""Physics weight of a simulated candidate."""


def counted(candidates: int, weight: float = WEIGHT) -> Counted:
    return Counted(candidates, weight * candidates, weight * np.sqrt(max(candidates, 1)))


def mumu(*, lost: int = 900, seen: int = 10_000, control: int | None = 380_000) -> Mode:
    return Mode("mumu", counted(lost), counted(seen), control, branching_fraction_error=0.02)


def ee(*, lost: int = 400, seen: int = 8_000, control: int | None = 330_000) -> Mode:
    return Mode("ee", counted(lost), counted(seen), control, branching_fraction_error=0.04)


def tautau(*, lost: int = 100) -> Mode:
    return Mode("tautau", counted(lost), branching_fraction_error=0.03)


def test_one_mode_in_closed_form() -> None:
    (mode,) = predict_peaking([mumu()]).modes
    # N L / S, with relative variances 1/N + 1/L + 1/S of independent Poisson counts
    assert mode.predicted.value == pytest.approx(380_000 * 900 / 10_000)
    relative = np.sqrt(1 / 380_000 + 1 / 900 + 1 / 10_000)
    assert mode.predicted.statistical == pytest.approx(mode.predicted.value * relative)
    assert (mode.ratio, mode.ratio_error) == pytest.approx((0.09, 0.09 * np.sqrt(1 / 900 + 1 / 10_000)))
    assert mode.predicted.systematic == 0


def test_tied_mode_in_closed_form() -> None:
    prediction = predict_peaking([mumu(), ee(), tautau()])
    mode = prediction.modes[2]
    assert mode.tied
    assert mode.predicted.value == pytest.approx((380_000 + 330_000) * 100 / 18_000)
    statistical = np.sqrt(1 / 710_000 + 1 / 100 + 1 / 18_000)
    assert mode.predicted.statistical == pytest.approx(mode.predicted.value * statistical)
    # its own branching fraction against the average of the others', which count by their share of what is seen
    branching = np.sqrt(0.03**2 + (10 / 18 * 0.02) ** 2 + (8 / 18 * 0.04) ** 2)
    assert mode.predicted.systematic == pytest.approx(mode.predicted.value * branching)
    assert [prediction.modes[i].predicted.systematic for i in (0, 1)] == [0, 0]


def test_without_data_the_simulated_control_sample_stands_in() -> None:
    prediction = predict_peaking([mumu(control=None), ee(control=None), tautau()])
    assert not prediction.from_data
    assert [mode.predicted.value for mode in prediction.modes] == pytest.approx([900 * WEIGHT, 400 * WEIGHT, 100 * WEIGHT])
    assert prediction.modes[0].control == 10_000 * WEIGHT
    # Poisson error of what would be counted, not that of the simulation
    (control,) = (shift for shift in prediction.shifts if shift.name == "control_ee")
    assert control.by_mode[1] / prediction.modes[1].predicted.value == pytest.approx(1 / np.sqrt(8_000 * WEIGHT))


def test_luminosity_and_production_cancel() -> None:
    once, twice = (predict_peaking([mumu(control=n * 100_000), ee(control=n * 90_000), tautau()]) for n in (1, 2))
    assert twice.total.value == pytest.approx(2 * once.total.value)
    assert twice.total.systematic == pytest.approx(2 * once.total.systematic)
    assert twice.ratio("ee", "mumu")[0] == pytest.approx(once.ratio("ee", "mumu")[0])


def test_errors_are_those_of_toy_experiments() -> None:
    """A multinomial simulated sample, Poisson control samples: the spread of the predictions is their error."""
    rng = np.random.default_rng(5)
    fractions = np.array([0.030, 0.33, 0.020, 0.27, 0.01])
    generated, toys = 20_000, 4_000
    simulated = rng.multinomial(generated, [*fractions, 1 - fractions.sum()], size=toys)
    data = rng.poisson(5_000 * fractions[[1, 3]], size=(toys, 2))

    def predicted(counts: np.ndarray, control: np.ndarray) -> PeakingPrediction:
        lost_mumu, seen_mumu, lost_ee, seen_ee, lost_tautau = map(int, counts[:5])
        modes = [
            mumu(lost=lost_mumu, seen=seen_mumu, control=int(control[0])),
            ee(lost=lost_ee, seen=seen_ee, control=int(control[1])),
            Mode("tautau", counted(lost_tautau)),
        ]
        return predict_peaking(modes)

    found = [predicted(counts, control) for counts, control in zip(simulated, data, strict=True)]
    expected = predicted(generated * fractions, 5_000 * fractions[[1, 3]])
    values = np.array([[mode.predicted.value for mode in each.modes] for each in found])
    # 4000 experiments know a standard deviation to 1.1 %
    spread = values.std(axis=0)
    assert [mode.predicted.statistical for mode in expected.modes] == pytest.approx(spread, rel=0.05)
    assert expected.total.statistical == pytest.approx(values.sum(axis=1).std(), rel=0.05)
    correlation = expected.covariance / np.sqrt(np.outer(*[np.diag(expected.covariance)] * 2))
    assert correlation == pytest.approx(np.corrcoef(values.T), abs=0.05)
    ratios = values[:, 1] / values[:, 0]
    assert expected.ratio("ee", "mumu")[1] == pytest.approx(ratios.std(), rel=0.05)


def test_an_uncertainty_moves_its_modes_together() -> None:
    modes = [replace(mode, branching_fraction_error=0.0) for mode in (mumu(), ee(), tautau())]
    both = RatioUncertainty("tracking", 0.02, "seen", ("mumu", "ee"))
    prediction = predict_peaking(modes, [both])
    # every prediction is inverse to what is seen
    assert prediction.effects["tracking"] == pytest.approx(-0.02)
    assert prediction.total.systematic == pytest.approx(0.02 * prediction.total.value)
    alone = predict_peaking(modes, [RatioUncertainty("muons", 0.02, "seen", ("mumu",))])
    values = [mode.predicted.value for mode in alone.modes]
    # the tied mode follows by the share of the muons in what it is tied to
    assert alone.total.systematic == pytest.approx(0.02 * (values[0] + 10 / 18 * values[2]))
    lost = predict_peaking(modes, [RatioUncertainty("edges", 0.03, "lost", ("ee", "tautau"))])
    assert lost.effects["edges"] * lost.total.value == pytest.approx(0.03 * (values[1] + values[2]))


def test_effects_add_up_to_the_error_of_the_total() -> None:
    uncertainties = [
        RatioUncertainty("tracking", 0.02, "seen", ("mumu", "ee")),
        RatioUncertainty("edge", 0.03, "lost", ("ee",)),
    ]
    prediction = predict_peaking([mumu(), ee(), tautau()], uncertainties)
    assert np.hypot.reduce(list(prediction.effects.values())) == pytest.approx(
        prediction.total.error / prediction.total.value
    )
    assert prediction.covariance.sum() == pytest.approx(prediction.total.error**2)
    assert set(prediction.effects) == {
        "peaking_control",
        "peaking_simulation",
        *(f"branching_fraction_{mode}" for mode in ("mumu", "ee", "tautau")),
        "tracking",
        "edge",
    }


def test_published_ratio_of_the_talk() -> None:
    # 486 and 272 candidates: .560 +- .042 (physics.md 1.7)
    modes = [Mode(n, counted(k, 1.0), Counted(10**9, 1e9, 0.0)) for n, k in (("mumu", 486), ("ee", 272))]
    assert predict_peaking(modes).ratio("ee", "mumu") == pytest.approx((0.560, 0.042), abs=5e-4)


def test_no_lost_candidate_of_a_mode_is_not_a_certain_zero() -> None:
    mode = predict_peaking([mumu(lost=0, control=None), ee(control=None)]).modes[0]
    assert mode.predicted.value == 0
    assert mode.predicted.statistical == pytest.approx(WEIGHT)


def test_empty_control_sample_in_data() -> None:
    mode = predict_peaking([mumu(control=0), ee()]).modes[0]
    assert (mode.predicted.value, mode.predicted.statistical) == pytest.approx((0, 0.09))


@pytest.mark.parametrize(
    ("modes", "error", "says"),
    [
        ([tautau()], FitError, "none of the modes"),
        ([mumu(), ee(control=None)], FitError, "some control samples were counted in data"),
        ([mumu(seen=0)], EmptySampleError, "no simulated candidate is in the control sample of 'mumu'"),
        ([mumu(lost=0), ee(lost=0)], EmptySampleError, r"is 0 candidates \(simulated and selected: mumu 0, ee 0\)"),
    ],
)
def test_what_cannot_be_predicted(modes: list[Mode], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        predict_peaking(modes)
