"""Samples of another size lie beside those of the config, and samples made otherwise are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mlbkg.cli.main import app
from mlbkg.config.load import load
from mlbkg.errors import ConfigError
from mlbkg.ntuples.files import metadata
from mlbkg.samples.source import SampleSource
from mlbkg.stages.check import check
from mlbkg.stages.simulate import simulate
from mlbkg.stages.sources import sources_of

TEXT = """\
analysis: small
luminosity_per_fb: 1
candidates: {pair: pipi}
samples:
  - name: signal
    role: signal
    files: data/signal.root
    simulate: {process: upsilon1s_invisible, events: 200}
    cross_section_nb: 1
  - name: eepipi
    role: background
    files: "data/eepipi*.root"
    simulate: {process: two_photon_pipi, events: 400}
    cross_section_nb: 2
features: [EROE]
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(TEXT, encoding="utf-8")
    return Path("small.yaml")


def sources(config: Path, *, scale: float) -> tuple[SampleSource, ...]:
    return sources_of(load(config, scale=scale).config, roles=("signal", "background"))


def test_sizes_are_kept_apart(config: Path) -> None:
    made = simulate(config, workers=1)
    first = [Path(file.path).read_bytes() for file in made.files]
    small = simulate(config, scale=0.5, workers=1)
    assert [file.path for file in small.files] == ["data/x0.5/signal.root", "data/x0.5/eepipi_0.root"]
    assert [metadata(file.path)["events"] for file in small.files] == [100, 200]
    assert [Path(file.path).read_bytes() for file in made.files] == first
    assert [file.made for file in simulate(config, workers=1).files] == [False, False]
    assert [file.made for file in simulate(config, scale=0.5, workers=1).files] == [False, False]


def test_weights_follow_the_size(config: Path) -> None:
    for scale in (1.0, 0.5):
        simulate(config, scale=scale, workers=1)
    whole, half = sources(config, scale=1.0), sources(config, scale=0.5)
    # sigma L / N: 1 nb x 1 /fb x 1e6 / 200 and 2 nb x 1e6 / 400
    assert [source.scale for source in whole] == [5000, 5000]
    assert [source.scale for source in half] == [10_000, 10_000]
    assert whole[1].files == ("data/eepipi_0.root",)
    assert half[1].files == ("data/x0.5/eepipi_0.root",)
    assert check(config, scale=0.5).samples[1].entries <= 200


def test_another_number_of_events_in_the_config_is_refused(config: Path) -> None:
    simulate(config, scale=0.5, workers=1)
    config.write_text(TEXT.replace("events: 400", "events: 600"), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        simulate(config, scale=0.5, workers=1)
    assert caught.value.details == ("data/x0.5/eepipi_0.root (sample 'eepipi') was made with events 200, config says 300",)
    assert caught.value.hint == "Make them again: mlbkg simulate small.yaml --scale 0.5 --force"


def test_the_command_line(config: Path) -> None:
    answered = CliRunner().invoke(app, ["simulate", str(config), "--scale", "0.25", "-j", "1", "--quiet", "--json"])
    assert answered.exit_code == 0, answered.output
    assert [file["events"] for file in json.loads(answered.stdout)["files"]] == [50, 100]
    refused = CliRunner().invoke(app, ["simulate", str(config), "--scale", "0", "--quiet"])
    assert refused.exit_code == 2


SETTINGS = """\
analysis: small
candidates: {pair: mumu}
samples:
  - name: signal
    role: signal
    files: data/signal.root
    simulate: {process: zprime_mumu, events: 101, masses: [1.0, 3.0]}
  - name: eemumu
    role: background
    files: data/eemumu.root
    simulate: {process: two_photon_mumu, events: 100, beams: Y4S, min_pt: 0.2}
features: [EROE]
"""


def test_beams_and_settings_are_written_and_compared(config: Path) -> None:
    config.write_text(SETTINGS, encoding="utf-8")
    made = [metadata(file.path) for file in simulate(config, workers=1).files]
    assert [(found["beams"], found["settings"]) for found in made] == [
        ("Y4S", {"masses": [1.0, 3.0]}),
        ("Y4S", {"theta_degrees": [15.0, 152.0], "min_pt": 0.2, "min_mass": 0.0}),
    ]
    # event i has the mass i modulo 2
    assert [found["generated"] for found in made] == [[[1.0, 51], [3.0, 50]], []]
    assert [file.made for file in simulate(config, workers=1).files] == [False, False]


@pytest.mark.parametrize(
    ("old", "new", "difference"),
    [
        ("masses: [1.0, 3.0]", "masses: [1.0, 2.0]", "settings {'masses': [1.0, 3.0]}, config says {'masses': [1.0, 2.0]}"),
        ("beams: Y4S, ", "", "beams 'Y4S', config says 'Y3S'"),
    ],
)
def test_files_of_other_beams_or_settings_are_refused(config: Path, old: str, new: str, difference: str) -> None:
    config.write_text(SETTINGS, encoding="utf-8")
    simulate(config, workers=1)
    config.write_text(SETTINGS.replace(old, new), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        simulate(config, workers=1)
    (refused,) = caught.value.details
    assert refused.endswith(f" was made with {difference}")
    assert simulate(config, workers=1, force=True).files[0].made
    assert [file.made for file in simulate(config, workers=1).files] == [False, False]
