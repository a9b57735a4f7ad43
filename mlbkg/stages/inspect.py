"""``mlbkg inspect``: what an ONNX model says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlbkg.export.load import open_model


def inspect(path: Path) -> dict[str, Any]:
    """Features, folds, working points, size and checks as plain values; the model is not run."""
    return open_model(path).describe()
