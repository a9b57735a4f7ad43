"""The model that a fit starts from: what its parts are made of, without any file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mlbkg.config.load import LoadedConfig, load
from mlbkg.config.statistics_semantics import TAKEN, TAKEN_PREFIXES
from mlbkg.fitting.base import Window
from mlbkg.fitting.peaking import Counted, Mode, predict_peaking
from mlbkg.stages.fit_inputs import FitInputs, Selected
from mlbkg.stages.fit_model import SignalEfficiency, build_model, signal_efficiency

LOW, HIGH, MASS, SIGMA = 9.40, 9.52, 9.46, 0.0025
CONFIG = """
analysis: bump
luminosity_per_fb: 10
ntuples: {tree: t, event_id: [event]}
samples:
  - {name: signal, role: signal, files: signal.root, cross_section_nb: 1.0e-5, generated_events: 20000}
  - {name: lost, role: background, files: lost.root}
  - {name: smooth, role: background, files: smooth.root}
features: [x]
spectators: [mass]
fit:
  variable: mass
  window: [9.40, 9.52]
  signal: gaussian
  background: {shape: chebyshev, order: 2}
  peaking: {samples: [lost], uncertainty: 0.1}
systematics:
  - {name: tracking, effect: 0.05}
  - {name: trigger, effect: 0.02, on: [signal, peaking]}
  - {name: position, mean: 0.0003}
  - {name: resolution, width: 0.03}
  - {name: more_resolution, width: 0.04}
limit: {quantity: cross_section, symbol: σ}
"""


@pytest.fixture
def loaded(tmp_path: Path) -> LoadedConfig:
    path = tmp_path / "bump.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    return load(path)


def selected(x: np.ndarray, *, weight: float, seed: int = 0) -> Selected:
    fold = np.random.default_rng(seed).integers(0, 5, len(x)).astype("i4")
    return Selected(x, np.full(len(x), weight), fold)


@pytest.fixture
def inputs() -> FitInputs:
    rng = np.random.default_rng(1)
    simulated = {
        "signal": selected(rng.normal(MASS, SIGMA, 12000), weight=1e-5 * 10e6 / 20000),
        "lost": selected(rng.normal(MASS, SIGMA, 2000), weight=0.1),
        "smooth": selected(rng.uniform(LOW, HIGH, 10000), weight=2.0),
    }
    return FitInputs(Window(LOW, HIGH), simulated, None, None)


def test_rates_effects_and_constraints_are_those_of_the_config(loaded: LoadedConfig, inputs: FitInputs) -> None:
    built = build_model(loaded, inputs, None, quantity="cross_section")
    signal, peaking, background = built.model.components
    # 12000 of 20000 generated are selected; L = 10 /fb, so that 1 fb gives 10 x 0.6 candidates
    assert signal.rate.scale == pytest.approx(6)
    assert signal.rate.effects == pytest.approx(
        {"tracking": 0.05, "trigger": 0.02, "signal_simulation": np.sqrt(0.4 / 12000)}
    )
    assert peaking.rate.scale == pytest.approx(200)
    assert peaking.rate.effects == {"peaking_yield": 0.1, "trigger": 0.02}
    assert background.rate.effects == {}
    parameters = {parameter.name: parameter for parameter in built.model.parameters}
    assert parameters["background"].start == pytest.approx(20000, rel=1e-6)
    assert (parameters["position"].constraint.mean, parameters["position"].constraint.sigma) == (0.0, 0.0003)
    # Two independent widths, 3 % and 4 %, move one parameter by 5 %
    assert (parameters["peak_width"].constraint.mean, parameters["peak_width"].constraint.sigma) == (1.0, 0.05)
    assert signal.shape_parameters == peaking.shape_parameters == ("position", "peak_width")
    assert built.signal.result["mean"].value == pytest.approx(MASS, abs=5 * SIGMA / np.sqrt(12000))
    assert built.ingredients.simulated == pytest.approx(10)  # 1e-5 nb in fb


def test_a_yield_has_no_effects_on_the_signal(loaded: LoadedConfig, inputs: FitInputs) -> None:
    signal = build_model(loaded, inputs, None, quantity="yield").model.components[0]
    assert (signal.rate.scale, dict(signal.rate.effects)) == (1.0, {})


def test_a_predicted_peaking_background_brings_its_own_uncertainties(loaded: LoadedConfig, inputs: FitInputs) -> None:
    mode = Mode("mumu", lost=Counted(400, 100.0, 5.0), seen=Counted(10000, 2500.0, 25.0), control=2400)
    prediction = predict_peaking([mode], [])
    peaking = build_model(loaded, inputs, prediction, quantity="yield").model.components[1]
    assert peaking.rate.scale == pytest.approx(2400 * 100 / 2500)
    assert peaking.rate.effects["peaking_control"] == pytest.approx(1 / np.sqrt(2400))
    assert "peaking_yield" not in peaking.rate.effects


def test_names_that_a_model_gives_are_refused_to_systematics(loaded: LoadedConfig, inputs: FitInputs) -> None:
    """Else one nuisance parameter would stand for two things."""
    bare = replace(loaded, config=loaded.config.model_copy(update={"systematics": ()}))
    mode = Mode("mumu", lost=Counted(400, 100.0, 5.0), seen=Counted(10000, 2500.0, 25.0), control=2400)
    for quantity in ("yield", "cross_section"):
        for peaking in (None, predict_peaking([mode], [])):
            built = build_model(bare, inputs, peaking, quantity=quantity)
            own = [parameter.name for parameter in built.model.parameters]
            assert [name for name in own if name not in TAKEN and not name.startswith(TAKEN_PREFIXES)] == []


def efficiency(loaded: LoadedConfig, rng: np.random.Generator, keep: list[float]) -> SignalEfficiency:
    """20000 produced events in folds at random; each fold's model keeps its own share."""
    fold = rng.integers(0, 5, 20000)
    fold = fold[rng.random(20000) < np.array(keep)[fold]]
    signal = Selected(np.full(len(fold), MASS), np.full(len(fold), 0.005), fold.astype("i4"))
    signals = [sample for sample in loaded.config.samples if sample.role == "signal"]
    return signal_efficiency(loaded.config, signals, FitInputs(Window(LOW, HIGH), {"signal": signal}, None, None))


def test_the_efficiency_s_error_is_binomial_and_its_folds_agree(loaded: LoadedConfig) -> None:
    rng = np.random.default_rng(2)
    found = [efficiency(loaded, rng, [0.64] * 5) for _ in range(400)]
    values = np.array([one.total.value for one in found])
    # A binomial share of 20000 has the standard deviation sqrt(p (1 - p) / 20000); that of 400 of them is known to 3.5 %
    assert values.mean() == pytest.approx(0.64, abs=4 * 0.0034 / 20)
    assert values.std() == pytest.approx(np.sqrt(0.64 * 0.36 / 20000), rel=0.14)
    assert found[0].total.error == pytest.approx(np.sqrt(0.64 * 0.36 / 20000), rel=0.02)
    # chi-square of 4 degrees of freedom: mean 4, standard deviation sqrt(8), over 20 for 400
    assert np.mean([one.chi2 for one in found]) == pytest.approx(4, abs=4 * np.sqrt(8) / 20)
    assert found[0].ndf == 4


def test_a_fold_whose_model_knew_its_events_stands_out(loaded: LoadedConfig) -> None:
    found = efficiency(loaded, np.random.default_rng(3), [0.64, 0.64, 0.80, 0.64, 0.64])
    assert found.p_value < 1e-6
    assert max(range(5), key=lambda k: found.by_fold[k].value) == 2
