"""Small analyses on generated ntuples that the workflow tests train and select with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mlbkg.ntuples.write import AtomicRootWriter

CONFIG = """
analysis: small
seed: 7
luminosity_per_fb: 10
ntuples: {{tree: candidates, event_id: [__run__, __event__]}}
samples:
  - {{name: signal, role: signal, files: signal.root, cross_section_nb: 1.0e-4, generated_events: 5000}}
  - {{name: qqbar, role: background, files: "qqbar_*.root", cross_section_nb: 1.0e-2, generated_events: 10000}}
  - {{name: tau, role: background, files: tau.root, cross_section_nb: 1.0e-3, generated_events: 5000, weight: genweight}}
preselection: ["mass > 9.3"]
features: [x, y, {{name: z, column: useCMSFrame(E), unit: GeV}}, {{name: ratio, expression: "x / (abs(y) + 1)"}}]
spectators: [mass]
training:
  folds: 3
  classifiers:
{classifiers}
evaluation: {{bootstrap: 20, permutation_rows: 500}}
selection: {{working_point: {{signal_efficiency: 0.8}}}}
tracking: {{uri: "sqlite:///mlflow.db"}}
"""
XGBOOST = "    - {backend: xgboost, n_estimators: 20, max_depth: 3}"


def write_candidates(path: Path, *, n: int, shift: float, run: int, seed: int, peak: bool = False) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(shift, 1, n).astype("f4"), rng.normal(-shift, 1, n).astype("f4")
    with AtomicRootWriter(path, tree="candidates", metadata=None) as writer:
        writer.extend(
            {
                "__run__": np.full(n, run, dtype="i4"),
                "__event__": (np.arange(n) // 2).astype("i8"),
                "x": x,
                "y": y,
                "useCMSFrame__boE__bc": np.where(rng.random(n) < 0.1, np.nan, rng.exponential(1 + shift, n)).astype("f4"),
                "mass": rng.normal(9.45, 0.01, n) if peak else rng.uniform(9.2, 9.6, n),
                "genweight": rng.uniform(0.5, 1.5, n),
                "ids": rng.integers(0, 5, n).astype("i4"),
            }
        )


@pytest.fixture
def small_analysis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes ntuples and a config into an empty folder, and works there; the answer is the config."""

    def make(
        *, classifiers: str = XGBOOST, scale: int = 1, replace: dict[str, str] | None = None, peak: bool = False
    ) -> Path:
        monkeypatch.chdir(tmp_path)
        write_candidates(Path("signal.root"), n=1500 * scale, shift=1.0, run=1, seed=1, peak=peak)
        write_candidates(Path("qqbar_0.root"), n=1500 * scale, shift=0.0, run=2, seed=2)
        write_candidates(Path("qqbar_1.root"), n=1000 * scale, shift=0.0, run=3, seed=3)
        write_candidates(Path("tau.root"), n=800 * scale, shift=0.5, run=4, seed=4)
        text = CONFIG.format(classifiers=classifiers)
        for old, new in (replace or {}).items():
            assert old in text
            text = text.replace(old, new)
        path = Path("small.yaml")
        path.write_text(text, encoding="utf-8")
        return path

    return make
