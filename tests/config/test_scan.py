"""What can be wrong with a search over masses, said with the line it is on."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlbkg.config.load import load
from mlbkg.errors import ConfigError
from mlbkg.stages.init import init

CONFIG = """
analysis: small
luminosity_per_fb: 0.276
candidates: {pair: mumu, beams: Y4S}
samples:
  - {name: signal, role: signal, files: s*.root, simulate: {process: upsilon1s_invisible, events: 10}}
  - {name: taus, role: background, files: t*.root, simulate: {process: tau_pair, events: 10}}
features: [nTracksROE]
spectators: [m2Recoil, mRecoil]
selection: {working_point: {signal_efficiency: 0.5}}
scan:
  axes: [{name: mass, variable: m2Recoil, power: 2, truth: mc_mass, range: [0.1, 8]}]
  pseudo_data: {inject: [{masses: [3], cross_section_fb: 50}]}
systematics:
  - {name: trigger, effect: 0.06, on: [signal, background]}
  - {name: background_shape, effect: 0.2, on: [background], samples: [taus]}
limit:
  quantity: cross_section
  couplings: [zprime_invisible]
  beside:
    - {name: a paper, coupling: zprime_invisible, points: [[1, 0.05]]}
"""
AXES = "axes: [{name: mass, variable: m2Recoil, power: 2, truth: mc_mass, range: [0.1, 8]}]"
TWO_AXES = (
    "axes: [{name: mass_u, variable: mRecoil, truth: mc_mass, range: [4, 9]}, "
    "{name: mass_h, variable: m2Recoil, power: 2, truth: mc_mass_h, range: [0, 4]}]"
)
FIT = "fit: {variable: mRecoil, window: [1, 9]}\nscan:"


def problems(folder: Path, *changes: tuple[str, str]) -> list[str]:
    text = CONFIG
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = folder / "small.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(path)
    return list(caught.value.details)


def test_what_is_right(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    config = load(path).config
    assert config.scan is not None
    assert (config.scan.hypotheses, config.scan.window, config.scan.method) == (70, 2.0, "counting")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("scan:", FIT, ":12 scan: a config has fit or scan, not both"),
        (
            "{signal_efficiency: 0.5}",
            "{expected_limit: {points: 20}}",
            ":10 selection.working_point.expected_limit: is of a fit; of a scan, use punzi: {per: window}",
        ),
        (
            "variable: m2Recoil",
            "variable: m2Recoi",
            ":12 scan.axes[0].variable: 'm2Recoi' is neither a feature nor a spectator; did you mean 'm2Recoil'?",
        ),
        ("truth: mc_mass", "truth: mc_mas", ":12 scan.axes[0].truth: unknown branch 'mc_mas'; did you mean 'mc_mass'?"),
        ("name: mass,", "name: mass_u,", ":11 scan: one axis is called mass, two are mass_u and mass_h; got mass_u"),
        (AXES, f"{AXES}\n  ordered: true", ":13 scan.ordered: needs two axes"),
        (
            "masses: [3]",
            "masses: [3, 1]",
            ":13 scan.pseudo_data.inject[0].masses: needs one mass for each of the 1 axes; got 2",
        ),
        ("luminosity_per_fb: 0.276\n", "", ":10 scan: needs luminosity_per_fb, which is missing"),
        (
            "quantity: cross_section",
            "quantity: yield",
            ":18 limit.quantity: limits of a scan are on a cross_section; got yield",
        ),
        (
            "quantity: cross_section",
            "quantity: cross_section\n  methods: [cls, profile]",
            ":19 limit.methods[1]: a scan has cls and bayesian; got profile",
        ),
        (
            "couplings: [zprime_invisible]",
            "couplings: [zprime_invisible, zprime_invisibel]",
            ":19 limit.couplings[1]: unknown coupling 'zprime_invisibel'; did you mean 'zprime_invisible'?",
        ),
        (
            "couplings: [zprime_invisible]",
            "couplings: [zprime_invisible, dark_higgs]",
            ":19 limit.couplings[1]: 'dark_higgs' depends on 2 masses; the scan has 1",
        ),
        (
            "coupling: zprime_invisible, points",
            "coupling: zprime_lfv, points",
            ":21 limit.beside[0].coupling: 'zprime_lfv' is not in limit.couplings; did you mean 'zprime_invisible'?",
        ),
        (
            "coupling: zprime_invisible, points: [[1, 0.05]]",
            "value: 3",
            ":21 limit.beside[0].value: the limits of a scan change with the mass: give points",
        ),
        ("effect: 0.06", "mean: 0.06", ":15 systematics[0].mean: is of a fit; a scan has effects on rates alone"),
        (
            "on: [signal, background]",
            "on: [signal, peaking]",
            ":15 systematics[0].on: peaking is of a fit; a scan has signal and background",
        ),
        (
            "samples: [taus]",
            "samples: [tau]",
            ":16 systematics[1].samples[0]: unknown background sample 'tau'; did you mean 'taus'?",
        ),
        (
            "on: [background], samples",
            "on: [signal], samples",
            ":16 systematics[1].samples: are of the background, which `on` does not have",
        ),
    ],
)
def test_what_is_wrong(old: str, new: str, says: str, tmp_path: Path) -> None:
    assert says in problems(tmp_path, (old, new))


def test_two_axes(tmp_path: Path) -> None:
    changes = (
        (AXES, f"{TWO_AXES}\n  method: local_fits"),
        ("masses: [3]", "masses: [5, 1]"),
        ("couplings: [zprime_invisible]", "couplings: [dark_higgs]"),
        ("coupling: zprime_invisible", "coupling: dark_higgs"),
    )
    found = problems(tmp_path, *changes)
    assert found == [
        ":13 scan.method: local_fits needs one axis; two have counting",
        ":22 limit.beside[0].points: belong to a scan of one axis",
    ]


def test_the_same_twice(tmp_path: Path) -> None:
    twice = TWO_AXES.replace("variable: mRecoil", "variable: m2Recoil").replace("mc_mass_h", "mc_mass")
    found = problems(tmp_path, (AXES, twice), ("masses: [3]", "masses: [5, 1]"))
    assert sum("is there twice" in line for line in found) == 2


def test_without_scan_there_is_nothing_that_belongs_to_it(tmp_path: Path) -> None:
    start, end = CONFIG.index("scan:"), CONFIG.index("systematics:")
    found = problems(tmp_path, (CONFIG[start:end], ""))
    assert [line.split(maxsplit=1)[1] for line in found] == [
        "systematics: need the section fit or scan, which is missing",
        "systematics[0].on: background needs the section scan, which is missing",
        "systematics[1].name: 'background_shape' is the name of a parameter that the fit has anyway; choose another",
        "systematics[1].on: background needs the section scan, which is missing",
        "systematics[1].samples: need the section scan, which is missing",
        "limit.couplings: need the section scan, which is missing",
        "limit.beside[0].points: need the section scan, which is missing",
    ]


def test_all_problems_at_once(tmp_path: Path) -> None:
    changes = (
        ("variable: m2Recoil", "variable: m2Recoi"),
        ("quantity: cross_section", "quantity: yield"),
        ("samples: [taus]", "samples: [tau]"),
        ("couplings: [zprime_invisible]", "couplings: [zprime]"),
    )
    assert len(problems(tmp_path, *changes)) == 5


def test_the_scan_that_init_writes_can_be_taken_into_use(tmp_path: Path) -> None:
    lines = init(tmp_path / "a.yaml").read_text(encoding="utf-8").splitlines()
    begin = lines.index("# scan:")
    end = next(i for i in range(begin + 1, len(lines)) if not lines[i].startswith(("#  ", "# # ")))
    lines[begin:end] = [line.removeprefix("# ") for line in lines[begin:end]]
    text = (
        "\n".join(lines)
        .replace("# luminosity_per_fb", "luminosity_per_fb")
        .replace("quantity: yield", "quantity: cross_section")
    )
    (tmp_path / "b.yaml").write_text(text, encoding="utf-8")
    scan = load(tmp_path / "b.yaml").config.scan
    assert scan is not None
    assert scan.axes[0].truth == "mc_mass"


def test_what_belongs_to_a_scan_is_checked_where_the_scan_is_wrong_itself(tmp_path: Path) -> None:
    broken = (("power: 2", "power: 3"), ("couplings: [zprime_invisible]", "couplings: [zprime_invisibl]\n  methods: [pyhf]"))
    assert problems(tmp_path, *broken) == [
        ":12 scan.axes[0].power: must be 1 or 2; got 3",
        ":19 limit.couplings[0]: unknown coupling 'zprime_invisibl'; did you mean 'zprime_invisible'?",
        ":20 limit.methods[0]: a scan has cls and bayesian; got pyhf",
    ]
