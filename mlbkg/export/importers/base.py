"""What a reader of other programs' models must give, and the registry of all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlbkg.export.forest import Forest
from mlbkg.registry import Registry

MAX_BYTES = 256 * 2**20
"""Of a model file that is read."""


@dataclass(frozen=True)
class Imported:
    """A model that another program trained.

    forest: whose answer (:data:`mlbkg.export.forest.Output`) is what the program's own ``predict`` returns. program: who
    wrote the file, and in which format, in words. feature_names: as the file itself names them, in the order of the input;
    None where it does not.

    answer: ``(n, n_features)`` float32 -> ``(n,)`` float64, computed from the numbers in the file as the program does it and
    not from ``forest``, so that the two can be compared.

    has_width: whether the file says how many features there are; where it does not, there may be more than the forest has,
    which it does not cut on.
    """

    forest: Forest
    program: str
    feature_names: tuple[str, ...] | None
    answer: Callable[[NDArray[np.float32]], NDArray[np.float64]]
    has_width: bool = True


@dataclass(frozen=True)
class Importer:
    """``read(content, where)``: the bytes of a file, which may be anything, and its name for messages.

    It raises :class:`mlbkg.errors.MlbkgError` for what it cannot read and for what has no exact ONNX form, with the reason,
    and nothing else; it runs nothing that the file holds, and needs time and memory in proportion to its length.
    """

    name: str
    description: str
    read: Callable[[bytes, str], Imported]


IMPORTERS: Registry[Importer] = Registry("importer", package="mlbkg.export.importers")
"""``mlbkg import-<name>``"""
