"""One classifier for a range of masses: from training to the selection, on candidates whose truth is known."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot

from mlbkg.config.load import load
from mlbkg.errors import ConfigError, EmptySampleError, WeightError
from mlbkg.evaluation.threshold_curve import ThresholdCurve
from mlbkg.export.load import open_model
from mlbkg.ntuples.read import describe
from mlbkg.ntuples.write import AtomicRootWriter
from mlbkg.stages.check import check
from mlbkg.stages.select import SelectResult, select
from mlbkg.stages.skims import read_selected
from mlbkg.stages.sources import sources_of, training_recipe_of
from mlbkg.stages.train import TrainResult, train
from mlbkg.stages.training_data import TrainingData, read_training_data
from mlbkg.stages.training_evaluation import champion_of, probability
from mlbkg.stages.training_scan import mass_search
from mlbkg.tracking.base import NullLog

MASSES = (1.0, 2.0, 3.0, 4.0, 5.0)
EACH = 1000
GENERATED = [[mass, EACH] for mass in MASSES]
LUMINOSITY = 10.0
CONFIG = """
analysis: bump
seed: 5
luminosity_per_fb: 10
ntuples: {tree: t, event_id: [run, event]}
samples:
  - {name: signal, role: signal, files: signal.root, cross_section_nb: 5.0e-6, weight: "0.5"}
  - {name: smooth, role: background, files: smooth.root, cross_section_nb: 1.0e-3, generated_events: 20000}
  - {name: data, role: data, files: data.root}
preselection: ["kept > 0.5"]
features: [x, y]
spectators: [m2]
training:
  folds: 2
  flatten: [true_mass]
  champion: punzi
  classifiers:
    - {backend: xgboost, n_estimators: 15, max_depth: 2}
    - {backend: xgboost, name: stump, n_estimators: 1, max_depth: 1}
evaluation: {bootstrap: 10, permutation_rows: 200, compare_cuts: {name: someone, requires: ["x > 0.5"], line: [x, y]}}
selection: {working_point: {punzi: {a: 3, b: 1.28155, per: window}}}
scan:
  axes: [{name: mass, variable: m2, power: 2, truth: true_mass, range: [1, 5]}]
  hypotheses: 25
limit: {quantity: cross_section}
tracking: {enabled: false}
"""

Make = Callable[..., Path]


def candidates(n: int, *, run: int, seed: int, mass: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Signal in a peak in m2, easier to tell from background the heavier it is; half of mass 1 is not ``kept``."""
    rng = np.random.default_rng(seed)
    shift = np.zeros(n) if mass is None else 0.5 + 0.4 * mass
    m2 = rng.uniform(-1, 28, n) if mass is None else rng.normal(mass**2, 0.4)
    columns = {
        "run": np.full(n, run, dtype="i4"),
        "event": np.arange(n),
        "x": rng.normal(shift, 1).astype("f4"),
        "y": rng.normal(shift / 2, 1).astype("f4"),
        "m2": m2,
        "kept": np.ones(n) if mass is None else np.where((mass < 1.5) & (np.arange(n) % 2 == 0), 0.0, 1.0),
    }
    # as a file of float32 would hold it
    return columns if mass is None else {**columns, "true_mass": mass.astype("f4").astype("f8")}


def write(name: str, columns: dict[str, np.ndarray], *, metadata: dict[str, Any] | None = None) -> None:
    with AtomicRootWriter(Path(name), tree="t", metadata=metadata) as writer:
        writer.extend(columns)


def write_analysis(*, replace: dict[str, str] | None = None, mass: np.ndarray | None = None) -> Path:
    """Into the working folder. ``mass``: of the signal candidates."""
    mass = np.repeat(MASSES, EACH) if mass is None else mass
    told = {"events": EACH * len(MASSES), "generated": GENERATED}
    write("signal.root", candidates(len(mass), run=1, seed=1, mass=mass), metadata=told)
    write("smooth.root", candidates(20000, run=2, seed=2))
    write("data.root", candidates(3000, run=3, seed=3))
    text = CONFIG
    for old, new in (replace or {}).items():
        assert old in text
        text = text.replace(old, new)
    Path("bump.yaml").write_text(text, encoding="utf-8")
    return Path("bump.yaml")


@pytest.fixture
def bump(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    monkeypatch.chdir(tmp_path)
    return write_analysis


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A training and its selection, made once; the tests work in its folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("bump"))
        path = write_analysis()
        yield train(path, workers=1), select(path, workers=1)


def test_every_mass_trains_with_the_same_weight(trained: tuple[TrainResult, SelectResult]) -> None:
    data = trained[0].trained.data
    signal = data.sample.label == 1
    sums = [data.weight[signal & (data.sample.truth["true_mass"] == mass)].sum() for mass in MASSES]
    assert np.bincount(np.searchsorted(MASSES, data.sample.truth["true_mass"][signal])).tolist() == [500, *[1000] * 4]
    np.testing.assert_allclose(sums, sums[0])
    assert data.weight[signal].sum() == pytest.approx(data.weight[~signal].sum())
    assert len(np.unique(data.sample.weight[signal])) == 1
    assert np.isnan(data.sample.truth["true_mass"][~signal]).all()


def test_figures_of_merit_are_those_of_the_chosen_cut(trained: tuple[TrainResult, SelectResult]) -> None:
    """At a simulated mass, worked out anew from the candidates: share of the generated, background, Punzi's minimum."""
    result, _ = trained
    data, best = result.trained.data, result.trained.over_masses
    assert best is not None
    assert best.per_window is not None
    found = result.to_json()["masses"]
    assert [entry["mass"] for entry in found] == pytest.approx(best.masses[:, 0].tolist())
    last, number = found[-1], len(found) - 1
    assert last["mass"] == 5.0
    score = probability(result.trained.fits[0].margin)
    m2, signal = data.sample.spectators["m2"], data.sample.label == 1
    inside = (m2 >= best.per_window.low[number]) & (m2 <= best.per_window.high[number])
    passed = inside & (score >= best.per_window.curve(m2))
    of_mass = signal & (data.sample.truth["true_mass"] == 5.0)
    # a generator weight of 0.5, and 1000 events of each mass
    assert last["signal_efficiency"] == pytest.approx(0.5 * np.count_nonzero(passed & of_mass) / EACH)
    # 95.45 % of a normal distribution is within two standard deviations; 1.5 % is three times the error of the share
    assert np.count_nonzero(inside & of_mass) / EACH == pytest.approx(0.9545, abs=0.02)
    background = 0.5 * np.count_nonzero(passed & ~signal)
    assert best.points.simulated[number] == pytest.approx(background)
    assert last["background"] == pytest.approx(background, rel=0.5)
    root, a, b = np.sqrt(last["background"]), 3.0, 1.28155
    s_min = a**2 / 8 + 9 * b**2 / 13 + a * root + b / 2 * np.sqrt(b**2 + 4 * a * root + 4 * root**2)  # physics/0308063
    assert last["punzi"] == pytest.approx(s_min / (last["signal_efficiency"] * LUMINOSITY))


def test_the_champion_needs_the_smallest_cross_section(trained: tuple[TrainResult, SelectResult]) -> None:
    result, _ = trained
    found = result.to_json()
    punzi = {name: line["punzi"] for name, line in found["backends"].items()}
    assert punzi["xgboost"] < punzi["stump"]
    assert found["champion"] == "xgboost"
    evaluations = result.trained.evaluations
    losses = [found["backends"][evaluation.name]["log_loss"] for evaluation in evaluations]
    assert champion_of(evaluations, by="log_loss", punzi_fb={}) == losses.index(min(losses))
    assert punzi["xgboost"] == pytest.approx(np.mean([entry["punzi"] for entry in found["masses"]]))
    search = mass_search(result.trained.data, result.trained.loaded.config)
    assert search is not None
    again = [search.reached_by(probability(fit.margin)).punzi_fb for fit in result.trained.fits]
    assert again == list(punzi.values())
    blind = search.reached_by(np.full(len(result.trained.data.sample), 0.5))
    assert blind.punzi_fb > max(again)
    json.dumps(found, allow_nan=False)


def test_cuts_are_compared_at_every_mass(trained: tuple[TrainResult, SelectResult]) -> None:
    found = trained[0].to_json()["compared_cuts"]
    assert found["name"] == "someone"
    assert [line["mass"] for line in found["masses"]] == list(MASSES)
    assert all(0 < line["classifier_rejection"]["value"] <= 1 for line in found["masses"])
    data = trained[0].trained.data
    required = data.values_of("x")[data.sample.label == 1] > 0.5
    assert required.mean() < 0.9
    for line in found["masses"]:
        assert line["signal_efficiency"]["value"] < required.mean() + 0.05


def test_the_selection_is_that_of_the_training(trained: tuple[TrainResult, SelectResult]) -> None:
    """Out of fold, candidate by candidate, by the curve that the model brings along."""
    result, selected = trained
    point, data = result.trained.best.working_point, result.trained.data
    assert isinstance(selected.threshold, ThresholdCurve)
    assert selected.threshold == point.curve
    counts = {line.sample: line.events for line in selected.cutflow if line.cut == "score >= t(m2)"}
    signal = data.sample.label == 1
    passed = probability(result.trained.fits[0].margin) >= point.curve(data.sample.spectators["m2"])
    assert counts["signal"] == np.count_nonzero(passed & signal) == point.signal_efficiency.passing
    assert counts["smooth"] == np.count_nonzero(passed & ~signal) == point.background_efficiency.passing
    with uproot.open(selected.folder / "signal.root") as file:
        np.testing.assert_array_equal(file["t"]["event"].array(library="np"), data.sample.event_id[passed & signal, 1])
        assert set(np.unique(file["t"]["true_mass"].array(library="np"))) == set(MASSES)
    assert 0 < counts["data"] < 3000


def test_skims_of_every_candidate_are_cut_when_they_are_read(trained: tuple[TrainResult, SelectResult]) -> None:
    result, selected = trained
    text = Path("bump.yaml").read_text(encoding="utf-8")
    both = "{keep: all, branches: [event], working_point"
    Path("all.yaml").write_text(text.replace("{working_point", both), encoding="utf-8")
    everything = select(Path("all.yaml"), model=result.files.folds_model, output=Path("all"), workers=1)
    skims = {file.sample: file.skim for file in everything.files}
    threshold = everything.to_json()["threshold"]
    for file in selected.files:
        kept = read_selected([describe(skims[file.sample])], ["event"], threshold=threshold)["event"]
        with uproot.open(file.skim) as written:
            np.testing.assert_array_equal(kept, written["t"]["event"].array(library="np"))
    with uproot.open(skims["smooth"]) as written, uproot.open(skims["signal"]) as of_signal:
        assert "m2" in written["t"]
        assert "true_mass" not in written["t"]
        assert {"m2", "true_mass"} <= set(of_signal["t"].keys())


def test_the_model_and_its_card_tell_the_curve(trained: tuple[TrainResult, SelectResult]) -> None:
    result, _ = trained
    metadata = open_model(result.files.model).metadata
    assert metadata is not None
    chosen, *others = metadata.working_points
    assert chosen.name == "Punzi a = 3, b = 1.28155, per window in m2"
    assert chosen.curve == result.trained.best.working_point.curve
    assert all(point.curve is None for point in others)
    card = (result.files.folder / "card.md").read_text(encoding="utf-8")
    assert "| Punzi a = 3, b = 1.28155, per window in m2 | t(m2) |" in card
    assert "signal the same for all of true_mass" in card


class Remembering(NullLog):
    """A tracking server that remembers metrics."""

    def __init__(self) -> None:
        self.remembered: dict[str, float] = {}

    def metrics(self, values: Mapping[str, float], *, step: int | None = None) -> None:
        self.remembered |= values


def test_one_cut_for_all_masses(bump: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    path = bump(replace={"per: window": "per: selection", "permutation_rows: 200": "compare_features: [y]"})
    log = Remembering()
    monkeypatch.setattr("mlbkg.stages.training_log.open_log", lambda **_: log)
    result = train(path, workers=1)
    punzi = {name: line["punzi"] for name, line in result.to_json()["backends"].items()}
    other = result.to_json()["comparison"]["punzi"]
    assert other > punzi["xgboost"], "y tells less than x and y"
    told = {name: value for name, value in log.remembered.items() if "punzi" in name}
    assert told == {
        "xgboost/punzi_fb": punzi["xgboost"],
        "stump/punzi_fb": punzi["stump"],
        "comparison/punzi_fb": other,
        "punzi_fb": punzi["xgboost"],
    }
    best = result.trained.over_masses
    assert best is not None
    assert best.one_cut is not None
    point = result.trained.best.working_point
    assert point.rule == "Punzi a = 3, b = 1.28155, mean over windows in m2"
    assert point.threshold == best.one_cut.threshold[best.one_cut.best]
    assert point.curve is None
    assert len({entry["threshold"] for entry in result.to_json()["masses"]}) == 1
    assert select(path, workers=1).threshold == point.threshold


def test_two_masses_have_one_cut(bump: Make) -> None:
    axes = "[{name: mass_u, variable: m2, power: 2, truth: true_mass, range: [1, 5]}, " + (
        "{name: mass_h, variable: h, truth: true_h, range: [0, 2]}]"
    )
    one = "[{name: mass, variable: m2, power: 2, truth: true_mass, range: [1, 5]}]"
    path = bump(
        replace={
            one: axes, "per: window": "per: selection", "[true_mass]": "[true_mass, true_h]", "[m2]": "[m2, h]",
            ', compare_cuts: {name: someone, requires: ["x > 0.5"], line: [x, y]}': "",
        }
    )  # fmt: skip
    rng = np.random.default_rng(4)
    mass, heavy = np.repeat(MASSES, EACH), np.tile([0.5, 1.5], len(MASSES) * EACH // 2)
    signal = {**candidates(len(mass), run=1, seed=1, mass=mass), "true_h": heavy, "h": rng.normal(heavy, 0.1)}
    generated = [[m, h, EACH // 2] for m in MASSES for h in (0.5, 1.5)]
    write("signal.root", {**signal, "kept": np.ones(len(mass))}, metadata={"events": len(mass), "generated": generated})
    write("smooth.root", {**candidates(20000, run=2, seed=2), "h": rng.uniform(-0.5, 2.5, 20000)})
    Path("data.root").unlink()
    text = path.read_text(encoding="utf-8")
    path.write_text("\n".join(line for line in text.split("\n") if "role: data" not in line), encoding="utf-8")
    result = train(path, workers=1)
    found = result.to_json()["masses"]
    assert [(entry["mass_u"], entry["mass_h"]) for entry in found] == [(m, h) for m in MASSES for h in (0.5, 1.5)]
    data = result.trained.data
    cells = [data.sample.truth["true_mass"] * 10 + data.sample.truth["true_h"]]
    sums = [data.weight[cells[0] == cell].sum() for cell in np.unique(cells[0][data.sample.label == 1])]
    np.testing.assert_allclose(sums, sums[0])
    assert result.trained.best.working_point.rule.endswith("mean over windows in m2 and h")
    with uproot.open(select(path, workers=1).folder / "signal.root") as file:
        assert {"m2", "h", "true_mass", "true_h"} <= set(file["t"].keys())


@pytest.mark.parametrize(
    ("mass", "error", "message"),
    [
        (np.repeat([1.0, 2.0, 3.0, 4.0], EACH), EmptySampleError, "no candidate is left of 1 of 5 simulated masses"),
        (np.repeat([1.0, 2.0, 3.0, 4.0, 5.5], EACH), WeightError, "a mass of which no event was generated, the first at "),
        (np.repeat([*MASSES, np.nan], EACH), WeightError, "1000 of 5500 signal candidates have no true mass in true_mass"),
    ],
)
def test_every_mass_must_be_there(bump: Make, mass: np.ndarray, error: type[Exception], message: str) -> None:
    path = bump(mass=mass)
    with pytest.raises(error, match=message):
        read(path)


def test_a_branch_without_true_masses_is_missed_before_any_event_is_read(bump: Make) -> None:
    path = bump()
    columns = candidates(100, run=1, seed=1, mass=np.full(100, 2.0))
    write("signal.root", {name: values for name, values in columns.items() if name != "true_mass"})
    with pytest.raises(ConfigError) as caught:
        check(path)
    assert "1 branch missing" in str(caught.value)
    assert "true_mass  needed by training.flatten or scan.axes, as a true mass" in str(caught.value)


def test_events_are_shared_evenly_where_files_do_not_say(bump: Make) -> None:
    path = bump(replace={"cross_section_nb: 5.0e-6, ": "cross_section_nb: 5.0e-6, generated_events: 10000, "})
    write("signal.root", candidates(5000, run=1, seed=1, mass=np.repeat(MASSES, EACH)))
    searched = read(path).searched
    assert searched is not None
    assert searched.generated.tolist() == [2000.0] * 5
    assert searched.simulated[:, 0].tolist() == list(MASSES)


def read(path: Path) -> TrainingData:
    config = load(path).config
    return read_training_data(
        config, sources_of(config, roles=("signal", "background")), training_recipe_of(config), workers=1
    )


def test_a_blind_selection_holds_no_data(bump: Make) -> None:
    path = bump(replace={"hypotheses: 25": "hypotheses: 25\n  blind: true"})
    train(path, workers=1)
    selected = {unblind: select(path, workers=1, unblind=unblind).to_json() for unblind in (False, True)}
    counted = {
        unblind: [cut["events"] for cut in found["cutflow"] if cut["sample"] == "data"]
        for unblind, found in selected.items()
    }
    assert set(counted[False]) == {0}
    assert counted[True][0] == 3000
    assert counted[True][-1] > 0
