"""Who made a result, from which version of what: for tracking, and for models that are published."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence

import numpy as np

from mlbkg.stages.training_data import TrainingData

_DIRTY = "-dirty"


def git_commit() -> str:
    """Of the folder that is worked in, with ``-dirty`` where its files were changed since; empty outside a repository."""
    git = shutil.which("git")
    if git is None:
        return ""
    command = [git, "describe", "--always", "--abbrev=40", "--exclude=*", f"--dirty={_DIRTY}"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""


def clean(commit: str) -> str:
    """The commit alone, by which a server finds it."""
    return commit.removesuffix(_DIRTY)


def features_sha256(names: Sequence[str]) -> str:
    """Of the ordered list: models with the same one take the same input."""
    return _sha256(list(names))


def data_sha256(fingerprints: Mapping[str, str]) -> str:
    """Of the candidates of all samples, with their features and weights."""
    return _sha256(dict(fingerprints))


def events_sha256(data: TrainingData) -> str:
    """Of the candidates without their features, and of their folds: what two classifiers are compared on, fold by fold."""
    sample, digest = data.sample, hashlib.sha256()
    for column in (sample.event_id, sample.label, sample.weight, sample.fold):
        digest.update(np.ascontiguousarray(column).data)
    return digest.hexdigest()


def _sha256(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
