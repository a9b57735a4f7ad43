"""From the names in a config to features: registered ones, branches under another name, and formulae of both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.errors import ConfigError, ExpressionError
from mlbkg.features.base import FEATURES, Columns, Feature
from mlbkg.ntuples.expressions import Expression


@dataclass(frozen=True)
class FeatureSpec:
    """A feature as a config names it: at most one of ``column`` and ``expression``; neither means "registered"."""

    name: str
    column: str | None = None
    expression: str | None = None
    unit: str | None = None
    description: str | None = None


def resolve(specs: Iterable[FeatureSpec], *, registered: bool) -> dict[str, Feature]:
    """Name -> feature, in order.

    ``registered``: whether a bare name means a registered feature (candidates that mlbkg builds) or the branch of that name
    (ntuples that already hold candidates). Raises :class:`UnknownNameError` and :class:`ExpressionError`.
    """
    return {spec.name: _resolve_one(spec, registered=registered) for spec in specs}


def _resolve_one(spec: FeatureSpec, *, registered: bool) -> Feature:
    if spec.expression is not None:
        expression = Expression.parse(spec.expression)
        return _described(spec, expression.names, spec.expression, expression.evaluate)
    if spec.column is not None or not registered:
        column = spec.column or spec.name
        read = _described(spec, (column,), f"branch {column}", lambda columns: np.asarray(columns[column]))
        return replace(read, of_branches=True)
    return FEATURES[spec.name]


def _described(spec: FeatureSpec, needs: tuple[str, ...], origin: str, compute: Any) -> Feature:
    known = FEATURES.find(spec.name)
    return Feature(
        name=spec.name,
        unit=spec.unit if spec.unit is not None else (known.unit if known else ""),
        needs=needs,
        description=spec.description or (known.description if known else origin),
        basf2=spec.column or (known.basf2 if known else ""),
        compute=compute,
    )


def base_columns(names: Iterable[str], features: Mapping[str, Feature]) -> tuple[str, ...]:
    """The columns that must be read or built to compute ``names``, each a feature or itself a column, sorted.

    Raises :class:`ConfigError` where features need each other in a circle.
    """
    found: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name not in features:
            found.add(name)
            return
        for need in features[name].needs:
            if need == name or features[name].of_branches:
                found.add(need)
            elif need in path:
                raise ConfigError(f"features need each other in a circle: {' -> '.join([*path, need])}", where=name)
            else:
                visit(need, (*path, need))

    for name in names:
        visit(name, (name,))
    return tuple(sorted(found))


class FeatureColumns(Mapping[str, Any]):
    """``columns`` and the features of ``library``, computed when first asked for and kept.

    A feature hides the column of its own name, except from itself.
    """

    def __init__(self, columns: Columns, library: Mapping[str, Feature]) -> None:
        self._columns = columns
        self._library = library
        self._computed: dict[str, NDArray[np.float32]] = {}

    def __getitem__(self, name: str) -> Any:
        feature = self._library.get(name)
        if feature is None:
            return self._columns[name]
        if name not in self._computed:
            self._computed[name] = feature(self._seen_by(feature))
        return self._computed[name]

    def _seen_by(self, feature: Feature) -> Columns:
        """``feature`` sees the column that it hides, and other features instead of the columns that they hide."""
        if feature.of_branches:
            return self._columns
        if feature.name not in feature.needs:
            return self
        return {need: self._columns[need] if need == feature.name else self[need] for need in feature.needs}

    def __iter__(self) -> Iterator[str]:
        return iter({**dict.fromkeys(self._library), **dict.fromkeys(self._columns)})

    def __len__(self) -> int:
        return len(set(self._library) | set(self._columns))

    def column(self, name: str) -> Any:
        """The column of that name as it was read, or the feature where there is no such column."""
        return self._columns[name] if name in self._columns else self[name]

    def take(self, columns: Columns, rows: NDArray[Any]) -> FeatureColumns:
        """The same over ``columns`` (already taken), with what is computed cut to ``rows`` instead of computed again."""
        taken = FeatureColumns(columns, self._library)
        taken._computed = {name: values[rows] for name, values in self._computed.items()}
        return taken

    def evaluate(self, expression: Expression) -> NDArray[Any]:
        """Raises :class:`ExpressionError` where the result is not one number per candidate."""
        result = np.asarray(expression.evaluate(self))
        if result.ndim > 1:
            raise ExpressionError(f"'{expression.text}' does not give one number per candidate", where=expression.text)
        return result
