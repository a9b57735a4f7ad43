"""Every command answers as the design binds: one JSON object, exit codes, and errors that say where and what next."""

from __future__ import annotations

import ctypes
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlbkg.tracking.mlflow_store import client_of

Run = Callable[..., Any]
HEAVY = (  # noqa: SIM905 (a list of 18 strings is 18 lines)
    "awkward formulate lightgbm matplotlib mlbkg.config.schema mlflow numpy onnx onnxruntime pandas pythia8mc rich scipy "
    "sklearn treelite uproot xgboost yaml"
).split()


def change(config: Path, **sections: Any) -> None:
    content = yaml.safe_load(config.read_text(encoding="utf-8"))
    config.write_text(yaml.safe_dump({**content, **sections}, sort_keys=False), encoding="utf-8")


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys\nfrom mlbkg.cli.main import main\n"
        f"sys.argv = ['mlbkg', *{arguments}]\n"
        "try: main()\nexcept SystemExit as end: assert end.code == 0\n"
        f"print('loaded:', [name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded: []"


@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        (["init", "new.yaml"], {"config"}),
        (["init", "--schema"], {"$schema", "properties"}),
        (["check", "tiny.yaml"], {"config", "analysis", "samples", "features", "warnings"}),
        (["simulate", "tiny.yaml"], {"files", "seconds"}),
        (["features"], {"features"}),
        (["backends"], {"backends"}),
        (["branches", "signal.root"], {"file", "tree", "trees", "entries", "branches"}),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_json(tiny: Path, mlbkg: Run, arguments: list[str], keys: set[str]) -> None:
    done = mlbkg(*arguments, "--json")
    assert (done.code, done.err) == (0, "")
    assert keys <= done.json.keys()
    again = mlbkg(*arguments, *(["--force"] if arguments[0] == "init" else []))
    assert again.code == 0
    if arguments != ["init", "--schema"]:
        with pytest.raises(json.JSONDecodeError):
            json.loads(again.out)


def test_json_of_train_select_and_inspect(tiny: Path, mlbkg: Run) -> None:
    done = mlbkg("train", "tiny.yaml", "--json", "-j", "1")
    assert done.code == 0
    trained = done.json
    assert {
        "run_dir",
        "model",
        "folds_model",
        "mlflow_run_id",
        "champion",
        "seconds",
        "backends",
        "categories",
    } <= trained.keys()
    figures = {"auc", "auc_error", "background_rejection", "background_rejection_error", "signal_efficiency"}
    assert figures <= trained["backends"]["xgboost"].keys()
    assert "background_efficiency" in trained["categories"]["background"]
    assert Path(trained["model"]).is_file()
    assert "train classifiers: done" in done.err
    selected = mlbkg("select", "tiny.yaml", "--json", "-j", "1", "--quiet")
    assert (selected.code, selected.err) == (0, "")
    keys = {"files", "failed", "candidates_read", "candidates_selected", "cutflow", "seconds"}
    assert keys <= selected.json.keys()
    assert {"cut", "sample", "events", "weighted", "error"} <= selected.json["cutflow"][0].keys()
    assert selected.json["candidates_read"] == 1200
    inspected = mlbkg("inspect", trained["folds_model"], "--json")
    assert (inspected.code, inspected.json["takes_fold"]) == (0, True)
    assert [entry["name"] for entry in inspected.json["metadata"]["features"]] == ["x", "y"]


def test_people_get_tables_and_quiet_is_quiet(tiny: Path, mlbkg: Run) -> None:
    done = mlbkg("train", "tiny.yaml", "--quiet", "-j", "1")
    assert (done.code, done.err) == (0, "")
    assert "Out-of-fold performance" in done.out
    assert re.search(r"(?m)^model +runs/tiny/\S+/01-train/model.onnx$", done.out)


@pytest.mark.parametrize(
    ("arguments", "code", "error", "hint"),
    [
        (["train", "tyni.yaml"], 2, "no config 'tyni.yaml'; did you mean 'tiny.yaml'?", "mlbkg init tyni.yaml"),
        (["check", "."], 2, ". is a folder, not a config", ""),
        (["init", "tiny.yaml"], 2, "tiny.yaml exists; nothing was written", "mlbkg init tiny.yaml --force"),
        (["init", "tiny.yaml/new.yaml"], 1, "tiny.yaml: File exists", ""),
        (["select", "tiny.yaml"], 1, "no finished 'train' of analysis 'tiny' under runs/tiny", "mlbkg train tiny.yaml"),
        (["inspect", "model.onnx"], 1, "model.onnx cannot be read: No such file or directory", ""),
        (["inspect", "tiny.yaml"], 1, "tiny.yaml is not a valid ONNX file", ""),
        (["branches", "tiny.yaml"], 1, "tiny.yaml is not a ROOT file", ""),
        (["branches", "signal.root", "--tree", "T2"], 1, "no tree 'T2' in signal.root", "Trees in the file: t"),
        (["train"], 2, "Missing argument 'CONFIG'.", "Usage: mlbkg train"),
        (["train", "tiny.yaml", "-j", "0"], 2, "Invalid value for '--workers'", "Usage: mlbkg train"),
        (["init"], 2, "Invalid value for CONFIG: name the file to write, or give --schema", "Usage: mlbkg init"),
        (["trian", "tiny.yaml"], 2, "No such command 'trian'. Did you mean 'train'?", "Usage: mlbkg"),
    ],
)
def test_failures(tiny: Path, mlbkg: Run, arguments: list[str], code: int, error: str, hint: str) -> None:
    done = mlbkg(*arguments, "--json")
    assert done.code == code
    assert {"error", "where", "hint"} <= done.json.keys()
    assert done.json["error"].startswith(error)
    assert hint in done.json["hint"]
    people = mlbkg(*arguments)
    assert (people.code, people.out) == (code, "")
    assert people.err.startswith(error)


def test_a_config_anywhere(tiny: Path, mlbkg: Run) -> None:
    folder = Path("Größe & späte Ø")
    folder.mkdir()
    config = tiny.rename(folder / "konfig ü.yaml")
    assert mlbkg("check", str(config), "--json").json["config"] == str(config)


def test_a_config_that_is_too_large(tiny: Path, mlbkg: Run) -> None:
    tiny.write_text("#" * 2_000_000, encoding="utf-8")
    done = mlbkg("train", "tiny.yaml", "--json")
    assert (done.code, done.json["error"]) == (2, "tiny.yaml has 2000000 bytes; a config has at most 1000000")


def test_what_libraries_print_is_not_part_of_the_answer(mlbkg: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def noisy() -> list[dict[str, Any]]:
        print("from Python")
        os.write(1, b"from a system call\n")
        ctypes.CDLL(None).printf(b"from C\n")
        return []

    monkeypatch.setattr("mlbkg.stages.lists.list_features", noisy)
    done = mlbkg("features", "--json")
    assert done.json == {"features": []}
    assert sorted(done.err.splitlines()) == ["from C", "from Python", "from a system call"]


def test_a_fault_of_the_program_is_json_too(mlbkg: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlbkg.stages.lists.list_features", lambda: 1 / 0)
    done = mlbkg("features", "--json")
    assert (done.code, done.json["error"]) == (1, "unexpected ZeroDivisionError: division by zero")
    assert "report it" in done.json["hint"]
    assert "Traceback" in done.err


def test_a_reader_that_leaves(tiny: Path) -> None:
    """``mlbkg ... | true``: no complaint."""
    program = [sys.executable, "-c", "from mlbkg.cli.main import main; main()", "features"]
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(program, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (1, "")


def test_no_place_to_write_is_told_before_the_work(tiny: Path, mlbkg: Run) -> None:
    Path("runs").write_text("", encoding="utf-8")
    done = mlbkg("train", "tiny.yaml", "--json", "-j", "1")
    assert done.code == 1
    assert re.fullmatch(r"runs/tiny/\S+: Not a directory", done.json["error"])
    assert "train classifiers" not in done.err


def test_a_full_disk_leaves_nothing(tiny: Path) -> None:
    """No file may grow beyond 2 kB, as if the disk were full."""
    program = (
        "import resource; from mlbkg.cli.main import main; resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048)); main()"
    )
    command = [sys.executable, "-c", program, "train", "tiny.yaml", "--json", "-j", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "File too large" in json.loads(done.stdout)["error"]
    assert "Traceback" not in done.stderr
    assert not list(Path("runs").glob("*/*"))


def test_a_file_that_fails_in_select(tiny: Path, mlbkg: Run) -> None:
    assert mlbkg("train", "tiny.yaml", "-j", "1").code == 0
    whole = Path("background_1.root").read_bytes()
    Path("background_1.root").write_bytes(whole[:-3000])
    done = mlbkg("select", "tiny.yaml", "--json", "-j", "1")
    assert done.code == 1
    assert done.json["error"] == "1 of 3 files failed; the rest is written"
    assert done.json["where"] == "background_1.root"
    assert [failed["path"] for failed in done.json["failed"]] == ["background_1.root"]
    assert len(done.json["files"]) == 2
    people = mlbkg("select", "tiny.yaml", "-j", "1", "--quiet")
    assert "Cutflow" in people.out
    assert people.err.startswith("1 of 3 files failed; the rest is written\n  background_1.root: ")
    for path in ("background_0.root", "background_1.root", "signal.root"):
        Path(path).write_bytes(b"")
    nothing = mlbkg("select", "tiny.yaml", "--json", "-j", "1", "--output", "skims")
    assert (nothing.code, nothing.json["error"]) == (1, "no file could be selected")
    assert not list(Path("skims").glob("*.root"))


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("http://127.0.0.1:9", "ConnectionRefusedError"),
        ("sqlite:///mlflow.db", "DatabaseError: file is not a database"),
        ("nonsense://store", "KeyError"),
    ],
)
def test_tracking_that_fails_loses_nothing(tiny: Path, mlbkg: Run, uri: str, told: str) -> None:
    Path("mlflow.db").write_bytes(b"not a database" * 1000)
    change(tiny, tracking={"uri": uri})
    done = mlbkg("train", "tiny.yaml", "--json", "-j", "1")
    assert done.code == 0
    assert done.json["mlflow_run_id"] is None
    assert done.json["tracking_failure"].startswith(told)
    assert Path(done.json["model"]).is_file()
    assert done.err.count("results are on disk all the same") == 1


@pytest.mark.slow
def test_only_the_answer_is_on_stdout(tiny: Path) -> None:
    """The real program: LightGBM, MLflow and Pythia all have something to say, and none of it to say there."""
    simulated = [
        {"name": name, "role": role, "files": f"{name}.root", "simulate": {"process": process, "events": events}}
        for name, role, process, events in (
            ("made_signal", "signal", "upsilon1s_invisible", 1500),
            ("made_continuum", "background", "continuum_qq", 6000),
        )
    ]
    change(
        tiny,
        ntuples={"tree": "events"},
        candidates={"pair": "pipi"},
        samples=simulated,
        features=["nTracksROE", "EPiPi"],
        spectators=["mRecoil"],
        training={"folds": 2, "classifiers": [{"backend": "lightgbm", "n_estimators": 20}]},
        tracking={"uri": "sqlite:///mlflow.db"},
    )
    program = [sys.executable, "-c", "from mlbkg.cli.main import main; main()"]
    done = subprocess.run([*program, "train", "tiny.yaml", "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    run = client_of("sqlite:///mlflow.db").get_run(answer["mlflow_run_id"])
    assert run.data.metrics["auc"] == pytest.approx(answer["backends"]["lightgbm"]["auc"])
    assert "PYTHIA" not in done.stderr
    assert "[LightGBM]" not in done.stderr
