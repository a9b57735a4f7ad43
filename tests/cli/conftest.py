"""An analysis small enough to be trained within two seconds, and the program run inside the test."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlbkg.cli.main import main
from mlbkg.ntuples.write import AtomicRootWriter

CONFIG = """\
analysis: tiny
ntuples: {tree: t, event_id: [event]}
samples:
  - {name: signal, role: signal, files: signal.root}
  - {name: background, role: background, files: "background_*.root"}
features: [x, y]
spectators: [mass]
training:
  folds: 2
  classifiers: [{backend: xgboost, n_estimators: 5, max_depth: 3}]
evaluation: {bootstrap: 10, permutation_rows: 100}
selection: {working_point: {signal_efficiency: 0.5}}
tracking: {enabled: false}
"""


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        answer = json.loads(self.out)
        assert isinstance(answer, dict)
        return answer


def write(path: str, *, shift: float, first: int) -> None:
    rng = np.random.default_rng(first)
    with AtomicRootWriter(path, tree="t") as writer:
        columns = {name: rng.normal(shift, 1, 400) for name in ("x", "y")}
        writer.extend({**columns, "mass": rng.random(400), "event": np.arange(first, first + 400)})


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The config, in the working folder."""
    monkeypatch.chdir(tmp_path)
    write("signal.root", shift=1, first=0)
    write("background_0.root", shift=0, first=1000)
    write("background_1.root", shift=0, first=2000)
    Path("tiny.yaml").write_text(CONFIG, encoding="utf-8")
    return Path("tiny.yaml")


@pytest.fixture
def mlbkg(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Runs the program in this process; what libraries print past Python is caught, too."""

    def run(*arguments: str) -> Ran:
        monkeypatch.setattr(sys, "argv", ["mlbkg", *arguments])
        capfd.readouterr()
        with pytest.raises(SystemExit) as caught:
            main()
        code = caught.value.code
        return Ran(code if isinstance(code, int) else 0, *capfd.readouterr())

    return run
