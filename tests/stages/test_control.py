"""The peaking background of a small simulated analysis, its data being an independent simulation of the same decays."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mlbkg.config.load import load
from mlbkg.config.schema import Config
from mlbkg.errors import ConfigError, EmptySampleError, NtupleError
from mlbkg.fitting.peaking import PeakingPrediction
from mlbkg.ntuples.write import AtomicRootWriter
from mlbkg.samples.cuts import CutCounter
from mlbkg.samples.source import SampleSource, stream
from mlbkg.simulation.generate import generate
from mlbkg.stages.control import control_recipe, predict_from_control
from mlbkg.stages.sources import sources_of

EVENTS = 30_000
NEAR = '"abs(mRecoil - 9.4604) < 0.010", "nTracksROE == 2"'
CONFIG = """
analysis: small
luminosity_per_fb: 2
candidates: {pair: pipi}
samples:
  - {name: signal, role: signal, files: none.root}
  - {name: peaking, role: background, files: peaking.root, cross_section_nb: 1.418e-2}
  - {name: measured, role: data, files: measured.root}
preselection: ["mRecoil > 9.40", "mRecoil < 9.52"]
features: [nTracksROE, EGammaMax]
spectators: [mRecoil]
fit:
  variable: mRecoil
  window: [9.40, 9.52]
  peaking:
    samples: [peaking]
    control:
      data: [measured]
      modes:
        - name: mumu
          lost: mc_mode == 13
          seen: [NEAR, "nMuonsROE > nElectronsROE", "MMuMuROE > 8.5", "MMuMuROE < 10"]
          branching_fraction: 0.0248
        - name: ee
          lost: mc_mode == 11
          seen: [NEAR, "nElectronsROE > nMuonsROE", "MEEROE > 8.5", "MEEROE < 10"]
          branching_fraction: 0.0238
        - {name: tautau, lost: mc_mode == 15, branching_fraction: 0.026, branching_fraction_error: 0.001}
      uncertainties:
        - {name: lepton_tracking, effect: 0.014}
        - {name: ecl_edge, effect: 0.05, of: lost, modes: [ee]}
""".replace("NEAR", NEAR)
# What stands in for a classifier: nothing but the pair, and no electron's cluster.
SELECTION = ("nTracksROE == 0", "EGammaMax < 1")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("control")
    for name, seed in (("peaking", 1), ("measured", 2)):
        generate("upsilon1s_leptonic", events=EVENTS, seed=seed, sample=name, path=folder / f"{name}.root", workers=1)
    generate("upsilon1s_invisible", events=100, seed=1, sample="none", path=folder / "none.root", workers=1)
    return folder


Analysis = Callable[..., Config]


@pytest.fixture
def analysis(files: Path, monkeypatch: pytest.MonkeyPatch) -> Analysis:
    """The config, with texts replaced, and skims of its peaking sample in ``selected``."""
    monkeypatch.chdir(files)

    def make(replace: dict[str, str] | None = None, *, keep: tuple[str, ...] = (), threshold: float = 0.5) -> Config:
        text = CONFIG
        for old, new in (replace or {}).items():
            assert old in text
            text = text.replace(old, new)
        Path("small.yaml").write_text(text, encoding="utf-8")
        config = load(Path("small.yaml")).config
        write_skims(config, keep=keep or ("mc_mode", *config.ntuples.event_id), threshold=threshold)
        return config

    return make


def write_skims(config: Config, *, keep: tuple[str, ...], threshold: float) -> None:
    """What the selection writes: half of the candidates below the threshold, to be left out."""
    (source,) = (source for source in sources_of(config, roles=("background",)))
    Path("selected").mkdir(exist_ok=True)
    with AtomicRootWriter(Path("selected/peaking.root"), tree="candidates", metadata={}) as writer:
        for columns, weight in lost(config, source, keep=keep):
            for score in (0.4, 0.6):
                score_of_all = np.full(len(weight), score, dtype=np.float32)
                writer.extend({**columns, "score": score_of_all, "physics_weight": weight})
    skims = [{"sample": "peaking", "skim": "runs/elsewhere/peaking.root"}, {"sample": "signal", "skim": "signal.root"}]
    Path("selected/cutflow.json").write_text(
        json.dumps({"threshold": threshold, "files": skims, "failed": []}), encoding="utf-8"
    )


def lost(config: Config, source: SampleSource, *, keep: tuple[str, ...]) -> list[tuple[dict[str, np.ndarray], np.ndarray]]:
    assert config.fit is not None
    assert config.fit.peaking is not None
    assert config.fit.peaking.control is not None
    recipe = control_recipe(config, config.fit.peaking.control)
    found = []
    for block in stream(source, recipe, CutCounter(source.name, recipe.preselection, 1), keep=keep):
        rows = (np.asarray(block.columns["nTracksROE"]) == 0) & (np.asarray(block.columns["EGammaMax"]) < 1)
        names = dict.fromkeys((*keep, "mRecoil"))
        found.append(({name: np.asarray(block.columns[name])[rows] for name in names}, block.weight[rows]))
    return found


def predicted(config: Config) -> PeakingPrediction:
    return predict_from_control(config, Path("selected"), workers=1)


def test_prediction_agrees_with_an_independent_truth(analysis: Analysis) -> None:
    """Control samples counted in the one simulation, ratios from the other: what is lost in the first is known, too."""
    config = analysis()
    prediction = predicted(config)
    assert prediction.from_data
    (measured,) = sources_of(config, roles=("data",))
    truth = np.concatenate([columns["mc_mode"] for columns, _ in lost(config, measured, keep=("mc_mode",))])
    for mode, code in zip(prediction.modes, (13, 11, 15), strict=True):
        expected = np.count_nonzero(truth == code)
        assert expected > 10
        error = np.hypot(mode.predicted.statistical, np.sqrt(expected))
        assert abs(mode.predicted.value - expected) < 3 * error
    assert abs(prediction.total.value - len(truth)) < 3 * np.hypot(prediction.total.statistical, np.sqrt(len(truth)))


def test_lost_electrons_and_muons(analysis: Analysis) -> None:
    ratio, error = predicted(analysis()).ratio("ee", "mumu")
    # .0238 x .0501 / (.0248 x .0896): electrons are lost outside 12.4-155.1 degrees, muons outside 17-150
    assert error < 0.08
    assert ratio == pytest.approx(0.537, abs=3 * error)


def test_yields_follow_the_control_samples(analysis: Analysis) -> None:
    from_data, simulated = predicted(analysis()), predicted(analysis({"data: [measured]": "data: []"}))
    assert not simulated.from_data
    for here, there in zip(from_data.modes, simulated.modes, strict=True):
        assert (here.ratio, here.lost, here.seen) == (there.ratio, there.lost, there.seen)
        assert there.predicted.value == pytest.approx(there.lost.total)
    # 1.418e-2 nb x 2 fb^-1 = 28360 decays are expected, 30000 were simulated as data
    assert from_data.modes[0].control / simulated.modes[0].control == pytest.approx(30_000 / 28_360, rel=0.05)
    assert simulated.effects["lepton_tracking"] == pytest.approx(-0.014)


def test_score_and_window_are_those_of_the_selection(analysis: Analysis) -> None:
    once, both = predicted(analysis()), predicted(analysis(threshold=0.3))
    assert [mode.lost.candidates for mode in both.modes] == [2 * mode.lost.candidates for mode in once.modes]
    narrow = predicted(analysis({"window: [9.40, 9.52]": "window: [9.46, 9.52]"}))
    assert 0.3 < narrow.total.value / once.total.value < 0.7


def test_control_samples_have_a_preselection_of_their_own(analysis: Analysis) -> None:
    blind = {'"mRecoil < 9.52"]': '"mRecoil < 9.52", "nTracksROE == 0"]'}
    with pytest.raises(
        EmptySampleError, match=r"'mumu after the preselection' is empty after cut 2 of 5, 'nTracksROE == 2'"
    ):
        predicted(analysis(blind))
    own = {**blind, "data: [measured]": 'data: [measured]\n      preselection: ["mRecoil > 9.40", "mRecoil < 9.52"]'}
    assert predicted(analysis(own)).modes[0].seen == predicted(analysis()).modes[0].seen


@pytest.mark.parametrize(
    ("replace", "says"),
    [
        ({"lost: mc_mode == 15": "lost: mc_mode == 14"}, r"selected candidates of the peaking samples belong to no mode\n"),
        (
            {"lost: mc_mode == 15": "lost: mc_mode > 12"},
            r"selected candidates of the peaking samples belong to more than one",
        ),
        (
            {'"nMuonsROE > nElectronsROE", "MMuMuROE > 8.5", "MMuMuROE < 10"': '"1 > 0"', '"nTracksROE == 2"': '"1 > 0"'},
            r"events of the simulated control sample of 'mumu' are selected by the search, too",
        ),
    ],
)
def test_samples_that_overlap_or_leave_gaps(analysis: Analysis, replace: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        predicted(analysis(replace))


def test_skims_need_what_tells_the_modes_apart(analysis: Analysis) -> None:
    with pytest.raises(NtupleError, match="mc_mode"):
        predicted(analysis(keep=("__event__",)))


def test_overlap_cannot_be_seen_without_event_ids(analysis: Analysis, caplog: pytest.LogCaptureFixture) -> None:
    assert predicted(analysis(keep=("mc_mode",))).total == predicted(analysis()).total
    assert "hold no event ids" in caplog.text


def test_files_that_were_not_selected(analysis: Analysis) -> None:
    config = analysis()
    path = Path("selected/cutflow.json")
    cutflow = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**cutflow, "failed": [{"sample": "peaking", "path": "peaking_7.root"}]}), encoding="utf-8")
    with pytest.raises(NtupleError, match=r"1 file of the peaking samples could not be selected"):
        predicted(config)
