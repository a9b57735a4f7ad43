"""From skims to significances and limits of a search over masses: on candidates whose truth is known."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.random import Generator

from mlbkg.config.load import load
from mlbkg.errors import BlindError, ConfigError, MlbkgError, WeightError
from mlbkg.ntuples.write import AtomicRootWriter
from mlbkg.report.html import Picture
from mlbkg.stages.limit import limit
from mlbkg.stages.report_scan import scan_section
from mlbkg.stages.report_statistics import limit_section
from mlbkg.stages.run_folder import RunFolder, new_run, write_manifest
from mlbkg.stages.scan import scan
from mlbkg.stages.scan_study import ScanStudyResult
from mlbkg.stages.study import study

LUMINOSITY = 0.276
MASSES = (0.1, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)
GENERATED = 2000
EFFICIENCY = 0.2
"""Of the selection; a window of +- 2 sigma holds 95.45 % of a Gaussian peak of it."""
CONFIG = """
analysis: bump
seed: 5
luminosity_per_fb: 0.276
ntuples: {tree: t, event_id: [event]}
candidates: {pair: mumu, beams: Y4S}
samples:
  - {name: signal, role: signal, files: signal.root, cross_section_nb: 9.0e-6}
  - {name: tautau, role: background, files: tautau.root}
  - {name: eemumu, role: background, files: eemumu.root}
features: [nTracksROE]
spectators: [m2Recoil]
selection: {working_point: {score: 0.5}}
scan:
  axes: [{name: mass, variable: m2Recoil, power: 2, truth: mc_mass, symbol: "M(Z′)", range: [0.1, 8.0]}]
  hypotheses: 40
  toys: 200
  pseudo_data: {seed: 1}
systematics:
  - {name: trigger, effect: 0.06, on: [signal, background]}
  - {name: two_photon, effect: 0.2, on: [background], samples: [eemumu]}
limit:
  quantity: cross_section
  symbol: "σ(e⁺e⁻ → μ⁺μ⁻ Z′)"
  methods: [cls, bayesian]
  couplings: [zprime_lmu_ltau, zprime_invisible]
  beside:
    - {name: "a paper", coupling: zprime_invisible, points: [[1.0, 0.05], [3.0, 0.14], [6.0, 1.0]]}
tracking: {enabled: false}
"""

Make = Callable[..., RunFolder]


def width(mass: np.ndarray | float) -> np.ndarray:
    """Of the peak in the squared recoil mass, GeV^2: about Belle II's (physics: falls with the mass)."""
    return np.asarray(0.29 - 0.028 * np.asarray(mass))


def skim(m2: np.ndarray, *, weight: float, first_event: int, mass: np.ndarray | None = None) -> dict[str, np.ndarray]:
    n = len(m2)
    columns = {
        "m2Recoil": m2.astype("f4"),
        "score": np.full(n, 0.9, dtype="f4"),
        "event": first_event + np.arange(n),
        "physics_weight": np.full(n, weight),
    }
    return columns if mass is None else {**columns, "mc_mass": mass}


def peak(rng: Generator, mass: float, n: int) -> np.ndarray:
    return rng.normal(mass**2, float(width(mass)), n)


def background(rng: Generator, n: int) -> np.ndarray:
    """Falls as exp(-m2 / 30) between -2 and 70 GeV^2."""
    u = rng.random(n)
    return -2 - 30 * np.log1p(-u * -np.expm1(-72 / 30))


def truth() -> dict[str, dict[str, np.ndarray]]:
    """20 % of 2000 events of each mass, 600 candidates of tautau in weight and 200 of eemumu with a weight of 4."""
    rng = np.random.default_rng(1)
    kept = round(EFFICIENCY * GENERATED)
    signal = np.concatenate([peak(rng, mass, kept) for mass in MASSES])
    return {
        "signal": skim(
            signal,
            weight=1e-6 * len(MASSES) * 1e6 * LUMINOSITY / (GENERATED * len(MASSES)),
            first_event=0,
            mass=np.repeat(MASSES, kept),
        ),
        "tautau": skim(background(rng, 12000), weight=0.05, first_event=100000),
        "eemumu": skim(background(rng, 50), weight=4.0, first_event=200000),
    }


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Writes a config and a run with a finished selection of ``skims``, and works there."""
    monkeypatch.chdir(tmp_path)

    def write(
        skims: dict[str, dict[str, np.ndarray]],
        *,
        replace: dict[str, str] | None = None,
        generated: list[list[float]] | None = None,
    ) -> RunFolder:
        text = CONFIG
        for old, new in (replace or {}).items():
            assert old in text
            text = text.replace(old, new, 1)
        Path("bump.yaml").write_text(text, encoding="utf-8")
        run = new_run("bump")
        rows = generated or [[mass, GENERATED] for mass in MASSES]
        told = {"events": sum(row[-1] for row in rows), "generated": rows}
        with run.writing("train") as folder:
            write_manifest(folder, {"stage": "train"})
        with run.writing("select") as folder:
            for name, columns in skims.items():
                for path in (folder / f"{name}.root", Path(f"{name}.root")):
                    with AtomicRootWriter(path, tree="t", metadata=told if name == "signal" else {}) as writer:
                        writer.extend(columns)
            files = [{"sample": name, "skim": f"{name}.root"} for name in skims]
            (folder / "cutflow.json").write_text(json.dumps({"files": files, "failed": [], "threshold": 0.5}))
            write_manifest(folder, {"stage": "select"})
        return run

    return write


def test_windows_hold_what_is_simulated(make: Make) -> None:
    run = make(truth())
    found = scan(Path("bump.yaml")).to_json()
    assert found["dataset"] == "pseudo-data"
    hypotheses = found["hypotheses"]
    masses = np.array([told["mass"] for told in hypotheses])
    assert (masses[0], masses[-1], len(masses)) == (0.1, 8.0, 40)
    for told in hypotheses:
        # 20 % are selected, and 95.45 % of a Gaussian peak lie within 2 sigma; the width is measured to 4 %
        assert told["efficiency"] == pytest.approx(EFFICIENCY * 0.9545, abs=4 * told["efficiency_error"])
        assert told["efficiency_error"] == pytest.approx(np.sqrt(told["efficiency"] / GENERATED), rel=0.05)
        assert told["signal_per_fb"] == pytest.approx(told["efficiency"] * LUMINOSITY)
        assert (told["low"][0] + told["high"][0]) / 2 == pytest.approx(told["mass"] ** 2, abs=0.1)
        # 800 candidates in weight fall as exp(-m2 / 30) between -2 and 70
        density = 800 / 30 / -np.expm1(-72 / 30) * np.exp(-(told["mass"] ** 2 + 2) / 30)
        expected = density * (told["high"][0] - told["low"][0])
        assert told["background"] == pytest.approx(expected, abs=4 * told["background_statistical_error"])
        by_sample = told["background_by_sample"]
        assert sum(by_sample.values()) == pytest.approx(told["background"])
        # the trigger acts on all, the cross section on eemumu alone
        systematic = np.hypot(0.06 * told["background"], 0.2 * by_sample["eemumu"])
        assert told["background_error"] == pytest.approx(np.hypot(systematic, told["background_statistical_error"]))
    assert {path.name for path in (run.stage("scan") / "figures").iterdir()} == {
        "spectrum.png", "expectation.png", "local_p.png",
    }  # fmt: skip
    assert run.manifest("scan")["dataset"] == "pseudo-data"


def test_without_data_only_expectations(make: Make) -> None:
    make(truth(), replace={"  pseudo_data: {seed: 1}\n": ""})
    found = scan(Path("bump.yaml")).to_json()
    assert (found["dataset"], found["largest_excess"], found["excesses"]) == ("none", None, None)
    assert all(told["observed"] is None and told["p_value"] is None for told in found["hypotheses"])
    told = limit(Path("bump.yaml")).to_json()["scan"]
    assert all(entry["methods"]["cls"]["observed"] is None for entry in told)
    assert all(entry["methods"]["cls"]["expected"] > 0 for entry in told)


def test_limits_of_every_hypothesis(make: Make) -> None:
    run = make(truth())
    scan(Path("bump.yaml"))
    result = limit(Path("bump.yaml"))
    found = result.to_json()
    assert (found["confidence_level"], found["unit"], found["dataset"]) == (0.9, "fb", "pseudo-data")
    for told in found["scan"]:
        for band in told["methods"].values():
            assert band["minus_2sigma"] <= band["minus_1sigma"] <= band["expected"] <= band["plus_1sigma"]
            # no counting limit at 90 % is below 2.3026 events (physics: T1, T2), with uncertainties a little more
            assert band["minus_2sigma"] > 2.3025 / told["signal_per_fb"]
        # g' = sqrt(sigma / sigma(g' = 1)), and the model's branching fraction makes its limit the weaker one
        invisible, model = (told["couplings"][name]["cls"] for name in ("zprime_invisible", "zprime_lmu_ltau"))
        assert model["expected"] >= invisible["expected"]
        ratio = invisible["plus_1sigma"] / invisible["expected"]
        assert ratio**2 == pytest.approx(told["methods"]["cls"]["plus_1sigma"] / told["methods"]["cls"]["expected"])
    (beside,) = found["beside"]
    assert min(beside["mass"]) >= 1.0
    assert max(beside["mass"]) <= 6.0
    at_three = np.interp(3.0, beside["mass"], beside["published"])
    assert at_three == pytest.approx(0.14, rel=0.05)
    assert set(beside["expected_over_published"]) == {"cls", "bayesian"}
    assert {path.name for path in result.figures} == {
        "cross_section_limits.png", "zprime_lmu_ltau_expected.png", "zprime_lmu_ltau_limits_cls.png",
        "zprime_lmu_ltau_limits_bayesian.png",
    }  # fmt: skip
    assert all(path.is_file() for path in (*result.figures, *result.hepdata))
    saved = json.loads((run.stage("limit") / "limit.json").read_text())
    assert len(saved["limits"][0]["expected"][2]) == 40


@pytest.mark.parametrize("settings", ["counting", "counting\n  background: neighbours", "local_fits"])
def test_a_signal_in_data_is_found(make: Make, settings: str) -> None:
    rng = np.random.default_rng(8)
    # 150 selected signal candidates at 5 GeV: 150 / (0.2 * 0.276) = 2717 fb
    data = np.concatenate([background(rng, rng.poisson(800)), peak(rng, 5.0, 150)])
    make(
        {**truth(), "data": skim(data, weight=1.0, first_event=300000)},
        replace={
            "features:": "  - {name: data, role: data, files: data.root}\nfeatures:",
            "toys: 200": f"toys: 200\n  method: {settings}",
            "hypotheses: 40": "hypotheses: 120",
        },
    )
    found = scan(Path("bump.yaml")).to_json()
    largest = found["largest_excess"]
    assert found["dataset"] == "data"
    assert largest["mass"] == pytest.approx(5.0, abs=0.06)
    assert largest["significance"] > 5
    assert largest["global_p_value"] == pytest.approx(1 / 201)
    told = next(told for told in found["hypotheses"] if told["mass"] == largest["mass"])
    assert told["cross_section_fb"] == pytest.approx(150 / EFFICIENCY / LUMINOSITY, rel=0.25)
    assert abs(told["cross_section_fb"] - 2717) < 4 * told["cross_section_error_fb"]
    if settings != "local_fits":
        assert told["spurious_signal_sigma"] is None


def test_local_fits_tell_where_the_background_alone_looks_like_a_signal(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    straight = {"toys: 200": "toys: 200\n  method: local_fits\n  local_fits: {order: 0, half_range: 30}"}
    make(truth(), replace=straight)
    found = scan(Path("bump.yaml")).to_json()["hypotheses"]
    # A constant cannot follow a background that changes over the range of the fit
    assert max(abs(one["spurious_signal_sigma"]) for one in found) > 0.5
    assert "errors of signal in the simulated background itself" in caplog.text
    make(truth(), replace={"toys: 200": "toys: 200\n  method: local_fits"})
    found = scan(Path("bump.yaml")).to_json()["hypotheses"]
    assert np.median([abs(one["spurious_signal_sigma"]) for one in found]) < 0.5


def test_injected_signals_are_as_many_as_their_cross_section_says(make: Make) -> None:
    make(
        truth(),
        replace={
            "pseudo_data: {seed: 1}": "pseudo_data: {seed: 1, inject: [{masses: [3.3], cross_section_fb: 4000}]}",
            "hypotheses: 40": "hypotheses: 400",
        },
    )
    found = scan(Path("bump.yaml")).to_json()
    assert found["dataset"] == "pseudo-data"
    assert found["largest_excess"]["mass"] == pytest.approx(3.3, abs=0.1)
    told = max(found["hypotheses"], key=lambda told: told["significance"] or 0.0)
    assert told["cross_section_fb"] == pytest.approx(4000, rel=0.2)


@pytest.mark.parametrize("method", ["counting", "local_fits"])
def test_global_p_values_are_uniform_and_signals_are_found_as_they_are(make: Make, method: str) -> None:
    make(truth(), replace={"toys: 200": f"toys: 200\n  method: {method}", "hypotheses: 40": "hypotheses: 16"})
    result = study(Path("bump.yaml"), toys=100)
    assert isinstance(result, ScanStudyResult)
    assert result.figure.is_file()
    told = result.to_json()
    assert told["global_p_value"]["uniformity_p_value"] > 0.01
    assert told["global_p_value"]["mean"] == pytest.approx(0.5, abs=4 * np.sqrt(1 / 12 / 100))
    for found in told["recovered"]:
        error = max(found["significance_error"], 0.1)
        assert found["significance"] == pytest.approx(found["injected"], abs=4 * error)
        if found["injected"] >= 3:
            assert abs(found["estimated"] - found["cross_section_fb"]) < 4 * found["estimated_error"] + 5
            assert found["pull_width"] == pytest.approx(1, abs=0.35)
        if found["injected"] == 5:
            assert found["found"] > 0.9


def test_a_scan_by_another_config_is_refused(make: Make) -> None:
    make(truth())
    with pytest.raises(MlbkgError, match="holds no finished scan") as caught:
        limit(Path("bump.yaml"))
    assert caught.value.hint == "Make one: mlbkg scan bump.yaml"
    scan(Path("bump.yaml"))
    text = Path("bump.yaml").read_text()
    Path("bump.yaml").write_text(text.replace("hypotheses: 40", "hypotheses: 41"))
    with pytest.raises(MlbkgError, match="was made with another config"):
        limit(Path("bump.yaml"))


def test_a_config_without_scan(make: Make) -> None:
    make(truth())
    text = Path("bump.yaml").read_text()
    start, end = text.index("scan:"), text.index("systematics:")
    Path("bump.yaml").write_text(text[:start] + "limit: {}\ntracking: {enabled: false}\n")
    assert end > start
    with pytest.raises(ConfigError, match="has no section 'scan'"):
        scan(Path("bump.yaml"))


def test_what_the_files_do_not_tell(make: Make) -> None:
    skims = truth()
    skims["signal"]["mc_mass"] = skims["signal"]["mc_mass"] + 0.05
    make(skims)
    with pytest.raises(
        WeightError, match=r"3600 signal candidates have a true mass that was not generated, such as 0\.15 GeV"
    ):
        scan(Path("bump.yaml"))


PLANE = {
    "cross_section_nb: 9.0e-6": "cross_section_nb: 3.6e-5",
    "spectators: [m2Recoil]": "spectators: [m2Recoil, MLL]",
    'axes: [{name: mass, variable: m2Recoil, power: 2, truth: mc_mass, symbol: "M(Z′)", range: [0.1, 8.0]}]': (
        "axes: [{name: mass_u, variable: MLL, truth: mc_mass, range: [5.0, 8.0]}, "
        "{name: mass_h, variable: m2Recoil, power: 2, truth: mc_mass_h, range: [0.0, 2.0]}]"
    ),
    "couplings: [zprime_lmu_ltau, zprime_invisible]": "couplings: [dark_higgs]",
    """  beside:
    - {name: "a paper", coupling: zprime_invisible, points: [[1.0, 0.05], [3.0, 0.14], [6.0, 1.0]]}
""": "",
}


def test_a_plane_has_cells(make: Make) -> None:
    """Both kinds of scan go the same way; the plane itself is tested elsewhere."""
    rng = np.random.default_rng(3)
    pairs = [(u, h) for u in (5.0, 6.0, 7.0, 8.0) for h in (0.1, 1.0, 2.0)]
    signal = [skim(peak(rng, h, 200), weight=1e-3, first_event=0, mass=np.full(200, u)) for u, h in pairs]
    together = {name: np.concatenate([part[name] for part in signal]) for name in signal[0]}
    together["event"] = np.arange(len(together["event"]))
    together["mc_mass_h"] = np.repeat([h for _, h in pairs], 200)
    together["MLL"] = rng.normal(together["mc_mass"], 0.03)
    others = {name: columns for name, columns in truth().items() if name != "signal"}
    for columns in others.values():
        columns["MLL"] = rng.uniform(4.5, 8.5, len(columns["event"]))
    run = make({"signal": together, **others}, replace=PLANE, generated=[[u, h, 1000] for u, h in pairs])
    found = scan(Path("bump.yaml")).to_json()
    assert len(found["hypotheses"]) > 100
    assert found["hypotheses"][0].keys() >= {"mass_u", "mass_h", "p_value"}
    assert sum(told["observed"] for told in found["hypotheses"]) > 0
    result = limit(Path("bump.yaml"))
    told = result.to_json()["scan"]
    assert told[0]["couplings"]["dark_higgs"]["cls"]["expected"] > 0
    assert {path.name for path in (run.stage("limit") / "figures").iterdir()} >= {
        "cross_section_map.png", "dark_higgs_map.png",
    }  # fmt: skip


def test_the_report_tells_of_it(make: Make) -> None:
    run = make(truth())
    scan(Path("bump.yaml"))
    limit(Path("bump.yaml"))
    searched = scan_section(run.stage("scan"), load(Path("bump.yaml")).config)
    assert searched.facts[0].name == "Largest excess"
    limits = limit_section(run.stage("limit"), load(Path("bump.yaml")).config)
    assert limits.facts[0].name == "Expected 90 % limits"
    titles = [block.title for block in (*searched.blocks, *limits.blocks) if isinstance(block, Picture)]
    assert len(titles) == 7
    assert titles[-3:] == [
        "Expected limits on g′, all methods",
        "Upper limits on g′, frequentist (CLs)",
        "Upper limits on g′, Bayesian",
    ]


def test_blind_data_are_not_read(make: Make) -> None:
    data = skim(background(np.random.default_rng(3), 700), weight=1.0, first_event=300000)
    make(
        {**truth(), "data": data},
        replace={
            "features:": "  - {name: data, role: data, files: data.root}\nfeatures:",
            "toys: 200": "toys: 200\n  blind: true",
        },
    )
    assert scan(Path("bump.yaml")).to_json()["dataset"] == "pseudo-data"
    with pytest.raises(BlindError, match="did not read the data"):
        limit(Path("bump.yaml"), unblind=True)
    opened = scan(Path("bump.yaml"), unblind=True).to_json()
    assert opened["dataset"] == "data"
    assert limit(Path("bump.yaml"), unblind=True).to_json()["dataset"] == "data"
