"""Figures and tables of a classifier over masses: written whole, the same twice, also of thin samples."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread

from mlbkg.evaluation.compared_cuts import CutComparison, CutFeatures, compare_cuts
from mlbkg.evaluation.mass_scan import MassScan, MeanPunzi, mean_punzi, scan_masses
from mlbkg.evaluation.peaks import evenly_spaced, measure_peaks
from mlbkg.evaluation.window_search import window_search
from mlbkg.report.mass_scan_figures import (
    draw_classifiers_over_masses,
    draw_cut_comparison,
    draw_mass_sensitivity,
    draw_mean_punzi,
    draw_threshold_curve,
)
from mlbkg.report.mass_scan_tables import cut_comparison_table, mass_classifier_table, search_table
from mlbkg.report.quantity import Quantity
from mlbkg.report.style import Caption

CAPTION = Caption("e⁺e⁻ → μ⁺μ⁻ Z′, Z′ → invisible", 0.276)
MASS = Quantity("M(Z′)", "GeV")


@dataclasses.dataclass(frozen=True)
class Made:
    scan: MassScan
    mean: MeanPunzi
    comparison: CutComparison


def _made(*, background: int, axes: int = 1) -> Made:
    random = np.random.default_rng(1)
    pairs = np.array([[m, h] for m in (1.0, 3.0, 5.0, 7.0) for h in (1.0, 2.0)])[:: 3 - axes, :axes]
    true = np.repeat(pairs, 100, axis=0)
    n = len(true) + background
    signal = np.arange(n) < len(true)
    x, y = random.standard_normal((2, n)) + 1.5 * signal
    values = np.concatenate([true**2 + 0.3 * random.standard_normal(true.shape), random.uniform(0, 50, (background, axes))])
    candidates = (
        1 / (1 + np.exp(-x - y)), signal.astype(np.int8), np.where(signal, 1e-4, 200 / max(background, 1)), np.arange(n)
    )  # fmt: skip
    peaks = measure_peaks(true, values[signal], np.ones(len(true)), power=(2,) * axes)
    settings: dict[str, Any] = {
        "masses": np.concatenate([true, np.full((background, axes), np.nan)]),
        "values": values,
        "peaks": peaks,
        "generated": np.full(len(pairs), 2000),
        "luminosity_per_fb": 0.276,
        "a": 3.0,
        "b": 1.28155,
        "window": 2.0,
    }
    hypotheses = pairs if axes == 2 else evenly_spaced(peaks, low=1, high=7, number=20)
    search = window_search(*candidates, **settings, hypotheses=hypotheses)
    mean = mean_punzi(search)
    if axes == 2:
        one = _made(background=background)
        return Made(one.scan, mean, one.comparison)
    features = CutFeatures("_2018, $cuts", ("x", "y"), (), {"x": x, "y": y})
    scan = scan_masses(search, variable="m2Recoil")
    at_masses = window_search(*candidates, **settings, hypotheses=peaks.masses)
    return Made(scan, mean, compare_cuts(at_masses, features=features, replicas=20, seed=1))


def _draw(made: Made, folder: Path) -> list[Path]:
    scans = {"xgboost": made.scan, "_light$gbm": made.scan}
    return [
        draw_mass_sensitivity(
            made.scan, folder / "sensitivity.png", caption=CAPTION, name="xgboost", mass=MASS, comparison=made.comparison
        ),
        draw_mass_sensitivity(made.scan, folder / "alone.png", caption=CAPTION, name="_light$gbm", mass=MASS),
        draw_threshold_curve(
            made.scan, folder / "curve.png", caption=CAPTION, name="xgboost", variable=Quantity("m2Recoil", "GeV^2")
        ),
        draw_classifiers_over_masses(scans, folder / "classifiers.png", caption=CAPTION, mass=MASS),
        draw_cut_comparison(made.comparison, folder / "cuts.png", caption=CAPTION, name="xgboost", mass=MASS),
        draw_mean_punzi(made.mean, folder / "mean.png", caption=CAPTION, name="xgboost", masses=[MASS]),
    ]


@pytest.fixture(scope="module")
def made() -> Made:
    return _made(background=5000)


def test_all_are_written_whole_and_the_same_twice(made, tmp_path):
    (tmp_path / "again").mkdir()
    for path, again in zip(_draw(made, tmp_path), _draw(made, tmp_path / "again"), strict=True):
        image = imread(path)[..., :3]
        assert min(image.shape[:2]) > 300
        # Nothing may be cut: the outermost pixels are paper.
        edge = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
        assert edge.min() > 0.99, path.name
        assert path.read_bytes() == again.read_bytes()


def test_thin_samples_can_be_drawn(tmp_path):
    assert all(path.stat().st_size > 5000 for path in _draw(_made(background=12), tmp_path))


def test_two_masses_are_a_map(tmp_path):
    masses = (Quantity("M(A′)", "GeV"), Quantity("M(h′)", "GeV"))
    mean = _made(background=5000, axes=2).mean
    path = draw_mean_punzi(mean, tmp_path / "mean.png", caption=CAPTION, name="xgboost", masses=masses)
    image = imread(path)[..., :3]
    assert np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]]).min() > 0.99


def test_tables_fit_eighty_columns(made):
    points = made.scan.smooth
    tables = [
        search_table(made.scan.masses, points, name="xgboost", symbols=[MASS]),
        search_table(np.repeat(made.scan.masses, 2, axis=1), points, name="xgboost", symbols=[MASS, MASS]),
        mass_classifier_table({"xgboost": made.scan, "lightgbm": made.scan}),
        cut_comparison_table(made.comparison, name="xgboost", symbol=MASS),
    ]
    assert max(len(line) for table in tables for line in table.text(80).splitlines()) <= 80
    assert len(tables[0].rows) == 15
    assert tables[0].title.endswith("15 of 20 hypotheses")
    assert tables[0].rows[0][0] == "1"
    assert tables[0].rows[-1][0] == "7"
    assert [row[0] for row in tables[2].rows] == ["xgboost", "lightgbm"]
    assert [row[0] for row in tables[3].rows] == ["1", "3", "5", "7"]
