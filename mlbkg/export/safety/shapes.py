"""How large every tensor of a graph becomes, before it is run: nothing may grow faster than the rows that are given to it.

A dimension is a number, or ``ROWS``: at most as many as there are rows. Two of these in one tensor would be rows squared.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from mlbkg.export.ensemble import ENSEMBLE
from mlbkg.export.graph.operators import ARITHMETIC, BITS, COMPARISONS, LOGICAL, REAL
from mlbkg.export.safety.refusal import refused, shown

ROWS = -1
Shape = tuple[int, ...]
MAX_PER_ROW = 50_000
"""Numbers of one tensor for each row."""
MAX_TOTAL_PER_ROW = 1_000_000
"""Of all tensors that nodes make."""
MAX_CONSTANT = 1_000_000
"""Numbers of a tensor that does not grow with the rows."""
MAX_RANK = 4

ELEMENTWISE = frozenset(
    (
        *(operator for table in (ARITHMETIC, REAL, COMPARISONS, LOGICAL, BITS) for operator in table.values()),
        *("Cast", "Identity", "Max", "Mean", "Min", "Mod", "Sigmoid", "Sin", "Sum", "Where"),
    )
)
"""Of one or more inputs of one shape, after broadcasting."""


class ShapeError(Exception):
    """What is wrong with the shapes at a node."""


class Shapes:
    """Tensor name -> shape, as nodes are added in their order. ``vectors``: the values of short integer tensors."""

    def __init__(self, shapes: dict[str, Shape], vectors: dict[str, Shape], where: str) -> None:
        self.of = dict(shapes)
        self.total = 0
        self._vectors = dict(vectors)
        self._where = where

    def add(self, node: Any, n_targets: int = 0) -> None:
        """``n_targets``: of an ensemble. Raises :class:`mlbkg.errors.MlbkgError` for what grows too large."""
        name = f"the node '{shown(node.name or ', '.join(node.output))}' ({shown(node.op_type)})"
        missing = [entry for entry in node.input if entry not in self.of]
        if missing or not node.input or len(node.output) != 1 or node.output[0] in self.of or not node.output[0]:
            why = (
                f"uses '{shown(missing[0])}', which nothing before it makes"
                if missing
                else "has no inputs, or other outputs"
            )
            raise refused(self._where, f"{name} {why}")
        try:
            self._add(node, [self.of[entry] for entry in node.input], n_targets)
        except (ShapeError, IndexError, ValueError) as error:
            reason = str(error) if isinstance(error, ShapeError) else "has inputs of shapes that it does not take"
            raise refused(self._where, f"{name} {reason}") from error

    def _add(self, node: Any, inputs: list[Shape], n_targets: int) -> None:
        attributes = {entry.name: entry for entry in node.attribute}
        output = node.output[0]
        if node.op_type == ENSEMBLE:
            (rows, _) = inputs[0]
            shape: Shape = (rows, n_targets)
        elif node.op_type in ELEMENTWISE:
            shape = broadcast(inputs)
        else:
            shape, vector = _RULES[node.op_type](inputs, [self._vectors.get(entry) for entry in node.input], attributes)
            if vector is not None:
                self._vectors[output] = vector
        self.of[output] = checked(shape)
        self.total += per_row(shape)
        if self.total > MAX_TOTAL_PER_ROW:
            raise ShapeError(f"makes it more than {MAX_TOTAL_PER_ROW:,} numbers for each row")


def per_row(shape: Shape) -> int:
    return math.prod(size for size in shape if size != ROWS)


def checked(shape: Shape) -> Shape:
    if len(shape) > MAX_RANK or shape.count(ROWS) > 1 or any(size < ROWS for size in shape):
        raise ShapeError("makes a tensor of too many dimensions, or one that grows with the square of the rows")
    limit = MAX_PER_ROW if ROWS in shape else MAX_CONSTANT
    if per_row(shape) > limit:
        raise ShapeError(f"makes a tensor of {per_row(shape):,} numbers{' for each row' if ROWS in shape else ''}")
    return shape


def broadcast(shapes: Sequence[Shape]) -> Shape:
    rank = max(map(len, shapes))
    sizes = []
    for column in zip(*((1,) * (rank - len(shape)) + shape for shape in shapes), strict=True):
        wide = set(column) - {1}
        if len(wide) > 1:
            raise ShapeError("has inputs of different sizes")
        sizes.append(wide.pop() if wide else 1)
    return tuple(sizes)


Vectors = list[Shape | None]
Rule = Callable[[list[Shape], Vectors, dict[str, Any]], tuple[Shape, Shape | None]]


def _concat(inputs: list[Shape], vectors: Vectors, attributes: dict[str, Any]) -> tuple[Shape, Shape | None]:
    axis = _axis(attributes["axis"].i, len(inputs[0])) if "axis" in attributes else _missing("axis")
    rest = {(*shape[:axis], *shape[axis + 1 :]) for shape in inputs if len(shape) == len(inputs[0])}
    sizes = [shape[axis] for shape in inputs]
    if len(rest) != 1 or any(len(shape) != len(inputs[0]) for shape in inputs) or (ROWS in sizes and len(sizes) > 1):
        raise ShapeError("puts tensors together that do not fit")
    vector = tuple(size for entry in vectors if entry is not None for size in entry)
    shape = (*inputs[0][:axis], sum(sizes) if ROWS not in sizes else ROWS, *inputs[0][axis + 1 :])
    return shape, vector if None not in vectors else None


def _shape(inputs: list[Shape], _: Vectors, attributes: dict[str, Any]) -> tuple[Shape, Shape | None]:
    start = attributes["start"].i if "start" in attributes else 0
    end = attributes["end"].i if "end" in attributes else None
    return (len(inputs[0][start:end]),), inputs[0][start:end]


def _constant_of_shape(_: list[Shape], vectors: Vectors, __: dict[str, Any]) -> tuple[Shape, Shape | None]:
    return _known(vectors[0]), None


def _non_zero(inputs: list[Shape], _: Vectors, __: dict[str, Any]) -> tuple[Shape, Shape | None]:
    if inputs[0] != (ROWS,):
        raise ShapeError("looks for what is not zero in something else than one number a row")
    return (1, ROWS), None


def _squeeze(inputs: list[Shape], vectors: Vectors, _: dict[str, Any]) -> tuple[Shape, Shape | None]:
    shape = inputs[0]
    dropped = {_axis(axis, len(shape)) for axis in _known(vectors[1])}
    if any(shape[axis] != 1 for axis in dropped):
        raise ShapeError("drops a dimension that is not 1")
    return tuple(size for axis, size in enumerate(shape) if axis not in dropped), None


def _unsqueeze(inputs: list[Shape], vectors: Vectors, _: dict[str, Any]) -> tuple[Shape, Shape | None]:
    shape, axes = inputs[0], _known(vectors[1])
    rank = len(shape) + len(axes)
    added, rest = {_axis(axis, rank) for axis in axes}, iter(shape)
    if len(added) != len(axes):
        raise ShapeError("adds a dimension twice")
    return tuple(1 if axis in added else next(rest) for axis in range(rank)), None


def _reshape(inputs: list[Shape], vectors: Vectors, _: dict[str, Any]) -> tuple[Shape, Shape | None]:
    """Only to what does not mix rows: the ``-1`` stands for them, and where there are none, for nothing."""
    wanted = _known(vectors[1])
    if wanted.count(ROWS) != inputs[0].count(ROWS) or 0 in wanted or per_row(wanted) != per_row(inputs[0]):
        raise ShapeError("takes rows apart or puts them together")
    return wanted, None


def _gather(inputs: list[Shape], _: Vectors, attributes: dict[str, Any]) -> tuple[Shape, Shape | None]:
    data, indices = inputs
    axis = _axis(attributes["axis"].i if "axis" in attributes else 0, len(data))
    return (*data[:axis], *indices, *data[axis + 1 :]), None


def _scatter(inputs: list[Shape], _: Vectors, __: dict[str, Any]) -> tuple[Shape, Shape | None]:
    data, indices, updates = inputs
    if len(indices) != 2 or indices[1] != 1 or updates != (indices[0], *data[1:]):
        raise ShapeError("puts numbers where they do not fit")
    return data, None


_RULES: dict[str, Rule] = {
    "Concat": _concat,
    "ConstantOfShape": _constant_of_shape,
    "Gather": _gather,
    "NonZero": _non_zero,
    "Reshape": _reshape,
    "ScatterND": _scatter,
    "Shape": _shape,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
}
OPERATORS = ELEMENTWISE | frozenset(_RULES)
"""Of the default domain, that a graph may use."""


def _known(vector: Shape | None) -> Shape:
    if vector is None:
        raise ShapeError("takes its shape from numbers that are not constant")
    return vector


def _axis(axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise ShapeError(f"has no dimension {axis}")
    return axis % rank


def _missing(attribute: str) -> int:
    raise ShapeError(f"has no attribute '{attribute}'")
