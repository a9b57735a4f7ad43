"""What is wrong with the data is told by name, before long work, and leaves nothing behind; what is only odd is no error."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot

from mlbkg.config.load import load
from mlbkg.errors import ConfigError, EmptySampleError, MlbkgError, NtupleError, WeightError
from mlbkg.ntuples.write import AtomicRootWriter
from mlbkg.samples.load import load_samples
from mlbkg.stages.select import select
from mlbkg.stages.sources import recipe_of, sources_of
from mlbkg.stages.train import TrainResult, train

MESSAGES = Path(__file__).resolve().parents[1] / "messages"
CONFIG = """\
analysis: bad
ntuples: {tree: t, event_id: [event]}
samples:
  - {name: signal, role: signal, files: signal.root}
  - {name: background, role: background, files: background.root, weight: w}
preselection: ["mass > 5"]
features: [x, y]
spectators: [mass]
training:
  folds: 2
  classifiers: [{backend: xgboost, n_estimators: 5, max_depth: 3}]
evaluation: {bootstrap: 10, permutation_rows: 100}
selection: {working_point: {signal_efficiency: 0.5}}
tracking: {enabled: false}
"""
Change = Callable[[np.ndarray], Any]


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write("signal")
    write("background")
    configure()


def write(sample: str, *, n: int = 600, **changes: Change) -> None:
    number = ("signal", "background").index(sample)
    rng = np.random.default_rng(number)
    columns = {
        "event": np.arange(n) + 100_000 * number,
        "x": rng.normal(1 - number, 1, n).astype("f4"),
        "y": rng.normal(number - 1, 1, n),
        "mass": rng.uniform(5, 6, n),
        "w": np.ones(n),
    }
    with AtomicRootWriter(f"{sample}.root", tree="t") as writer:
        writer.extend({**columns, **{name: change(columns[name]) for name, change in changes.items()}})


def configure(**replace: str) -> Path:
    """``CONFIG`` with the line of each given key replaced."""
    text = CONFIG
    for key, line in replace.items():
        text = re.sub(rf"(?m)^ *{key}:.*$", line, text)
    Path("bad.yaml").write_text(text, encoding="utf-8")
    return Path("bad.yaml")


def run() -> TrainResult:
    return train(Path("bad.yaml"), workers=1)


def refused(kind: type[MlbkgError]) -> MlbkgError:
    """The error that training ends with, having left nothing."""
    with pytest.raises(kind) as caught:
        run()
    assert not list(Path().glob("runs/*/*"))
    return caught.value


def golden(name: str) -> str:
    return (MESSAGES / f"{name}.txt").read_text(encoding="utf-8")


def every_tenth(value: float) -> Change:
    return lambda values: np.where(np.arange(len(values)) % 10 == 0, value, values)


def always(value: float) -> Change:
    return lambda values: np.full(len(values), value)


def test_empty_after_a_cut() -> None:
    write("signal", mass=lambda mass: np.arange(len(mass)) / 200)
    configure(preselection='preselection: ["mass > 1", "mass > 1.5", "mass > 5", "x > 0"]')
    assert f"{refused(EmptySampleError)}\n" == golden("train_empty_after_a_cut")


def test_infinities_are_told_by_feature_and_sample() -> None:
    write("signal", x=every_tenth(np.inf), y=lambda y: np.where(np.arange(len(y)) < 3, 1e300, y))
    write("background", x=every_tenth(-np.inf))
    assert f"{refused(MlbkgError)}\n" == golden("train_infinite_features")
    features = [f'{{name: {name}, expression: "where(isfinite({name}) && {name} < 1e30, {name}, nan)"}}' for name in "xy"]
    configure(features=f"features: [{', '.join(features)}]")
    assert np.isnan(run().trained.data.sample.features).sum(axis=0).tolist() == [120, 3]


def test_infinities_beside_the_features_do_no_harm() -> None:
    write("signal", mass=every_tenth(np.inf))
    write("background", mass=every_tenth(np.inf))
    (sculpting,) = run().trained.evaluations[0].sculpting
    assert sculpting.missing == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (np.nan, "feature 'y' is NaN for every candidate: it tells the classifiers nothing"),
        (2.5, "feature 'y' is 2.5 for every candidate: it tells the classifiers nothing"),
    ],
)
def test_a_feature_that_says_nothing_is_told(value: float, told: str, caplog: pytest.LogCaptureFixture) -> None:
    write("signal", y=always(value))
    write("background", y=always(value))
    with caplog.at_level(logging.WARNING, logger="mlbkg"):
        result = run()
    assert [record.message for record in caplog.records] == [told]
    importance = {line.name: line for line in result.trained.evaluations[0].importance}
    assert importance["y"].gain == 0
    assert select(Path("bad.yaml"), workers=1).failed == ()


def test_a_spectator_that_no_background_has(caplog: pytest.LogCaptureFixture) -> None:
    """As the true mass of the signal."""
    write("background", mass=always(np.nan))
    configure(preselection="")
    result = run()
    assert result.trained.evaluations[0].sculpting == ()
    assert "spectator 'mass' has no value for any background candidate" in caplog.text


def test_negative_weights_are_refused() -> None:
    write("background", w=every_tenth(-1))
    assert f"{refused(WeightError)}\n" == golden("train_negative_weights")


@pytest.mark.parametrize(("policy", "trained_sum", "trained_rows"), [("absolute", 600.0, 600), ("drop", 540.0, 540)])
def test_negative_weights_by_policy(policy: str, trained_sum: float, trained_rows: int) -> None:
    write("background", w=every_tenth(-1))
    configure(folds=f"  folds: 2\n  negative_weights: {policy}")
    result = run()
    data = result.trained.data
    report = data.negative_weights["background"]
    assert (report.n_negative, report.sum_before, report.sum_after) == (60, 480.0, trained_sum)
    background = data.sample.label == 0
    assert np.count_nonzero(data.weight[background]) == trained_rows
    assert data.weight[background].sum() == pytest.approx(data.weight[~background].sum())
    flow = {(row.sample, row.cut): row for row in select(Path("bad.yaml"), workers=1).cutflow}
    assert flow["background", "mass > 5"].weighted == 480
    assert flow["background", "mass > 5"].error == pytest.approx(np.sqrt(600))


@pytest.mark.parametrize(
    ("weight", "settings", "what"),
    [
        (always(0), "", "the training weights of the background (600 candidates) sum to zero"),
        (always(0), "balance_classes: false", "the training weights of the background sum to zero"),
        (always(-1), "negative_weights: drop", "the training weights of the background (0 candidates) sum to zero"),
        (always(-1), "negative_weights: absolute", "the weights of the background sum to -600 over 600 candidates"),
        (always(np.nan), "", "600 of 600 weights 'w' are not finite in background.root (sample 'background')"),
        (every_tenth(np.inf), "", "60 of 600 weights 'w' are not finite in background.root (sample 'background')"),
    ],
)  # fmt: skip
def test_weights_that_nothing_can_be_trained_on(weight: Change, settings: str, what: str) -> None:
    write("background", w=weight)
    configure(folds=f"  folds: 2\n  {settings}")
    assert refused(MlbkgError).what.startswith(what)


def test_three_candidates() -> None:
    write("signal", n=2)
    write("background", n=1)
    error = refused(EmptySampleError)
    assert error.what == "3 candidates are too few for 2 folds"
    assert "fold 0: no background candidate in the validation part" in error.details


def test_one_event() -> None:
    write("signal", event=always(7))
    write("background", event=always(7))
    assert refused(EmptySampleError).what == "1200 candidates are too few for 2 folds"


def test_one_class() -> None:
    Path("bad.yaml").write_text(CONFIG.replace("role: background", "role: signal"), encoding="utf-8")
    error = refused(ConfigError)
    assert error.details == (":3 samples: no sample has the role background; training needs one",)


def test_samples_that_number_their_events_alike() -> None:
    """Simulated samples often do: such events share a fold, but are not one event."""
    write("background", event=lambda event: event - 100_000)
    data = run().trained.data
    assert len(np.unique(data.event_index)) == 1200
    assert (data.sample.fold[:600] == data.sample.fold[600:]).all()


def test_event_numbers_that_are_not_whole() -> None:
    write("signal", event=every_tenth(0.5))
    assert (
        refused(NtupleError).what
        == "event id branch 'event' holds numbers that are not whole in signal.root (sample 'signal')"
    )


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda path: path.unlink(), "no such file: 'signal.root' (sample 'signal', config line 4)"),
        (lambda path: path.write_bytes(b""), "signal.root is empty (0 bytes), not a ROOT file"),
        (lambda path: path.write_bytes(b"text"), "signal.root is not a ROOT file: it starts with b'text'"),
        (lambda path: path.write_bytes(path.read_bytes()[:-2000]), "signal.root is truncated"),
        (lambda _: write("signal", n=0), "tree 't' in signal.root (sample 'signal', config line 4) is empty"),
    ],
    ids=["missing", "no bytes", "text", "truncated", "no rows"],
)  # fmt: skip
def test_a_file_that_cannot_be_trained_on(spoil: Callable[[Path], None], what: str) -> None:
    spoil(Path("signal.root"))
    error = refused(ConfigError)
    assert error.what.startswith(what)
    assert error.where == "bad.yaml:4"


def features_of(text: str) -> np.ndarray:
    """The matrix that the features ``text`` give."""
    config = load(configure(features=f"features: [{text}]")).config
    sources = sources_of(config, roles=("signal", "background"))
    return load_samples(sources, recipe_of(config), n_folds=2, salt="", workers=1).sample.features


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{name: x, column: y}, {name: y, column: x}", lambda x, y: [y, x]),
        ("{name: x, expression: y + 1}, {name: z, column: x}", lambda x, y: [y + 1, x]),
        ("{name: x, expression: x * 2}, {name: z, expression: x + y}", lambda x, y: [2 * x, 2 * x + y]),
        ("{name: z, expression: y + 1}, {name: x, expression: x * z}", lambda x, y: [y + 1, x * (y + 1)]),
        ("{name: event, expression: y}, x", lambda x, y: [y, x]),
    ],
)  # fmt: skip
def test_features_with_the_names_of_branches(text: str, expected: Callable[..., list[np.ndarray]]) -> None:
    """``column`` is a branch; in a formula, a feature hides the branch of its name, except from itself."""
    columns = {}
    for name in "xy":
        parts = [uproot.open(f"{sample}.root")["t"][name].array(library="np") for sample in ("signal", "background")]
        columns[name] = np.concatenate(parts)
    np.testing.assert_allclose(features_of(text), np.column_stack(expected(**columns)), rtol=1e-6)


def test_many_features() -> None:
    many = ", ".join(f"{{name: f{i}, expression: x * {i} + y}}" for i in range(65))
    configure(features=f"features: [{many}]")
    result = run()
    assert len(result.trained.evaluations[0].importance) == 65
    assert (result.files.figures / "correlations_xgboost.png").is_file()
