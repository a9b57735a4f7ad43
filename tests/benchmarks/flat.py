"""An analysis of flat ntuples with made-up candidates, of any size in constant memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mlbkg.ntuples.write import AtomicRootWriter

BRANCHES = tuple(f"v{i}" for i in range(30))
EVENT_ID = ("__experiment__", "__run__", "__event__")
PIECE = 100_000
N_FEATURES, N_FOLDS = 20, 5

CONFIG = """
analysis: flat
seed: 1
ntuples: {{tree: candidates, event_id: [{event_id}]}}
samples:
  - {{name: signal, role: signal, files: {signal}}}
  - {{name: background, role: background, files: {background}}}
features: [{features}]
spectators: [v20]
training:
  folds: {folds}
  classifiers: [{{backend: xgboost, n_estimators: {trees}, max_depth: 4, learning_rate: 0.02}}]
evaluation: {{bootstrap: 20, permutation_rows: 1000}}
selection: {{working_point: {{score: 0.5}}}}
tracking: {{enabled: false}}
"""


def write_flat(path: Path, rows: int, *, label: int, run: int) -> None:
    """Thirty normal float32 branches; for signal the first five have their mean at 0.4."""
    rng = np.random.default_rng([run, label])
    with AtomicRootWriter(path, tree="candidates") as writer:
        for start in range(0, rows, PIECE):
            n = min(PIECE, rows - start)
            columns = {name: rng.standard_normal(n, dtype=np.float32) for name in BRANCHES}
            for name in BRANCHES[:5]:
                columns[name] += np.float32(0.4 * label)
            event = np.arange(start, start + n, dtype=np.int32)
            columns |= dict(zip(EVENT_ID, (np.full(n, 7, np.int32), np.full(n, run, np.int32), event), strict=True))
            writer.extend(columns)


def write_config(path: Path, *, signal: str, background: str, trees: int) -> Path:
    """XGBoost on the first twenty branches."""
    text = CONFIG.format(
        event_id=", ".join(EVENT_ID),
        signal=signal,
        background=background,
        features=", ".join(BRANCHES[:N_FEATURES]),
        folds=N_FOLDS,
        trees=trees,
    )
    path.write_text(text, encoding="utf-8")
    return path
