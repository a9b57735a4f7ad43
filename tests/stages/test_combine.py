"""Data sets of different energy, luminosity and efficiency give one limit on a coupling."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mlbkg.cli.main import main
from mlbkg.errors import ConfigError, MlbkgError
from mlbkg.limits.hypotheses import Effect, Experiments
from mlbkg.ntuples.write import AtomicRootWriter
from mlbkg.physics.beams import BEAMS
from mlbkg.physics.coupling import COUPLINGS, Coupling
from mlbkg.physics.dark_higgs import cross_section_fb
from mlbkg.stages.combine import combination, combine
from mlbkg.stages.combine_inputs import Scanned
from mlbkg.stages.run_folder import RunFolder, new_run, write_manifest
from mlbkg.stages.scan import scan

Array = NDArray[np.float64]
BRANCHING_FRACTION = 0.4
TOY = Coupling(
    name="toy",
    symbol="α_D ε²",
    assumption="B(U → μ⁺μ⁻) = 0.4",
    power=1,
    cross_section_fb=lambda masses, sqrt_s: BRANCHING_FRACTION * cross_section_fb(masses[:, 0], masses[:, 1], sqrt_s=sqrt_s),
    axes=2,
)


def counted(
    masses: Array, luminosity: float, *, count: int = 0, background: float = 0.0, effect: float = 0.0
) -> Experiments:
    """Efficiency 20 %."""
    one = np.ones(len(masses))
    effects = (Effect("luminosity", effect * one, 0 * one),) if effect else ()
    return Experiments(
        masses, masses - 0.01, masses + 0.01, np.full(len(masses), count), background * one, 0 * one, 0.2 * luminosity * one,
        0.2 * one, 0 * one, effects,
    )  # fmt: skip


def data_set(name: str, sqrt_s: float, luminosity: float, experiments: Experiments) -> Scanned:
    return Scanned(name, RunFolder(Path(name)), "data", ("mass_u", "mass_h"), sqrt_s, luminosity, experiments)


def on_and_off(masses: Array, **off: Any) -> list[Scanned]:
    """1.65 fb⁻¹ at the phi resonance and 0.206 fb⁻¹ below it: those of arXiv:1501.06795."""
    return [
        data_set("on", 1.0194, 1.65, counted(masses, 1.65)),
        data_set("off", 1.000, 0.206, counted(masses, 0.206, **off)),
    ]


def observed(scans: list[Scanned], coupling: Coupling = TOY) -> list[Array]:
    found = combination(scans, coupling, confidence_level=0.9)
    limits = [*(one.limits.observed for one in found.alone), found.combined.observed]
    return [limit for limit in limits if limit is not None]


def test_two_data_sets_without_counts() -> None:
    """2.302585 / sum of L eff sigma(1) BF, with sigma by Batell, Pospelov and Ritz, arXiv:0903.0363."""
    on, off, together = observed(on_and_off(np.array([[0.5, 0.3]])))
    assert on == pytest.approx(1.77543e-9, rel=1e-5)
    assert off == pytest.approx(1.34293e-8, rel=1e-5)
    assert together == pytest.approx(1.56811e-9, rel=1e-5)


def test_another_empty_data_set_never_weakens_the_limit_and_an_excess_does() -> None:
    masses = np.array([[0.3, 0.1], [0.5, 0.3], [0.8, 0.1]])
    on, off, together = observed(on_and_off(masses))
    assert (together < np.minimum(on, off)).all()
    assert 1 / together == pytest.approx(1 / on + 1 / off)
    weakened = observed(on_and_off(masses, count=6))[2]
    assert (weakened > on).all()


def test_masses_beyond_the_energy_of_a_data_set_are_limited_by_the_other() -> None:
    on, off, together = observed(on_and_off(np.array([[0.9, 0.11]])))
    assert np.isinf(off).all()
    assert together == pytest.approx(on)


def test_the_parameter_is_a_root_of_the_cross_section() -> None:
    squared = Coupling("toy", "g′", "", 2, TOY.cross_section_fb, axes=2)
    masses = np.array([[0.5, 0.3]])
    assert observed(on_and_off(masses), squared)[2] == pytest.approx(np.sqrt(1.56811e-9), rel=1e-5)


def test_a_shared_uncertainty_does_not_average_out() -> None:
    masses = np.array([[0.5, 0.3]])
    shared = [
        data_set("a", 1.0, 1.0, counted(masses, 1.0, effect=0.3)),
        data_set("b", 1.0, 1.0, counted(masses, 1.0, effect=0.3)),
    ]
    other = counted(masses, 1.0, effect=0.3)
    renamed = tuple(Effect("other", effect.signal, effect.background) for effect in other.effects)
    apart = [shared[0], data_set("b", 1.0, 1.0, Experiments(**{**vars(other), "effects": renamed}))]
    one = data_set("one", 1.0, 2.0, counted(masses, 2.0, effect=0.3))
    together, independent = observed(shared)[2], observed(apart)[2]
    # twice the same data set is one with twice the luminosity
    assert together == pytest.approx(observed([one, one])[0], rel=1e-3)
    assert independent < 0.98 * together


CONFIG = """
analysis: {name}
seed: 5
luminosity_per_fb: {luminosity}
ntuples: {{tree: t, event_id: [event]}}
candidates: {{pair: mumu, beams: {beams}}}
samples:
  - {{name: signal, role: signal, files: {name}_signal.root, cross_section_nb: {pairs}.0e-6}}
  - {{name: tautau, role: background, files: {name}_tautau.root}}
features: [nTracksROE]
spectators: [MLL, m2Recoil]
selection: {{working_point: {{score: 0.5}}}}
scan:
  axes: {axes}
  toys: 100
  pseudo_data: {{seed: {seed}}}
systematics: [{{name: luminosity, effect: 0.01, on: [signal, background]}}]
limit: {{quantity: cross_section, symbol: σ, methods: [bayesian], couplings: [{coupling}]}}
tracking: {{enabled: false}}
"""
PLANE = (
    '[{{name: mass_u, variable: MLL, truth: mc_mass, symbol: "M(U)", range: [6.0, 6.6]}}, '
    '{{name: mass_h, variable: m2Recoil, power: 2, truth: mc_mass_h, symbol: "M(h′)", range: [0.0, {highest}]}}]'
)
LINE = '[{name: mass, variable: m2Recoil, power: 2, truth: mc_mass, symbol: "M(Z′)", range: [0.5, 3.0]}]'
GENERATED, KEPT = 500, 200

Make = Callable[..., Path]


def columns(first: Array, squared: Array, weight: float, start: int, **truth: Array) -> dict[str, Array]:
    n = len(first)
    return {
        "MLL": first, "m2Recoil": squared, "score": np.full(n, 0.9, dtype="f4"), "event": start + np.arange(n),
        "physics_weight": np.full(n, weight), **truth,
    }  # fmt: skip


def plane_signal(rng: np.random.Generator, width: float) -> tuple[dict[str, Array], list[list[float]]]:
    masses = [[u, h] for u in (6.0, 6.3, 6.6) for h in (0.0, 1.0, 2.0)]
    true = np.repeat(np.array(masses), KEPT, axis=0)
    away = rng.normal(size=true.shape) * width * np.array([0.03, 0.2])
    return (
        columns(true[:, 0] + away[:, 0], true[:, 1] ** 2 + away[:, 1], 1.0, 0, mc_mass=true[:, 0], mc_mass_h=true[:, 1]),
        [[*mass, GENERATED] for mass in masses],
    )


def line_signal(rng: np.random.Generator, width: float) -> tuple[dict[str, Array], list[list[float]]]:
    masses = [0.5, 1.0, 2.0, 3.0]
    true = np.repeat(masses, KEPT)
    squared = true**2 + 0.2 * width * rng.normal(size=len(true))
    return columns(0 * true, squared, 1.0, 0, mc_mass=true), [[mass, GENERATED] for mass in masses]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Writes a config and a run whose selection and scan have finished, and works there."""
    monkeypatch.chdir(tmp_path)

    def write(
        name: str,
        *,
        beams: str = "Y4S",
        luminosity: float = 10.0,
        width: float = 1.0,
        plane: bool = True,
        highest: float = 2.0,
    ) -> Path:
        rng = np.random.default_rng(len(name))
        signal, generated = (plane_signal if plane else line_signal)(rng, width)
        signal["physics_weight"] *= luminosity / GENERATED
        flat = columns(rng.uniform(5.7, 6.9, 4000), rng.uniform(-2, 11, 4000), 0.02 * luminosity, 10_000)
        path, run = Path(f"{name}.yaml"), new_run(name)
        text = CONFIG.format(
            name=name, luminosity=luminosity, beams=beams, pairs=len(generated), seed=len(name),
            axes=PLANE.format(highest=highest) if plane else LINE,
            coupling="dark_higgs" if plane else "zprime_invisible",
        )  # fmt: skip
        path.write_text(text, encoding="utf-8")
        told = {"events": GENERATED * len(generated), "generated": generated}
        with run.writing("train") as folder:
            write_manifest(folder, {"stage": "train"})
        with run.writing("select") as folder:
            for sample, content in (("signal", signal), ("tautau", flat)):
                for file in (folder / f"{sample}.root", Path(f"{name}_{sample}.root")):
                    with AtomicRootWriter(file, tree="t", metadata=told if sample == "signal" else {}) as writer:
                        writer.extend(content)
            files = [{"sample": sample, "skim": f"{sample}.root"} for sample in ("signal", "tautau")]
            (folder / "cutflow.json").write_text(json.dumps({"files": files, "failed": [], "threshold": 0.5}))
            write_manifest(folder, {"stage": "select"})
        scan(path)
        return path

    return write


def test_scans_of_two_masses(make: Make, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """The second data set has a worse resolution, so its own cells are others: it is counted in those of the first."""
    paths = [make("on"), make("off", beams="Y4S_off", luminosity=1.0, width=1.3)]
    found = json.loads(ran(monkeypatch, capfd, "combine", *map(str, paths), "--json", "-q"))
    assert (found["confidence_level"], found["coupling"]) == (0.9, "dark_higgs")
    energies = [BEAMS[beams].sqrt_s for beams in ("Y4S", "Y4S_off")]
    assert [one["sqrt_s"] for one in found["data_sets"]] == pytest.approx(energies)
    cells = json.loads((latest("on") / "03-scan" / "scan.json").read_text(encoding="utf-8"))["hypotheses"]
    assert [told["mass_u"] for told in found["scan"]] == [cell["mass_u"] for cell in cells]
    for told in found["scan"]:
        assert told["alone"].keys() == {"on", "off"}
        assert {"observed", "expected", "minus_2sigma", "minus_1sigma", "plus_1sigma", "plus_2sigma"} == told[
            "combined"
        ].keys()
        # ten times the luminosity: the first data set dominates
        assert told["combined"]["expected"] == pytest.approx(told["alone"]["on"]["expected"], rel=0.35)
    assert {Path(figure).name for figure in found["figures"]} == {
        "on_map.png", "off_map.png", "combined_map.png", "projections.png"
    }  # fmt: skip
    written = json.loads((Path(found["run_dir"]) / "01-combine" / "combined.json").read_text(encoding="utf-8"))
    assert written["scan"] == found["scan"]
    text = ran(monkeypatch, capfd, "combine", *map(str, paths), "-q")
    assert "on: 10 fb⁻¹ at 10.5796 GeV, pseudo-data" in text
    assert "90 % upper limits on α_D ε²" in text


def test_scans_of_one_mass(make: Make) -> None:
    paths = [make("first", plane=False), make("second", plane=False, width=1.2), make("third", plane=False)]
    result = combine(paths)
    found = result.combined
    assert found.axes == ("mass",)
    assert [path.name for path in result.figures] == ["combined.png"]
    assert all(path.is_file() for path in result.figures)
    assert len(found.alone) == 3
    # three alike: the expected limit on the cross section falls with the root of the luminosity, that on g′ with its root
    alone, together = found.alone[0].limits.expected[2], found.combined.expected[2]
    assert np.median(together / alone) == pytest.approx(3 ** (-1 / 4), abs=0.06)


def test_configs_that_search_for_other_things(make: Make) -> None:
    paths = [make("on"), make("off", highest=1.9)]
    with pytest.raises(ConfigError, match=r"on\.yaml and off\.yaml do not search for the same") as caught:
        combine(paths)
    assert caught.value.details == ("scan.axes[1].range: (0.0, 2.0) and (0.0, 1.9)",)


def test_a_line_and_a_plane_have_no_coupling_in_common(make: Make) -> None:
    paths = [make("on"), make("line", plane=False)]
    with pytest.raises(ConfigError, match="no coupling in common") as caught:
        combine(paths)
    assert caught.value.details == ("on.yaml: dark_higgs", "line.yaml: zprime_invisible")
    with pytest.raises(ConfigError, match=r"coupling 'dark_higgs' depends on 2 masses; the scan of line\.yaml has 1"):
        combine(paths, coupling="dark_higgs")


def test_what_is_needed_is_told(make: Make) -> None:
    path = make("on")
    with pytest.raises(ConfigError, match="needs two configs or more; got 1"):
        combine([path])
    later = Path("later.yaml")
    later.write_text(path.read_text(encoding="utf-8").replace("analysis: on", "analysis: later"), encoding="utf-8")
    with pytest.raises(MlbkgError, match=r"no finished 'select' of analysis 'later'"):
        combine([path, later])
    path.write_text(path.read_text(encoding="utf-8").replace("[dark_higgs]", "[]"), encoding="utf-8")
    with pytest.raises(ConfigError, match="no coupling in common"):
        combine([path, path])


def test_every_coupling_names_its_number_of_masses() -> None:
    assert {COUPLINGS[name].axes for name in COUPLINGS} <= {1, 2}


def latest(analysis: str) -> Path:
    return max((Path("runs") / analysis).iterdir())


def ran(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    monkeypatch.setattr("sys.argv", ["mlbkg", *arguments])
    capfd.readouterr()
    with pytest.raises(SystemExit) as caught:
        main()
    out, err = capfd.readouterr()
    assert caught.value.code == 0, err
    return out
