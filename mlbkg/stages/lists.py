"""``mlbkg features``, ``backends``, ``couplings`` and ``branches``: what there is to use."""

from __future__ import annotations

from typing import Any

from mlbkg.classifiers.base import BACKENDS, Backend
from mlbkg.features.base import FEATURES
from mlbkg.fitting.base import SHAPES, ShapeFamily
from mlbkg.ntuples.files import describe
from mlbkg.physics.coupling import COUPLINGS


def list_features() -> list[dict[str, Any]]:
    return [
        {
            "name": found.name,
            "unit": found.unit,
            "basf2": found.basf2,
            "description": found.description,
            "needs": list(found.needs),
        }
        for found in (FEATURES[name] for name in FEATURES)
    ]


def list_backends() -> list[dict[str, Any]]:
    return [_with_settings(backend) for backend in (BACKENDS[name] for name in BACKENDS)]


def list_shapes() -> list[dict[str, Any]]:
    return [_with_settings(family) for family in (SHAPES[name] for name in SHAPES)]


def list_couplings() -> list[dict[str, Any]]:
    return [
        {
            "name": found.name,
            "symbol": found.symbol,
            "power": found.power,
            "assumption": found.assumption,
            "favoured": found.favoured.label if found.favoured else None,
        }
        for found in (COUPLINGS[name] for name in COUPLINGS)
    ]


def _with_settings(found: Backend | ShapeFamily) -> dict[str, Any]:
    return {
        "name": found.name,
        "description": found.description,
        "parameters": {
            name: {"default": None if field.is_required() else field.default, "description": field.description or ""}
            for name, field in found.params.model_fields.items()
        },
    }


def list_branches(file: str, *, tree: str | None = None) -> dict[str, Any]:
    """Trees of ``file``, and the branches of ``tree`` (the only one where not given)."""
    ntuple = describe(file, tree=tree)
    return {
        "file": ntuple.path,
        "tree": ntuple.tree,
        "trees": list(ntuple.trees),
        "entries": ntuple.entries,
        "branches": {name: {"kind": info.kind, "dtype": info.dtype} for name, info in ntuple.branches.items()},
    }
