"""The peaking background's tables beside the talk's numbers."""

from __future__ import annotations

import numpy as np
import pytest

from mlbkg.fitting.peaking import Counted, Mode, PeakingPrediction, PeakingYield, RatioUncertainty, predict_peaking
from mlbkg.report.peaking_table import (
    PublishedYields,
    effects_table,
    format_yield,
    peaking_notes,
    peaking_ratios_table,
    peaking_table,
)

# 486, 272 and 48 candidates, N_exp = 17281 +- 131.457: talk on dark-sector searches, 2019
TALK = PublishedYields("talk", {"mumu": 486, "ee": 272, "tautau": 48}, 17281, 131.457, "No luminosity is stated.")
LABELS = {"mumu": "ππμμ", "ee": "ππee"}


def counted(candidates: int) -> Counted:
    return Counted(candidates, 50.0 * candidates, 50.0 * np.sqrt(candidates))


@pytest.fixture
def prediction() -> PeakingPrediction:
    modes = [
        Mode("mumu", counted(1000), counted(11_000)),
        Mode("ee", counted(600), counted(10_000)),
        Mode("tautau", counted(80)),
    ]
    return predict_peaking(modes, [RatioUncertainty("tracking", 0.014, "seen", ("mumu", "ee"))])


def test_table_fits_a_terminal(prediction: PeakingPrediction) -> None:
    table = peaking_table(prediction, labels=LABELS, published=TALK)
    assert max(map(len, str(table).splitlines()[1:])) <= 100
    assert [row[0] for row in table.rows] == ["ππμμ", "ππee", "tautau", "all"]
    assert [row[-1] for row in table.rows] == ["486", "272", "48", "806"]
    assert [row[1] for row in table.rows] == ["1,000", "600", "80", "1,680"]
    assert [row[2] for row in table.rows] == ["550,000", "500,000", "all", "1.05 × 10⁶"]
    # 50,000 x sqrt(1/1000 + 1/11,000 + 1/550,000) = 1653, and 1.4 %
    assert table.rows[0][4] == "50,000 ± 1,650 ± 700"
    assert "simulation" in table.title
    assert len(peaking_table(prediction, labels={}).columns) == 6


def test_ratios(prediction: PeakingPrediction) -> None:
    table = peaking_ratios_table(prediction, labels=LABELS, published=TALK)
    # sqrt(1/272 + 1/486) of 0.560 (physics.md 1.7: .560 +- .042)
    assert table.rows[0][0] == "ππee / ππμμ"
    assert table.rows[0][2] == "0.56 ± 0.04"
    assert TALK.ratio("ee", "mumu") == pytest.approx((0.560, 0.042), abs=5e-4)
    assert table.rows[0][3] == "+0.8 σ"
    without = PublishedYields("talk", {"mumu": 486})
    assert peaking_ratios_table(prediction, labels={}, published=without).rows[0][2:] == ("-", "-")


def test_notes() -> None:
    assert any("which is N ± √N (√N = 131.457)" in note for note in peaking_notes(TALK))
    assert peaking_notes(TALK)[-1] == "No luminosity is stated."
    other = PublishedYields("other", {"mumu": 1}, 2444, 123)
    assert any("which is not N ± √N (√N = 49.437)" in note for note in peaking_notes(other))
    assert len(peaking_notes(PublishedYields("bare", {"mumu": 1}))) == 1


def test_effects_are_ranked(prediction: PeakingPrediction) -> None:
    rows = effects_table(prediction).rows
    assert [row[0] for row in rows] == ["peaking_simulation", "tracking", "peaking_control"]
    assert rows[1][1] == "-1.40 %"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (PeakingYield(49_015.5, 1588.9, 2109.9), "49,000 ± 1,600 ± 2,100"),
        (PeakingYield(48.2, 6.94, 0.0), "48.2 ± 6.9 ± 0.0"),
        (PeakingYield(0.4, 0.0, 0.0), "0.4 ± 0.0 ± 0.0"),
    ],
)
def test_both_errors(value: PeakingYield, text: str) -> None:
    assert format_yield(value) == text
