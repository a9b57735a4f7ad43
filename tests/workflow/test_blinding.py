"""Blinded data: nothing that a command writes or prints depends on them until they are opened, which is recorded."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot
from typer.testing import CliRunner

from mlbkg.cli.main import app
from mlbkg.errors import BlindError, ConfigError, MlbkgError
from mlbkg.ntuples.write import AtomicRootWriter
from mlbkg.stages.fit import fit
from mlbkg.stages.limit import limit
from mlbkg.stages.run import run
from mlbkg.stages.run_folder import RunFolder, latest_run
from mlbkg.stages.select import SelectResult, select
from mlbkg.stages.train import train

Small = Callable[..., Path]

LOW, HIGH = 9.43, 9.47
BLIND = {
    "preselection:": "  - {name: run1, role: data, files: data.root}\npreselection:",
    "selection: {working_point: {signal_efficiency: 0.8}}\n": f"""selection: {{working_point: {{signal_efficiency: 0.8}}}}
fit:
  variable: mass
  window: [9.3, 9.6]
  bins: 20
  signal: gaussian
  background: {{shape: chebyshev, order: 1}}
  blind: [{LOW}, {HIGH}]
limit: {{quantity: cross_section, symbol: σ, methods: [cls]}}
""",
}


def write_data(*, hidden: int, seed: int = 11) -> None:
    """2000 candidates beside the blind range, and ``hidden`` of another kind inside it; the signal's features."""
    rng = np.random.default_rng(seed)
    beside = np.concatenate([rng.uniform(9.2, LOW - 1e-6, 1000), rng.uniform(HIGH + 1e-6, 9.6, 1000)])
    mass = np.concatenate([beside, np.random.default_rng(hidden).uniform(LOW, HIGH, hidden), [LOW, HIGH]])
    n = len(mass)
    with AtomicRootWriter("data.root", tree="candidates") as writer:
        writer.extend(
            {
                "__run__": np.full(n, 9, dtype="i4"),
                "__event__": np.arange(n),
                "x": np.where(np.arange(n) < 2000, np.arange(n) % 7 / 3, 9.0).astype("f4"),
                "y": np.where(np.arange(n) < 2000, np.arange(n) % 5 / 3 - 1, -9.0).astype("f4"),
                "useCMSFrame__boE__bc": np.ones(n, dtype="f4"),
                "mass": mass,
                "genweight": np.ones(n),
                "ids": np.ones(n, dtype="i4"),
            }
        )


@pytest.fixture
def blind(small_analysis: Small) -> Path:
    """A trained analysis whose data are blind."""
    config = small_analysis(replace=BLIND, peak=True)
    write_data(hidden=300)
    train(config, workers=1)
    return config


def the_run() -> RunFolder:
    return latest_run("small", with_stage="train", config="small.yaml")


def contents(folder: Path) -> dict[str, Any]:
    """Every file below ``folder``: ROOT files as their columns, JSON without what is no result, all others byte by byte."""
    found: dict[str, Any] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "manifest.json"):
        name = str(path.relative_to(folder))
        if path.suffix == ".root":
            with uproot.open(path) as file:
                found[name] = {k: v.tobytes() for k, v in file["candidates"].arrays(library="np").items()}
        elif path.suffix == ".json":
            found[name] = {k: v for k, v in json.loads(path.read_text()).items() if k != "seconds"}
        else:
            found[name] = path.read_bytes()
    return found


def skim(result: SelectResult, sample: str) -> np.ndarray:
    path = next(file.skim for file in result.files if file.sample == sample)
    with uproot.open(path) as file:
        return file["candidates"]["mass"].array(library="np")


def test_nothing_that_is_written_or_printed_knows_the_blinded_data(blind: Path) -> None:
    """The same whether 300 or 900 other candidates lie in the blind range."""
    told = []
    for hidden in (300, 900):
        write_data(hidden=hidden)
        printed = []
        for command in ("select", "fit", "limit"):
            answer = CliRunner().invoke(app, [command, str(blind), "-j", "1", "--quiet"])
            assert answer.exit_code == 0, answer.output
            printed.append([line for line in answer.output.splitlines() if "selected in" not in line])
        told.append((printed, {stage: contents(the_run().stage(stage)) for stage in ("select", "fit", "limit")}))
    assert told[0] == told[1]
    mass = np.frombuffer(told[0][1]["select"]["run1.root"]["mass"], dtype="f4")
    assert len(mass) > 100
    assert ((mass < LOW) | (mass > np.float32(HIGH))).all()
    read = next(count for count in told[0][1]["select"]["cutflow.json"]["cutflow"] if count["sample"] == "run1")
    assert (read["cut"], read["events"]) == ("read", 2000)
    assert told[0][1]["fit"]["fit.json"]["dataset"] == "data sidebands"


def test_simulation_is_not_blinded(blind: Path) -> None:
    mass = skim(select(blind, workers=1), "signal")
    assert ((mass > LOW) & (mass < HIGH)).sum() > 500


def test_opened_data_are_read_and_that_is_recorded(blind: Path) -> None:
    result = select(blind, unblind=True, workers=1)
    mass = skim(result, "run1")
    assert ((mass >= np.float32(LOW)) & (mass <= np.float32(HIGH))).sum() > 200
    assert fit(blind, unblind=True, workers=1).to_json()["dataset"] == "data"
    assert limit(blind, unblind=True, workers=1).to_json()["methods"]["cls"]["observed"] > 0
    for stage in ("select", "fit", "limit"):
        manifest = the_run().manifest(stage)
        assert manifest is not None
        assert manifest["unblind"] is True
        assert manifest["unblinded_utc"]


def test_an_open_selection_is_closed_again_by_the_fit(blind: Path) -> None:
    select(blind, workers=1)
    closed = fit(blind, workers=1).to_json()
    select(blind, unblind=True, workers=1)
    again = fit(blind, workers=1).to_json()
    assert again["dataset"] == "data sidebands"
    assert again["yields"] == closed["yields"]
    assert again["unblind"] is False


def test_a_blind_selection_cannot_be_opened_afterwards(blind: Path) -> None:
    select(blind, workers=1)
    for stage in (fit, limit):
        with pytest.raises(BlindError, match=r"left out the data inside fit\.blind") as caught:
            stage(blind, unblind=True, workers=1)
        assert caught.value.hint == "Open the data in the selection, too: mlbkg select small.yaml --unblind"


def test_run_opens_every_stage(blind: Path) -> None:
    closed = run(blind, workers=1)
    assert [ran.kept for ran in closed.stages] == [False, True, False, False, False]
    opened = run(blind, unblind=True, workers=1)
    assert [ran.kept for ran in opened.stages] == [False, True, False, False, False]
    assert opened.to_json()["fit"]["dataset"] == "data"


def test_signal_is_not_put_into_data(blind: Path) -> None:
    select(blind, unblind=True, workers=1)
    with pytest.raises(ConfigError, match="40 signal candidates cannot be put into data"):
        fit(blind, unblind=True, inject=40, workers=1)


@pytest.mark.parametrize("change", [("mass > 9.3", "mass > 9.31"), (f"[{LOW}, {HIGH}]", "[9.44, 9.46]")])
def test_a_selection_of_another_config_is_refused(blind: Path, change: tuple[str, str]) -> None:
    select(blind, workers=1)
    text = blind.read_text(encoding="utf-8")
    assert change[0] in text
    blind.write_text(text.replace(*change), encoding="utf-8")
    with pytest.raises(MlbkgError, match="was made with another config") as caught:
        fit(blind, workers=1)
    assert caught.value.hint == "Select again: mlbkg select small.yaml"


def test_what_the_selection_does_not_depend_on_may_change(blind: Path) -> None:
    select(blind, workers=1)
    text = blind.read_text(encoding="utf-8")
    blind.write_text(text.replace("order: 1", "order: 2"), encoding="utf-8")
    assert fit(blind, workers=1).to_json()["converged"]


def test_the_fit_variable_is_in_the_skim_whatever_is_kept(small_analysis: Small) -> None:
    """A formula with the name of a branch: what the fit reads is the formula, as what is hidden is."""
    renamed = {
        "spectators: [mass]": 'spectators: [mass, {name: ids, expression: "mass - 0.1"}]',
        "variable: mass": "variable: ids",
    }
    ranges = {"window: [9.3, 9.6]": "window: [9.2, 9.5]", f"[{LOW}, {HIGH}]": "[9.33, 9.37]"}
    kept = {"selection: {working_point": "selection: {branches: [x], working_point"}
    config = small_analysis(replace={**BLIND, **renamed, **ranges, **kept}, peak=True)
    write_data(hidden=300)
    train(config, workers=1)
    result = select(config, workers=1)
    with uproot.open(next(file.skim for file in result.files if file.sample == "run1")) as file:
        columns = file["candidates"].arrays(library="np")
    assert set(columns) == {"x", "ids", "score", "fold", "physics_weight"}
    assert not ((columns["ids"] > 9.33) & (columns["ids"] < 9.37)).any()
    assert fit(config, workers=1).to_json()["converged"]
