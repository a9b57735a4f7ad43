"""Optuna's own plots become files; what cannot be drawn is left out, and pyplot is left alone."""

from __future__ import annotations

import logging
from pathlib import Path

import matplotlib as mpl
import optuna
import pytest
from matplotlib import pyplot
from matplotlib.image import imread

from mlbkg.report.optuna_figures import draw_optuna_figures
from mlbkg.tuning.plots import plots

EVERY = ["optimization_history", "param_importances", "parallel_coordinate", "slice", "contour", "edf", "timeline"]


@pytest.fixture(autouse=True)
def quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def searched(trials: int) -> optuna.Study:
    """Two backends, each with parameters of its own; every fifth trial is pruned."""

    def value(trial: optuna.Trial) -> float:
        backend = trial.suggest_categorical("backend", ["xgboost", "lightgbm"])
        rate = trial.suggest_float(f"{backend}.learning_rate", 0.01, 0.5, log=True)
        depth = trial.suggest_int(f"{backend}.max_depth", 2, 8)
        for step in range(3):
            trial.report(rate + 1 / (step + 1), step)
        if trial.number % 5 == 4:
            raise optuna.TrialPruned
        return 1 - abs(rate - 0.1) - 0.001 * depth

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=1))
    study.optimize(value, n_trials=trials)
    return study


def test_plots_of_one_goal(tmp_path: Path) -> None:
    paths = draw_optuna_figures(plots(searched(20), labels=["AUC"]), tmp_path / "optuna")
    assert [path.stem for path in paths] == [*EVERY, "intermediate_values"]
    for path in paths:
        image = imread(path)
        assert image.shape[1] > 500
        assert image[..., :3].std() > 0.02


def test_plots_of_two_goals(tmp_path: Path) -> None:
    study = optuna.create_study(directions=["minimize", "minimize"], sampler=optuna.samplers.RandomSampler(seed=1))
    study.optimize(
        lambda trial: (x := trial.suggest_float("x", 0, 1), (1 - x) ** 2 + trial.suggest_float("y", 0, 1)), n_trials=12
    )
    paths = draw_optuna_figures(plots(study, labels=["Expected limit [fb]", "Cost [ns]"]), tmp_path)
    assert [path.stem for path in paths] == [*EVERY, "pareto_front"]


def test_what_cannot_be_drawn_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    with caplog.at_level(logging.INFO):
        paths = draw_optuna_figures(plots(study, labels=["AUC"]), tmp_path / "one")
    assert [path.stem for path in paths] == [name for name in EVERY if name != "contour"]
    assert "cannot draw 'contour' of this study: it shows nothing" in caplog.text
    assert "cannot draw 'intermediate_values' of this study: it shows nothing" in caplog.text
    assert draw_optuna_figures(plots(optuna.create_study(), labels=["AUC"]), tmp_path / "none") == ()


def test_pyplot_is_left_as_it_was(tmp_path: Path) -> None:
    own = pyplot.figure()
    before, level = dict(mpl.rcParams), logging.getLogger("optuna").level
    draw_optuna_figures(plots(searched(5), labels=["AUC"]), tmp_path)
    assert pyplot.get_fignums() == [own.number]
    assert dict(mpl.rcParams) == before
    assert logging.getLogger("optuna").level == level
    pyplot.close(own)


def test_only_the_most_important_parameters_stand_side_by_side(tmp_path: Path) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    study.optimize(lambda trial: sum(trial.suggest_float(f"x{n}", 0, 1) for n in range(15)), n_trials=12)
    for path in draw_optuna_figures(plots(study, labels=["AUC"]), tmp_path):
        assert imread(path).shape[1] < 4500, path.stem


def test_legends_of_many_trials_are_left_out(tmp_path: Path) -> None:
    (path,) = draw_optuna_figures({"of": plots(searched(40), labels=["AUC"])["intermediate_values"]}, tmp_path)
    height, width, _ = imread(path).shape
    assert width > height
