"""From skims to yields, limits and what they are written to: on candidates whose truth is known."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from mlbkg.config.load import load
from mlbkg.errors import ConfigError, EmptySampleError, LimitError, MlbkgError, WeightError
from mlbkg.ntuples.write import AtomicRootWriter
from mlbkg.stages.fit import fit
from mlbkg.stages.limit import limit
from mlbkg.stages.run_folder import RunFolder, new_run, write_manifest
from mlbkg.stages.study import study

MASS, SIGMA = 9.46, 0.0025
LOW, HIGH = 9.40, 9.52
CONFIG = """
analysis: bump
seed: 5
luminosity_per_fb: 10
ntuples: {tree: t, event_id: [event]}
samples:
  - {name: signal, role: signal, files: signal.root, cross_section_nb: 1.0e-5, generated_events: 8000}
  - {name: lost, role: background, files: lost.root}
  - {name: smooth, role: background, files: smooth.root}
features: [x]
spectators: [mass]
selection: {working_point: {score: 0.5}}
fit:
  variable: mass
  window: [9.40, 9.52]
  signal: gaussian
  background: {shape: chebyshev, order: 1}
  peaking: {samples: [lost], uncertainty: 0.1}
systematics:
  - {name: tracking, effect: 0.05}
  - {name: trigger, effect: 0.02, on: [signal, peaking]}
  - {name: resolution, width: 0.05}
limit:
  quantity: branching_fraction
  symbol: B
  parents: {cross_section_nb: 0.1, branching_fractions: {a: 0.5}}
  confidence_level: 0.9
  methods: [cls, bayesian, profile, pyhf]
tracking: {enabled: false}
"""
DATA = "  - {name: data, role: data, files: data.root}\nfeatures"

Make = Callable[..., RunFolder]


def skim(mass: np.ndarray, *, weight: float, seed: int = 0) -> dict[str, np.ndarray]:
    n = len(mass)
    fold = np.random.default_rng(seed).integers(0, 5, n).astype("i4")
    return {"mass": mass, "score": np.full(n, 0.9, dtype="f4"), "fold": fold, "physics_weight": np.full(n, weight)}


def truth() -> dict[str, dict[str, np.ndarray]]:
    """4000 of 8000 generated signal events, 200 peaking and 20,000 smooth candidates in weight."""
    rng = np.random.default_rng(1)
    return {
        "signal": skim(rng.normal(MASS, SIGMA, 4000), weight=100 / 8000),
        "lost": skim(rng.normal(MASS, SIGMA, 2000), weight=0.1),
        "smooth": skim(rng.uniform(LOW, HIGH, 10000), weight=2.0),
    }


def data(rng: np.random.Generator, *, signal: int) -> dict[str, np.ndarray]:
    parts = [rng.uniform(LOW, HIGH, rng.poisson(20000)), rng.normal(MASS, SIGMA, rng.poisson(200 + signal))]
    return skim(np.concatenate(parts), weight=1.0)


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Writes a config and a run with a finished selection of ``skims``, and works there."""
    monkeypatch.chdir(tmp_path)

    def write(skims: dict[str, dict[str, np.ndarray]], *, replace: dict[str, str] | None = None) -> RunFolder:
        text = CONFIG
        for old, new in {**({"features": DATA} if "data" in skims else {}), **(replace or {})}.items():
            assert old in text
            text = text.replace(old, new, 1)
        Path("bump.yaml").write_text(text, encoding="utf-8")
        run = new_run("bump")
        with run.writing("train") as folder:
            write_manifest(folder, {"stage": "train"})
        with run.writing("select") as folder:
            for name, columns in skims.items():
                for path in (folder / f"{name}.root", Path(f"{name}.root")):
                    with AtomicRootWriter(path, tree="t", metadata={}) as writer:
                        writer.extend(columns)
            files = [{"sample": name, "skim": f"{name}.root"} for name in skims]
            (folder / "cutflow.json").write_text(json.dumps({"files": files, "failed": [], "threshold": 0.5}))
            write_manifest(folder, {"stage": "select"})
        return run

    return write


def test_without_data_the_expected_yields_and_errors(make: Make) -> None:
    run = make(truth())
    result = fit(Path("bump.yaml"))
    found = result.to_json()
    assert {path.name for path in result.hepdata} == {"submission.yaml", "fit_yields.yaml"}
    assert all(path.is_file() for path in (*result.hepdata, *result.figures))
    assert found["dataset"] == "expected"
    assert found["converged"]
    yields = found["yields"]
    assert yields["signal"]["value"] == pytest.approx(0, abs=1)
    assert yields["peaking"]["value"] == pytest.approx(200, rel=1e-3)
    assert yields["background"]["value"] == pytest.approx(20000, rel=1e-3)
    # A Gaussian peak over a flat known background: sigma^2 = 2 sqrt(pi) s b, with b per unit of mass; the peaking
    # background adds its shot noise under the peak and its own 10 % and 2 %; the free smooth background a little more.
    flat = 2 * math.sqrt(math.pi) * SIGMA * (20000 / (HIGH - LOW))
    known = math.sqrt(flat + 200 + (200 * math.hypot(0.1, 0.02)) ** 2)
    assert 0.95 < yields["signal"]["error"] / known < 1.25
    assert {path.name for path in (run.stage("fit") / "figures").iterdir()} >= {"fit.png", "likelihood_scan.png"}


def test_injected_signal_is_expected_back(make: Make) -> None:
    make(truth())
    yields = fit(Path("bump.yaml"), inject=500).to_json()["yields"]
    assert yields["signal"]["value"] == pytest.approx(500, rel=1e-3)


@pytest.mark.parametrize("method", ["binned", "unbinned"])
def test_a_signal_in_data_is_found(make: Make, method: str) -> None:
    make(
        {**truth(), "data": data(np.random.default_rng(2), signal=600)},
        replace={"signal: gaussian": f"signal: gaussian\n  method: {method}"},
    )
    found = fit(Path("bump.yaml")).to_json()
    signal = found["yields"]["signal"]
    assert (found["dataset"], found["method"]) == ("data", method)
    assert abs(signal["value"] - 600) < 3 * signal["error"]
    assert signal["value"] > 5 * signal["error"]
    assert found["p_value"] > 1e-3


def test_the_limit_is_on_the_branching_fraction(make: Make) -> None:
    run = make(truth())
    result = limit(Path("bump.yaml"))
    found = result.to_json()
    # 10 fb^-1 x 0.1 nb x 0.5 decays, of which 4000 of 8000 are selected, all of them in the window
    per_unit = 10 * 0.1e6 * 0.5 * 0.5
    assert found["ingredients"]["candidates_per_unit"] == pytest.approx(per_unit, rel=1e-6)
    assert found["ingredients"]["efficiency"]["value"] == pytest.approx(0.5)
    assert found["ingredients"]["efficiency"]["error"] == pytest.approx(math.sqrt(0.5 * 0.5 / 8000), rel=1e-6)
    # Median expected CLs limit of a Gaussian estimate: sigma Phi^-1(1 - alpha / 2); eq. (89) of arXiv:1007.1727 with N = 0.
    flat = 2 * math.sqrt(math.pi) * SIGMA * (20000 / (HIGH - LOW))
    sigma = math.sqrt(flat + 200) / per_unit
    statistical = found["statistical_only"]["cls"]["expected"]
    assert 0.95 < statistical / (norm.isf(0.05) * sigma) < 1.25
    for name, told in found["methods"].items():
        assert told["observed"] is None
        assert told["expected"] > found["statistical_only"][name]["expected"]
        assert told["minus_2sigma"] < told["minus_1sigma"] < told["expected"] < told["plus_1sigma"] < told["plus_2sigma"]
    assert found["methods"]["pyhf"]["expected"] == pytest.approx(found["methods"]["cls"]["expected"], rel=0.02)
    assert {impact["nuisance"] for impact in found["impacts"]} == {
        "tracking", "trigger", "resolution", "peaking_yield", "signal_simulation",
    }  # fmt: skip
    assert found["impacts"][0]["nuisance"] == "peaking_yield"
    assert json.loads((run.stage("limit") / "workspace.json").read_text())["version"] == "1.0.0"
    assert {path.name for path in result.hepdata} >= {"submission.yaml"}
    assert all(path.is_file() for path in (*result.hepdata, *result.figures))


def test_an_observed_limit_lies_where_the_data_put_it(make: Make) -> None:
    make({**truth(), "data": data(np.random.default_rng(3), signal=600)})
    found = limit(Path("bump.yaml")).to_json()
    for told in found["methods"].values():
        assert told["observed"] > told["plus_2sigma"]
    assert found["discovery"]["significance"] > 3


CONTROL = {
    "signal: gaussian": "signal: gaussian\n  signal_from: control",
    "uncertainty: 0.1}": """control: {modes: [{name: mumu, lost: "mode == 13", seen: ["tracks == 2"]}]}}""",
}


def test_the_signal_shape_can_come_from_the_control_sample(make: Make) -> None:
    """Seen candidates that are 1.6 times as wide as the signal sample, cut off at 2.5 of their widths."""
    skims = truth()
    lost = skims["lost"]
    n = len(lost["mass"])
    make({**skims, "lost": {**lost, "mode": np.full(n, 13)}}, replace=CONTROL)
    rng = np.random.default_rng(8)
    wide = rng.normal(MASS, 0.004, 4000)
    wide = wide[np.abs(wide - MASS) < 0.010]
    with AtomicRootWriter("lost.root", tree="t", metadata={}) as writer:
        writer.extend({"event": np.arange(len(wide)), "x": wide, "mass": wide, "tracks": np.full(len(wide), 2)})
    found = fit(Path("bump.yaml")).extracted.signal_shape["sigma"]
    assert abs(found.value - 0.004) < 4 * found.error
    assert found.value - 0.0025 > 10 * found.error


BLIND = {"signal: gaussian": "signal: gaussian\n  blind: [9.45, 9.47]"}


def outputs(run: RunFolder, stage: str) -> dict[str, bytes]:
    folder = run.stage(stage)
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != "manifest.json"
    }


def test_nothing_depends_on_blinded_data(make: Make) -> None:
    """Byte for byte: the fit's and the limit's files are the same whatever the blind range holds."""
    rng = np.random.default_rng(4)
    beside = np.concatenate([rng.uniform(LOW, 9.4499, 9000), rng.uniform(9.4701, HIGH, 8000)])
    told = []
    for hidden in (10, 7000):
        inside = rng.uniform(9.4501, 9.4699, hidden)
        run = make({**truth(), "data": skim(np.concatenate([beside, inside]), weight=1.0)}, replace=BLIND)
        found, limits = fit(Path("bump.yaml"), run=run.path), limit(Path("bump.yaml"), run=run.path)
        assert found.to_json()["dataset"] == "data sidebands"
        assert all(method["observed"] is None for method in limits.to_json()["methods"].values())
        assert run.manifest("fit")["unblind"] is False
        told.append((outputs(run, "fit"), outputs(run, "limit")))
    assert told[0] == told[1]
    # 17,000 beside the range; flat in the simulation, 100 of 120 MeV lie there
    assert found.to_json()["yields"]["background"]["value"] == pytest.approx(17000 * 120 / 100, rel=0.01)


def test_unblinding_is_recorded(make: Make) -> None:
    run = make({**truth(), "data": data(np.random.default_rng(5), signal=0)}, replace=BLIND)
    found = fit(Path("bump.yaml"), unblind=True)
    assert found.to_json()["dataset"] == "data"
    manifest = run.manifest("fit")
    assert manifest["unblind"] is True
    assert manifest["unblinded_utc"].startswith("20")


def test_the_study_finds_no_bias(make: Make) -> None:
    """Pulls of 60 toys per signal: mean within 4 standard errors of 0, width within 4 of 1."""
    make(truth())
    result = study(Path("bump.yaml"), toys=60, workers=1)
    assert [point.value for point in result.points] == pytest.approx([0, result.expected, 3 * result.expected])
    for point in result.points:
        assert point.failed == 0
        assert abs(point.mean_pull) < 4 * point.mean_pull_error
        assert abs(point.pull_width - 1) < 4 * point.pull_width_error
    assert result.figure.is_file()


def test_many_candidates_are_binned_by_themselves(make: Make) -> None:
    make(
        {**truth(), "data": data(np.random.default_rng(6), signal=0)}, replace={"window:": "unbinned_up_to: 1000\n  window:"}
    )
    result = fit(Path("bump.yaml"))
    assert result.extracted.method == "binned"
    assert result.extracted.goodness.ndf > 100  # of 120 bins


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"signal": skim(np.full(50, 9.6), weight=1.0)}, EmptySampleError, "no candidates of signal in the fit window"),
        ({"signal": skim(np.full(50, 9.46), weight=0.0)}, WeightError, "have weight zero"),
        ({"smooth": skim(np.full(50, 9.3), weight=1.0)}, EmptySampleError, "no candidates of simulated background"),
        ({"data": skim(np.full(50, 9.6), weight=1.0)}, EmptySampleError, "no candidates of data in the fit window"),
    ],
)
def test_bad_input_says_what_to_change(
    make: Make, change: dict[str, dict[str, np.ndarray]], error: type[MlbkgError], text: str
) -> None:
    make({**truth(), **change})
    with pytest.raises(error, match=text) as caught:
        fit(Path("bump.yaml"))
    assert caught.value.hint


@pytest.mark.parametrize(
    ("limits", "advice"), [("[0, 1.0e-6]", "raise its upper end"), ("[0.1, 0.2]", "lower its lower end")]
)
def test_a_scan_range_that_does_not_hold_the_limit(make: Make, limits: str, advice: str) -> None:
    make(truth(), replace={"methods:": f"scan_range: {limits}\n  methods:"})
    with pytest.raises(LimitError, match="does not hold every limit") as caught:
        limit(Path("bump.yaml"))
    assert advice in caught.value.hint


def test_a_selection_that_lacks_a_sample_is_refused(make: Make) -> None:
    skims = truth()
    make({name: skims[name] for name in ("signal", "smooth")})
    with AtomicRootWriter("lost.root", tree="t", metadata={}) as writer:
        writer.extend(skims["lost"])
    with pytest.raises(MlbkgError, match="it lacks 'lost'") as caught:
        fit(Path("bump.yaml"))
    assert caught.value.hint == "Select again: mlbkg select bump.yaml"


def test_without_a_section_fit_there_is_nothing_to_fit(make: Make) -> None:
    make(truth())
    text = Path("bump.yaml").read_text()
    Path("bump.yaml").write_text(text[: text.index("fit:")])
    assert load(Path("bump.yaml")).config.fit is None
    with pytest.raises(ConfigError, match="no section 'fit'"):
        fit(Path("bump.yaml"))
