"""What a user reads when a config is wrong: exact texts under tests/messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlbkg.config.load import load
from mlbkg.errors import ConfigError

MESSAGES = Path(__file__).resolve().parents[1] / "messages"

SAMPLES = """\
samples:
  - {name: signal, role: signal, files: signal.root}
  - {name: qqbar, role: background, files: qqbar.root}
"""
SIMULATED = """\
samples:
  - {name: signal, role: signal, files: data/s.root, simulate: {process: upsilon1s_invisible, events: 10}}
  - {name: qqbar, role: background, files: data/b.root, simulate: {process: continuum_qq, events: 10}}
"""
CASES = {
    "two_problems": """\
analysis: b_to_knunu
ntuples: {tree: B0}

samples:
  - name: signal
    role: sginal
    files: "data/signal_*.root"
  - {name: qqbar, role: background, files: "data/qqbar_*.root"}

features: [R2, {name: kaon_pt, column: "daughter(0,pt)"}]

training:
  folds: 3
  fodls: 4
""",
    "types_and_ranges": f"""\
analysis: 3x
title: 2019
seed: 1.5
luminosity_per_fb: .nan
ntuples: {{tree: events, event_id: []}}
{SAMPLES}features: [R2, {{name: a b}}, {{column: x}}, {{name: c, column: d, expression: e}}]
spectators: R2
training: {{folds: 1, validation_fraction: 1, balance_classes: maybe, classifiers: xgboost}}
evaluation:
selection:
  branches: some
  working_point: {{score: 0.5, signal_efficiency: 0.3}}
""",
    "missing_keys": "title: nothing else\n",
    "unknown_key_far_from_all": f"analysis: a\n{SAMPLES}features: [R2]\nntuples: {{zzz: 1}}\ntracking: {{q: 1}}\n",
    "classifiers": f"""\
analysis: a
{SAMPLES}features: [R2]
training:
  classifiers:
    - {{backend: xgbost}}
    - {{backend: neural_net}}
    - backend: xgboost
      n_estimator: 100
      max_depth: 100
      learning_rate: fast
    - {{backend: xgboost, early_stopping_rounds: null}}
""",
    "names_twice": """\
analysis: a
samples:
  - {name: one, role: signal, files: a.root}
  - {name: one, role: background, files: b.root, category: one}
features:
  - R2
  - thrust
  - R2
spectators: [Mbc, {name: thrust, column: other}, Mbc]
""",
    "roles_and_cross_sections": """\
analysis: a
samples:
  - {name: signal, role: signal, files: a.root, cross_section_nb: 1e-3}
  - name: real
    role: data
    files: b.root
    cross_section_nb: 2
features: [R2]
""",
    "simulated_outputs": """\
analysis: a
samples:
  - {name: s, role: signal, files: ../s.root, simulate: {process: upsilon1s_invisible, events: 10}}
  - {name: b1, role: background, files: /tmp/b.root, simulate: {process: continum_qq, events: 10}}
  - {name: b2, role: background, files: [a.root, b.root], simulate: {process: continuum_qq, events: 10}}
  - {name: b3, role: background, files: "*/b.root", simulate: {process: continuum_qq, events: 10}}
  - {name: b4, role: background, files: "b*.root", simulate: {process: continuum_qq, events: 0}}
  - {name: b5, role: background, files: same.root, simulate: {process: tau_pair, events: 10}}
  - {name: b6, role: background, files: same.root, simulate: {process: tau_pair, events: 10}}
  - {name: b7, role: background, files: "b.txt", simulate: {process: tau_pair, events: 10}}
features: [R2]
""",
    "process_settings": """\
analysis: a
samples:
  - {name: s1, role: signal, files: s1.root, simulate: {process: zprime_mumu, events: 10, mases: [1.0]}}
  - {name: s2, role: signal, files: s2.root, simulate: {process: zprime_mumu, events: 10, masses: 1.0}}
  - {name: s3, role: signal, files: s3.root, simulate: {process: zprime_mue, events: 10, masses: [1.0, heavy, 11.0]}}
  - {name: s4, role: signal, files: s4.root, simulate: {process: dark_higgs, events: 10, masses: [[4.0, 0.1], [4.0]]}}
  - {name: b1, role: background, files: b1.root, simulate: {process: tau_pair, events: 10, masses: [1.0]}}
  - {name: b2, role: background, files: b2.root, simulate: {process: tau_pair, events: 10, beams: Y5S}}
  - {name: b3, role: background, files: b3.root, simulate: {process: two_photon_mumu, events: 10, min_p: 1}}
  - name: b4
    role: background
    files: b4.root
    simulate: {process: two_photon_mumu, events: 10, theta_degrees: [120, 35], min_pt: fast}
features: [R2]
""",
    "expressions": """\
analysis: a
samples:
  - {name: signal, role: signal, files: signal.root, cut: "Mbc >> 5"}
  - {name: qqbar, role: background, files: qqbar.root, weight: "__weight__ * sqrrt(2)"}
preselection:
  - "Mbc > 5.27"
  - "Mbc >"
features:
  - {name: ratio, expression: "a / (b"}
  - {name: first, expression: "second + 1"}
  - {name: second, expression: "2 * first"}
""",
    "candidates": f"""\
analysis: a
candidates: {{pair: pipy, beams: Y5S}}
{SIMULATED}features: [nTracksRO, "set:upsilon", {{name: mine, column: EGamma}}]
""",
    "candidate_names": f"""\
analysis: a
ntuples: {{event_id: [__entry__]}}
candidates: {{pair: pipi}}
{SIMULATED}features: [nTracksROE, {{name: mine, column: mRecol}}, {{name: twice, expression: "2 * EPiPi"}}]
preselection: ["mRecoil > 9.4", "track_px > 1", "nonsense < 2", "__run__ > 0", "twice > nTracksROE"]
""",
    "fit_and_limit": """\
analysis: a
samples:
  - {name: signal, role: signal, files: signal.root}
  - {name: qqbar, role: background, files: qqbar.root}
  - {name: control, role: data, files: control.root}
features: [R2]
spectators: [Mbc]
fit:
  variable: mbc
  window: [5.20, 5.29]
  signal: {shape: double_gausian}
  background:
    shape: template
    sample: qqbr
    smothing: 3
  peaking: {samples: [signal, qqbar, qqbar, tau], uncertainty: 0.1}
  blind: [5.27, 5.30]
systematics:
  - {name: tracking, effect: 0.01, on: [peaking]}
  - {name: tracking, mean: 0.001}
limit: {quantity: cross_section}
""",
    "fit_ranges": f"""\
analysis: a
{SAMPLES}features: [R2]
spectators: [Mbc]
fit:
  variable: Mbc
  window: [5.29, 5.20]
  bins: 3
  signal: 3
  peaking: {{samples: [qqbar]}}
systematics:
  - {{name: both, effect: 0.1, width: 0.1}}
  - {{name: none}}
  - {{name: zero, width: 0}}
limit: {{methods: [], confidence_level: 90, parents: {{cross_section_nb: 1}}}}
""",
    "fit_of_nothing": f"""\
analysis: a
{SAMPLES}features: [R2]
spectators: [Mbc]
fit: {{variable: Mbc, window: [5.2, 5.3], blind: [5.2, 5.3]}}
systematics:
  - {{name: tracking, effect: 0.01, on: [signal, peaking]}}
  - {{name: background_c1, effect: 0.01}}
""",
    "without_fit": f"""\
analysis: a
{SAMPLES}features: [R2]
selection: {{working_point: {{expected_limit: {{points: 20}}}}}}
systematics: [{{name: tracking, effect: 0.01}}]
""",
    "tuning": f"""\
analysis: a
{SAMPLES}features: [R2]
training: {{classifiers: [{{backend: xgboost}}, {{backend: lightgbm, name: fine}}]}}
tuning:
  objective: [expected_limit, auc, sculpting, auc]
  backends: [xgboost, xgbost, xgboost]
  search:
    lightgbn: {{num_leaves: 7}}
    hist_gradient_boosting: {{max_depth: 3}}
    xgboost: {{learning_rate: 2}}
  outer_folds: 3
  searches: 4
  constraints: {{sculpting: 0.1}}
  compare:
    - {{backend: xgboost}}
    - {{backend: lightgbm, name: fine}}
    - {{backend: lightgbm, name: wrong, num_leafs: 7}}
  study: second
  storage: postgres://db/studies
  warm_start: [first, second, ../first, first]
""",
    "tuning_of_types": f"""\
analysis: a
{SAMPLES}features: [R2]
tuning:
  objective: acu
  trails: 20
  minutes: 0
  search:
    xgboost:
      max_depth: [2, 4]
      learning_rate: {{lwo: 0.01, high: 0.1}}
      gamma: {{}}
      subsample: {{low: some, high: 1.0}}
      max_leaves: {{low: 2, when: {{grow_policy: lossguide}}}}
      max_bin: {{choices: []}}
  constraints: 3
  compare: [{{name: without}}]
""",
    "tuning_search": f"""\
analysis: a
{SAMPLES}features: [R2]
tuning:
  objective: cost
  storage: postgresql+psycopg2://me:secret@db.example/studies
  search:
    xgboost:
      max_dept: {{low: 2, high: 8}}
      max_depth: {{low: 8, high: 2}}
      learning_rate: {{low: 0, high: 1, log: true}}
      gamma: {{low: 0, high: 10}}
      reg_alpha: {{low: 0, high: 10.0, log: true}}
      min_child_weight: {{low: 0.5, high: 10.0, step: 4}}
      max_leaves: {{low: 0, high: 64, step: 0.5}}
      reg_lambda: {{low: 1.0, high: 10.0, log: true, step: 1.0}}
      subsample: {{low: 0.5, high: 1.5}}
      n_estimators: {{low: 1e2, high: 1e3}}
      grow_policy: {{choices: [depthwise, lossguid, depthwise]}}
      max_bin: many
""",
    "duplicate_key": "analysis: a\nfeatures: [R2]\nfeatures: [thrust]\nanalysis: b\n",
    "not_yaml": "analysis: a\nsamples: [\n  {name: x\nfeatures: [R2]\n",
    "tag": "analysis: !!python/object/apply:os.system [ls]\n",
    "empty": "",
}


@pytest.mark.parametrize("case", CASES)
def test_message(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("configs") / "b_to_knunu.yaml"
    path.parent.mkdir()
    path.write_text(CASES[case], encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert f"{caught.value}\n" == (MESSAGES / f"config_{case}.txt").read_text(encoding="utf-8")
    assert caught.value.exit_code == 2
    assert caught.value.where.startswith("configs/b_to_knunu.yaml:")


def test_no_such_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("upsilon1s.yaml").write_text("analysis: a\n")
    with pytest.raises(ConfigError) as caught:
        load(Path("upsilon1.yaml"))
    assert str(caught.value) == (
        "no config 'upsilon1.yaml'; did you mean 'upsilon1s.yaml'?\nWrite a new one: mlbkg init upsilon1.yaml"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"analysis: a\ntitle: \xff\n", ":2 not UTF-8 text; save the file as UTF-8"), (b"#" * 1_000_001, "1000001 bytes")],
)
def test_not_a_text_to_read(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        load(tmp_path / "a.yaml")


def test_a_folder_is_no_config(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder, not a config"):
        load(tmp_path)
