"""One forest that answers as the mean of several, for formats that hold one and add its trees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mlbkg.export.forest import Forest, refused


def joined(forests: Sequence[Forest], where: str) -> Forest:
    """A single forest as it is; of several all trees, their leaves divided by the number of forests, in float64.

    Raises :class:`mlbkg.errors.MlbkgError` for forests that look features up first.
    """
    if any(forest.lookups for forest in forests):
        raise refused(where, "it looks categories or bins up in tables, which this form has no place for")
    first = forests[0]
    if len(forests) == 1:
        return first
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(forest, name) for forest in forests])
        for name in ("feature", "threshold", "left", "right", "missing_left", "value")
    }
    ends = np.cumsum([0, *(forest.n_nodes for forest in forests)])
    offsets = [forest.tree_offset[:-1] + end for forest, end in zip(forests, ends, strict=False)]
    return replace(
        first,
        **{**columns, "value": columns["value"] / len(forests)},
        tree_offset=np.concatenate([*offsets, ends[-1:]]),
        precision="float64",
    )
