"""Figures and tables of limits say what the results say, and are drawn whole."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.image import imread

from mlbkg.evaluation.estimates import Estimate
from mlbkg.fitting.study import StudyPoint
from mlbkg.limits.result import Impact, Limit
from mlbkg.report.limit_figures import draw_cls_scan, draw_impacts, draw_limit_summary, draw_study
from mlbkg.report.limit_tables import (
    Ingredients,
    LimitLine,
    Published,
    impacts_table,
    ingredients_table,
    limits_table,
    parameters_table,
    shapes_table,
    study_table,
    yields_table,
)
from mlbkg.report.quantity import Quantity
from mlbkg.report.style import Caption

CAPTION = Caption("Υ(3S) → π⁺π⁻ Υ(1S), Υ(1S) → invisible", 200.0)
FRACTION = Quantity("B(Υ(1S) → invisible)")
PUBLISHED = (
    Published("BaBar, PRL 103, 251801 (2009)", 3.0e-4, "observed"),
    Published("a talk that has a very long name and cost $5", 3.74e-5, "expected"),
)
IMPACTS = (
    Impact("tracking", -1e-7, 1.2e-7, 0.0, 1.0),
    Impact("peaking_control", -1.2e-5, 1.21e-5, 0.1, 0.97),
    Impact("signal_mean", 3e-7, 2e-7, 3.9, 0.4),
)


def whole(path) -> bool:
    """Nothing is cut: the outermost pixels are paper."""
    image = imread(path)[..., :3]
    edge = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    return bool(edge.min() > 0.99 and image.min() < 0.5)


def points() -> tuple[StudyPoint, ...]:
    pulls = np.linspace(-2, 2, 500)
    return tuple(
        StudyPoint(value, 500, failed, 0.03, 0.045, 1.01, 0.032, 0.68, 0.021, 1e-7, 2e-7, pulls, pulls)
        for value, failed in ((0.0, 0), (1.1e-5, 2), (3.3e-5, 0))
    )


@pytest.fixture
def lines(limit) -> tuple[LimitLine, ...]:
    return (
        LimitLine(limit("cls", 1.1e-5), "statistical only"),
        LimitLine(limit("cls", 3.1e-5, observed=4.4e-5), "with systematics"),
        LimitLine(Limit("profile", 0.9, 4.2e-5, None), "with systematics"),
    )


@pytest.mark.parametrize("observed", [None, 4.3e-5])
def test_scans_are_drawn_whole(limit, tmp_path, observed):
    found = limit(scan=True, observed=observed)
    assert whole(draw_cls_scan(found, FRACTION, tmp_path / "cls.png", caption=CAPTION))


def test_other_figures_are_drawn_whole(lines, tmp_path):
    drawn = [
        draw_limit_summary(lines, PUBLISHED, FRACTION, tmp_path / "summary.png", caption=CAPTION),
        draw_limit_summary(lines[:1], (), Quantity("σ", "fb"), tmp_path / "alone.png", caption=Caption("", None)),
        draw_impacts(IMPACTS, FRACTION, tmp_path / "impacts.png", caption=CAPTION),
        draw_study(points(), FRACTION, tmp_path / "study.png", caption=CAPTION),
    ]
    assert [path.name for path in drawn if not whole(path)] == []


def test_quantities_share_one_power_of_ten():
    scale = FRACTION.scale([1.1e-5, 3.74e-5])
    assert scale.label == "B(Υ(1S) → invisible) [10⁻⁵]"
    assert scale.text(3.74e-5) == "3.74"
    assert Quantity("σ", "fb").scale([12.0]).label == "σ [fb]"
    assert Quantity("N").scale([0.0, float("nan")]).label == "N"
    assert FRACTION.text(3e-4) == "3 × 10⁻⁴"
    assert scale.with_errors(3.7e-5, up=1.44e-5, down=1.04e-5) == "3.7  +1.4 −1.0"


def test_limits_stand_beside_the_published(lines):
    table = limits_table(lines, PUBLISHED, FRACTION)
    assert table.title == "90 % upper limits on B(Υ(1S) → invisible) [10⁻⁵]"
    assert table.rows[1] == ("CLs, asymptotic", "with systematics", "4.40", "1.67", "2.23", "3.10", "4.31", "5.77")
    assert table.rows[2] == ("profile likelihood", "with systematics", "4.20", "-", "-", "-", "-", "-")
    assert table.rows[3][:3] == ("BaBar, PRL 103, 251801 (2009)", "published", "30")
    assert table.rows[4][5] == "3.74"
    assert max(map(len, str(table).splitlines())) <= 100


def test_impacts_are_ranked():
    table = impacts_table(IMPACTS, FRACTION, expected=3.1e-5, without={"peaking_control": 1.55e-5})
    assert [row[0] for row in table.rows] == ["peaking_control", "signal_mean", "tracking"]
    assert table.rows[0] == ("peaking_control", "-1.2", "+1.21", "+0.10", "0.97", "-50.0 %")
    assert table.rows[1][-1] == "-"
    assert len(impacts_table(IMPACTS, FRACTION).columns) == 5


def test_tables_of_a_fit(fit_view):
    view = fit_view()
    yields = yields_table(view.result, view.goodness)
    assert yields.rows[0] == ("signal", "7,300 ± 1,900", "1,900", "1,900")
    assert yields.title.endswith(f"/ {view.goodness.ndf}, p value 0.430")
    assert shapes_table({"signal": view.goodness}).rows == (("signal", f"{view.goodness.chi2:.1f} / 115", "0.430"),)
    parameters = {row[0]: row[1] for row in parameters_table(view.result).rows}
    assert parameters["mean"] == "9.4604 (fixed)"
    assert parameters["n_peaking"] == "84,000 ± 3,100"


def test_tables_of_studies_and_ingredients():
    assert study_table(points(), FRACTION).rows[1] == (
        "1.1", "500", "2", "0.03 ± 0.04", "1.010 ± 0.032", "68.0 ± 2.1 %", "0.010 ± 0.020",
    )  # fmt: skip
    # 4.35 nb × 200 fb⁻¹ = 8.7e8 (cross section of BaBar's 121.8e6 Υ(3S) in 28 fb⁻¹), × 4.37 % × 16.53 % = 6.28e6
    found = Ingredients(
        luminosity_per_fb=200.0,
        parents=8.7e8,
        branching_fractions={"Υ(3S) → π⁺π⁻ Υ(1S)": 0.0437},
        efficiency=Estimate(0.1653, 0.0007),
        candidates_per_unit=8.7e8 * 0.0437 * 0.1653,
        fold_chi2=3.357,
        fold_ndf=4,
        fold_p_value=0.5,
    )
    rows = dict(ingredients_table(found, FRACTION).rows)
    assert rows["B(Υ(3S) → π⁺π⁻ Υ(1S))"] == "0.0437"
    assert rows["signal efficiency [%]"] == "16.53 ± 0.07"
    assert rows["… the same in every fold, χ² / ndf"] == "3.4 / 4, p value 0.500"
    assert rows["signal candidates for B(Υ(1S) → invisible) = 1"] == "6.28 × 10⁶"
