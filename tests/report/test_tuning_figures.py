"""Figures of a search for hyper-parameters are drawn whole, alike each time, and name what they show."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

import mlbkg.report.style as style
from mlbkg.report.style import Caption
from mlbkg.report.tuning_figures import draw_contestants, draw_history, draw_tuning
from mlbkg.report.tuning_look import reached
from mlbkg.report.tuning_result import TuningTold
from mlbkg.report.tuning_space_figures import draw_front, draw_importance, draw_pruning, draw_slices

Maker = Callable[..., TuningTold]
CAPTION = Caption("Υ(3S) → π⁺π⁻ Υ(1S), Υ(1S) → invisible", 200.0)


def whole(path: Path) -> bool:
    """Nothing is cut: the outermost pixels are paper."""
    image = imread(path)[..., :3]
    edge = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    return bool(edge.min() > 0.99 and image.min() < 0.5)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are drawn, to be looked into."""
    figures: list[Figure] = []
    canvas = style.canvas

    @contextmanager
    def kept(path: Path, **size: float) -> Iterator[Figure]:
        with canvas(path, **size) as figure:
            figures.append(figure)
            yield figure

    monkeypatch.setattr(style, "canvas", kept)
    return figures


def labels(figure: Figure) -> set[str]:
    return {text for axes in figure.axes for text in (axes.get_xlabel(), axes.get_ylabel()) if text}


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for found in figure.legends for text in found.get_texts()]


@pytest.mark.parametrize(
    ("told", "names"),
    [
        ({}, ["contestants", "history", "importance", "slices_lightgbm", "slices_xgboost", "pruning"]),
        (
            {"goals": ("expected_limit", "cost"), "judged_by": ("expected_limit", "cost", "auc"), "searches": 2},
            ["contestants"]
            + [
                f"{name}_{part}"
                for part in (0, 1)
                for name in ("history", "front", "importance", "slices_lightgbm", "slices_xgboost", "pruning")
            ],
        ),
    ],
)
def test_everything_is_drawn_whole(make_tuning: Maker, tmp_path: Path, told: dict[str, object], names: list[str]) -> None:
    paths = draw_tuning(make_tuning(**told), tmp_path / "figures", caption=CAPTION)
    assert [path.stem for path in paths] == names
    for path in paths:
        assert whole(path), path.name


def test_the_same_result_gives_the_same_bytes(make_tuning: Maker, tmp_path: Path) -> None:
    told = make_tuning()
    first, second = (
        draw_history(told.searches[0], told.goals, tmp_path / name, caption=CAPTION).read_bytes()
        for name in ("a.png", "b.png")
    )
    assert first == second


def test_a_search_of_one_trial_is_drawn(make_tuning: Maker, tmp_path: Path) -> None:
    paths = draw_tuning(make_tuning(trials=1), tmp_path, caption=CAPTION)
    assert [path.stem for path in paths] == ["contestants", "history", "importance"]
    assert all(whole(path) for path in paths)


def test_history_shows_all_trials(make_tuning: Maker, drawn: list[Figure], tmp_path: Path) -> None:
    told = make_tuning(("expected_limit", "cost"))
    draw_history(told.searches[0], told.goals, tmp_path / "history.png", caption=CAPTION)
    (figure,) = drawn
    assert labels(figure) == {"Trial", "Expected limit [fb]", "Cost [ns]", "Time since the search began [min]"}
    assert {"pruned (6)", "failed (1)", "best so far", "tried first:\ndefault"} <= set(legend(figure))
    steps = next(line for line in figure.axes[0].get_lines() if line.get_label() == "best so far")
    assert np.all(np.diff(np.asarray(steps.get_ydata())) <= 0)


def test_history_of_a_search_that_breaks_constraints(make_tuning: Maker, drawn: list[Figure], tmp_path: Path) -> None:
    search = make_tuning().searches[0]
    trials = tuple(replace(trial, violation=(1.0,)) if trial.number != search.winner else trial for trial in search.trials)
    path = draw_history(replace(search, trials=trials), make_tuning().goals, tmp_path / "h.png", caption=CAPTION)
    assert whole(path)
    assert "xgboost, against constraints" in legend(drawn[0])


def test_history_of_values_that_are_not_finite(make_tuning: Maker, tmp_path: Path) -> None:
    told = make_tuning(("auc", "expected_limit"))
    search = told.searches[0]
    trials = tuple(replace(t, values=(t.values[0], np.inf)) if t.values else t for t in search.trials)
    assert whole(draw_history(replace(search, trials=trials), told.goals, tmp_path / "h.png", caption=CAPTION))


def test_frame_leaves_the_worst_out(make_tuning: Maker) -> None:
    told = make_tuning()
    found = reached(told.searches[0], told.goals, 0)
    low, high = found.frame()
    assert high > found.value.max() + found.error.max()
    inside = float(np.mean(found.value >= low))
    assert 0.5 < inside < 1
    assert low < found.value[0] < high


def test_contestants_stand_beside_each_other(make_tuning: Maker, drawn: list[Figure], tmp_path: Path) -> None:
    told = make_tuning(judged_by=("auc", "expected_limit"))
    draw_contestants(told.contestants, told.judged_by, tmp_path / "c.png", caption=CAPTION)
    (figure,) = drawn
    assert labels(figure) == {"AUC", "Expected limit [fb]", "Δ AUC [10⁻³]", "Δ expected limit [fb]"}
    texts = {text.get_text() for axes in figure.axes for text in axes.texts}
    # one and two errors apart, the error of the difference being 0.4 of that
    assert {"2.5 σ", "5.0 σ", "better →", "← better"} == texts
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["tuned", "default", "FastBDT's settings"]


def test_slices_have_an_axis_for_each_parameter(make_tuning: Maker, drawn: list[Figure], tmp_path: Path) -> None:
    told = make_tuning()
    path = draw_slices(told.searches[0], told.goals, "xgboost", tmp_path / "s.png", caption=CAPTION)
    assert path is not None
    figure = drawn[0]
    assert labels(figure) == {"AUC", "learning_rate", "max_depth", "policy", "Trial"}
    by_name = {axes.get_xlabel(): axes for axes in figure.axes}
    assert by_name["learning_rate"].get_xscale() == "log"
    assert by_name["max_depth"].get_xscale() == "linear"
    assert draw_slices(told.searches[0], told.goals, "other", tmp_path / "none.png", caption=CAPTION) is None
    assert not (tmp_path / "none.png").exists()


def test_importance_in_per_cent(make_tuning: Maker, drawn: list[Figure], tmp_path: Path) -> None:
    told = make_tuning()
    draw_importance(told.searches[0].importance, told.goals[0], tmp_path / "i.png", caption=CAPTION)
    (axes,) = drawn[0].axes
    assert axes.get_xlabel() == "Share of the variance [%]"
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([80, 20])


def test_front_joins_what_is_not_surpassed(make_tuning: Maker, drawn: list[Figure], tmp_path: Path) -> None:
    told = make_tuning(("expected_limit", "cost"))
    draw_front(told.searches[0], told.goals, tmp_path / "f.png", caption=CAPTION)
    assert labels(drawn[0]) == {"Expected limit [fb]", "Cost [ns]"}
    shown = {text.get_text() for text in drawn[0].axes[0].texts}
    assert shown == {str(number) for number in told.searches[0].front}
    joined = next(line for line in drawn[0].axes[0].get_lines() if line.get_drawstyle() == "steps-post")
    assert len(np.asarray(joined.get_xdata())) == len(shown)
    low, high = drawn[0].axes[0].get_xlim()
    assert np.all((np.asarray(joined.get_xdata()) > low) & (np.asarray(joined.get_xdata()) < high))


def test_pruned_trials_end_where_they_were_pruned(make_tuning: Maker, drawn: list[Figure], tmp_path: Path) -> None:
    search = make_tuning().searches[0]
    draw_pruning(search, tmp_path / "p.png", caption=CAPTION)
    whole_range = drawn[0].axes[0]
    assert labels(drawn[0]) == {"Learning rate × boosting rounds", "Validation log-loss, fold 0"}
    stops = next(line for line in whole_range.get_lines() if line.get_label() == "pruned here")
    ends = sorted(max(time for _, time in trial.losses) for trial in search.ended("pruned"))
    assert sorted(np.asarray(stops.get_xdata()).tolist()) == pytest.approx(ends)
