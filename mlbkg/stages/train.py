"""``mlbkg train``: features, folds, classifiers, evaluation, ONNX and tracking."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.classifiers.base import BACKENDS
from mlbkg.classifiers.cross_fit import Contender, CrossFit, cross_fit
from mlbkg.config.load import LoadedConfig, load
from mlbkg.config.schema import Config
from mlbkg.samples.cuts import CutCount
from mlbkg.samples.load import LoadedSamples, load_samples
from mlbkg.samples.split import split_folds
from mlbkg.stages.progress import NoProgress, Progress
from mlbkg.stages.run_folder import RunFolder, new_run
from mlbkg.stages.simulate import simulate_samples
from mlbkg.stages.sources import recipe_of, sources_of

@dataclass(frozen=True)
class TrainResult:
    run: RunFolder
