"""Figures of fits are drawn whole for large and for tiny samples, negative signals and bare models."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from matplotlib.image import imread

from mlbkg.fitting.data import Binned
from mlbkg.limits.profile import LikelihoodScan
from mlbkg.report.fit_figures import (
    _interval_text,
    _poisson_bars,
    draw_fit,
    draw_likelihood_scan,
    draw_parameter_correlations,
)
from mlbkg.report.quantity import Quantity
from mlbkg.report.style import Caption

CAPTION = Caption("Υ(3S) → π⁺π⁻ Υ(1S), $50 each", 200.0)


def whole(path) -> bool:
    """Nothing is cut: the outermost pixels are paper."""
    image = imread(path)[..., :3]
    edge = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    return bool(edge.min() > 0.99 and image.min() < 0.5)


@pytest.mark.parametrize(
    ("yields", "bins"),
    [
        ({}, 120),
        ({"signal": (-8.0, 6.0), "peaking": (25.0, 7.0), "background": (90.0, 10.0)}, 30),
        ({"signal": (0.0, 1.0), "peaking": (0.0, 1.0), "background": (3.0, 2.0)}, 10),
    ],
    ids=["large", "negative signal", "nearly empty"],
)
def test_fits_are_drawn_whole(fit_view, tmp_path, yields, bins):
    view = fit_view(yields, bins=bins, data_name="expected data set")
    assert whole(draw_fit(view, tmp_path / "fit.png", caption=CAPTION))


def test_the_zoom_is_where_the_peak_is(fit_view):
    low, high = fit_view().peak_range()
    assert 9.43 < low < 9.4604 - 3 * 0.0021
    assert 9.4604 + 3 * 0.0021 < high < 9.49


def test_a_fit_without_peaks_has_no_zoom(fit_view):
    view = fit_view()
    bare = dataclasses.replace(view, smooth=view.names)
    assert bare.peaking == ()
    assert bare.peak_range() == (9.40, 9.52)


def test_a_fit_without_peaks_is_drawn(fit_view, tmp_path):
    view = fit_view({"signal": (0.0, 1.0), "peaking": (0.0, 1.0)})
    assert whole(draw_fit(dataclasses.replace(view, smooth=view.names), tmp_path / "fit.png", caption=Caption("", None)))


def test_counts_have_garwood_intervals():
    # N. Gehrels, ApJ 303 (1986) 336, tables 1 and 2, S = 1
    counts = np.array([0.0, 1.0, 3.0])
    low, high = _poisson_bars(Binned(np.arange(4.0), counts))
    assert counts - low == pytest.approx([0, 0.173, 1.367], abs=1e-3)
    assert counts + high == pytest.approx([1.841, 3.300, 5.918], abs=1e-3)


def test_weighted_bins_have_the_errors_of_their_weights():
    data = Binned(np.arange(3.0), np.array([4.0, 9.0]), variances=np.array([16.0, 81.0]))
    assert _poisson_bars(data).tolist() == [[4, 9], [4, 9]]


def test_interval_of_a_parabola_is_its_width():
    values = np.linspace(-3e-5, 7e-5, 21)
    scan = LikelihoodScan(values, ((values - 1.6e-5) / 1.5e-5) ** 2, 1.6e-5)
    assert _interval_text(scan, Quantity("B").scale([7e-5])) == "1.6  +1.5 −1.5"


def test_an_end_beyond_the_scan_is_not_known():
    values = np.linspace(0, 5, 21)
    scan = LikelihoodScan(values, (values - 0.5) ** 2, 0.5)
    assert _interval_text(scan, Quantity("N").scale([5.0])) == "0.5  +1.0 −-"


def test_likelihood_scans_and_correlations_are_drawn_whole(fit_view, tmp_path):
    values = np.linspace(-3e-5, 7e-5, 41)
    scans = {name: LikelihoodScan(values, (values / s) ** 2, 0.0) for name, s in (("statistical only", 1e-5), ("all", 3e-5))}
    quantity = Quantity("B(Υ(1S) → invisible)")
    assert whole(draw_likelihood_scan(scans, quantity, tmp_path / "scan.png", caption=CAPTION))
    assert whole(draw_parameter_correlations(fit_view().result, tmp_path / "correlations.png", caption=CAPTION))


def test_the_same_fit_gives_the_same_bytes(fit_view, tmp_path):
    first, second = (draw_fit(fit_view(), tmp_path / name, caption=CAPTION).read_bytes() for name in ("a.png", "b.png"))
    assert first == second
