"""The cut scan as figure and table, and the table of faked signals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from mlbkg.fitting.fake_signal import FakeSignal
from mlbkg.limits.cut_scan import CutScan
from mlbkg.report.cut_scan_figure import draw_cut_scan
from mlbkg.report.quantity import Quantity
from mlbkg.report.style import Caption
from mlbkg.report.training_tables import cut_scan_table, fake_signal_table

QUANTITY = Quantity("B(Υ(1S) → invisible)")


def scan(*, measured: tuple[bool, ...] = (True, True, True, False)) -> CutScan:
    there = np.array(measured)
    limit = np.where(there, [9e-5, 6e-5, 5e-5, 4e-5], np.nan)
    return CutScan(
        threshold=np.array([0.1, 0.5, 0.9, 0.99]), signal_efficiency=np.array([1, 0.9, 0.7, 0.2]),
        signal=np.array([8000.0, 7000, 5000, 1500]), peaking=np.array([9e4, 8e4, 6e4, 0]),
        background=np.array([1e8, 1e7, 1e6, 0.0]), background_error=np.array([1e6, 3e5, 1e5, 0.0]), measured=there,
        expected_limit=limit, expected_limit_error=limit / 20, statistical_limit=limit / 2,
        statistical_limit_error=limit / 40, confidence_level=0.9, systematics=True, best=2,
        marks={"signal efficiency 0.849": 1, "Punzi a = 3, b = 1.28155": 3},
    )  # fmt: skip


def test_table_of_cuts() -> None:
    lines = str(cut_scan_table(scan(), name="xgboost", quantity=QUANTITY)).splitlines()
    assert lines[0] == "xgboost: expected 90 % limit, B(Υ(1S) → invisible) [10⁻⁵]"
    assert "smallest expected limit" in lines[3]
    assert "70.0 %" in lines[3]
    assert lines[3].endswith("2.50 ± 0.12       5.00 ± 0.25")
    assert "6.00 ± 0.30" in lines[4]
    assert lines[5].count("not measured") == 2


def test_table_of_faked_signals() -> None:
    faked = {"xgboost": FakeSignal(1000, 2000, 50, 1e7), "xgboost (comparison)": FakeSignal(1.2e6, 9e4, 1100, 1.3e6)}
    lines = str(fake_signal_table(faked)).splitlines()
    assert "1,000 ± 2,000" in lines[3]
    assert "+0.5" in lines[3]
    assert "(1.20 ± 0.09) × 10⁶" in lines[4]
    assert "+13.3" in lines[4]


@pytest.mark.parametrize("measured", [(True, True, True, False), (True, True, True, True), (False, False, True, False)])
def test_figure(tmp_path: Path, measured: tuple[bool, ...]) -> None:
    first, second = (
        draw_cut_scan(scan(measured=measured), tmp_path / name, caption=Caption("A title", 200.0), quantity=QUANTITY)
        for name in ("first.png", "second.png")
    )
    image = imread(first)
    assert image.shape[0] > 500
    assert image.std() > 0.05
    assert first.read_bytes() == second.read_bytes()
