"""Curves of several runs in one figure: every run has an entry of its own, and no curve is lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mlbkg.report.style as style
from mlbkg.evaluation.distributions import distribution, score_edges
from mlbkg.evaluation.estimates import Estimate, efficiency
from mlbkg.evaluation.metrics import roc_curve
from mlbkg.report.compared_figures import MOST_RUNS, ComparedCurves, draw_compared_roc, draw_compared_scores
from mlbkg.report.style import Caption

CAPTION = Caption("upsilon1s", None)


def curves(number: int, *, strength: float, levels: int | None = None) -> ComparedCurves:
    """levels: of the score, which few trees have."""
    rng = np.random.default_rng(number)
    label = (np.arange(4000) % 2).astype(np.int8)
    margin = strength * (2 * label - 1) + rng.normal(size=4000)
    score = 1 / (1 + np.exp(-(np.round(margin * levels) / levels if levels else margin)))
    weight, event = np.ones(4000), np.arange(4000)
    roc = roc_curve(score, label, weight)
    scores = distribution(
        "score", score, label, weight, np.zeros(4000, dtype=np.int16), category_names=("all",), event_index=event,
        edges=score_edges(score, bins=50), unit="",
    )  # fmt: skip
    background = label == 0
    kept = efficiency((score > 0.5)[background], weight[background], event[background])
    return ComparedCurves(f"#{number}", f"#{number} run $x_{number}$", Estimate(roc.auc, 0.003), roc, 0.8, kept, scores)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures, as they are when they are written."""
    figures: list[Any] = []
    original = style.label

    def keep(figure: Any, *arguments: Any, **options: Any) -> None:
        figures.append(figure)
        original(figure, *arguments, **options)

    monkeypatch.setattr(style, "label", keep)
    return figures


def test_as_many_runs_as_a_figure_takes(tmp_path: Path, drawn: list[Any]):
    several = [curves(n, strength=0.5 + n / 10, levels=2 if n == 3 else None) for n in range(1, MOST_RUNS + 1)]
    roc = draw_compared_roc(several, tmp_path / "roc.png", caption=CAPTION, reference=several[1])
    scores = draw_compared_scores(several, tmp_path / "scores.png", caption=CAPTION)
    for path, figure in zip((roc, scores), drawn, strict=True):
        assert path.read_bytes().startswith(b"\x89PNG")
        texts = [text.get_text() for text in figure.legends[0].get_texts()]
        assert [text.partition(" ")[0] for text in texts if text.startswith("#")] == [of.sign for of in several]
        entries = figure.legends[0].legend_handles[:MOST_RUNS]
        assert len({entry.get_color() for entry in entries}) == MOST_RUNS
        figure.canvas.draw()
        box = figure.legends[0].get_window_extent()
        assert box.x0 >= max(axes.get_window_extent().x1 for axes in figure.axes)
        assert box.x1 <= figure.bbox.x1
        assert box.y0 >= 0
    assert "relative to #2" in drawn[0].axes[1].get_ylabel()


def test_the_curve_is_the_inverse_of_what_is_kept(tmp_path: Path, drawn: list[Any]):
    one = curves(1, strength=1.0)
    draw_compared_roc([one], tmp_path / "roc.png", caption=CAPTION, reference=one)
    above, below = drawn[0].axes
    x, y = above.lines[0].get_data()
    at = int(np.searchsorted(x, 0.5))
    index = int(np.searchsorted(one.roc.signal_efficiency, x[at]))
    assert y[at] == pytest.approx(1 / one.roc.background_efficiency[index])
    assert above.get_yscale() == "log"
    np.testing.assert_allclose(below.lines[0].get_ydata(), 1.0)


def test_shapes_have_unit_area_in_bins_of_their_own(tmp_path: Path, drawn: list[Any]):
    fine, coarse = curves(1, strength=1.0), curves(2, strength=0.3, levels=2)
    draw_compared_scores([fine, coarse], tmp_path / "scores.png", caption=CAPTION)
    for axes in drawn[0].axes:
        for patch in axes.patches:
            values, edges, _ = patch.get_data()
            assert (values * np.diff(edges)).sum() == pytest.approx(1.0)
    assert drawn[0].axes[0].get_xlim() == drawn[0].axes[1].get_xlim()


def test_a_classifier_that_keeps_no_background_is_drawn(tmp_path: Path):
    one = curves(1, strength=20.0)
    nothing = replace(one.background_efficiency, value=0.0)
    perfect = replace(one, background_efficiency=nothing)
    path = draw_compared_roc([perfect, curves(2, strength=1.0)], tmp_path / "roc.png", caption=CAPTION, reference=perfect)
    assert path.stat().st_size > 10_000
