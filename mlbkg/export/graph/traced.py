"""Columns without values, which write down as ONNX nodes what numpy is asked to do with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import DTypeLike, NDArray

from mlbkg.export.graph.formulas import FORMULAS
from mlbkg.export.graph.operators import ARITHMETIC, BITS, BITS_OPSET, COMPARISONS, LOGICAL, REAL
from mlbkg.export.graph.recorder import Recorder

FLOAT, DOUBLE, INT, BOOL = (np.dtype(kind) for kind in (np.float32, np.float64, np.int64, np.bool_))


class UntraceableError(Exception):
    """Nothing that a graph could compute: a collection, a decision that depends on values, an operation without a node."""


class Traced(NDArrayOperatorsMixin):
    """A number for each row; ``name``: what the graph calls it. dtype: float64, int64 or bool; float32 only of features."""

    ndim = 1

    def __init__(self, recorder: Recorder, name: str, dtype: np.dtype[Any]) -> None:
        self.recorder = recorder
        self.name = name
        self.dtype = dtype

    def astype(self, dtype: DTypeLike) -> Traced:
        dtype = np.dtype(dtype)
        if dtype == self.dtype:
            return self
        return self._made("Cast", self, dtype=dtype, to=_onnx_type(dtype))

    def kernel(self, operator: str) -> Traced:
        """What the ONNX operator of float64 makes of it."""
        return self._made(operator, self, dtype=self.dtype)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *arguments: Any, **settings: Any) -> Traced:
        if method != "__call__" or settings:
            raise UntraceableError(f"numpy.{ufunc.__name__}.{method} with {sorted(settings)}")
        kinds = ufunc.resolve_dtypes((*map(_kind, arguments), *[None] * ufunc.nout))
        return self._apply(ufunc, tuple(map(self._cast, arguments, kinds)), kinds)

    def __array_function__(self, function: Any, types: Any, arguments: Any, settings: Any) -> Any:
        if function is np.where and len(arguments) == 3:
            return self._where(*arguments)
        if function is np.clip and len(arguments) == 3:
            value, low, high = arguments
            return np.minimum(np.maximum(value, low), high)
        raise UntraceableError(f"numpy.{function.__name__}")

    def _apply(self, ufunc: np.ufunc, arguments: tuple[Any, ...], kinds: tuple[Any, ...]) -> Traced:
        *inputs, output = kinds
        numbers = set(inputs) <= {DOUBLE} or set(inputs) <= {INT}
        if ufunc in LOGICAL and (output == BOOL):
            return self._made(LOGICAL[ufunc], *(self._truth(argument) for argument in arguments), dtype=BOOL)
        if ufunc in COMPARISONS or ufunc is np.not_equal:
            return self._compared(ufunc, arguments)
        if ufunc in BITS and set(inputs) == {INT}:
            self.recorder.opset = max(self.recorder.opset, BITS_OPSET)
            return self._made(BITS[ufunc], *arguments, dtype=INT)
        if ufunc in (np.fmod, np.remainder) and numbers and (ufunc is np.fmod or output == INT):
            return self._made("Mod", *arguments, dtype=output, fmod=int(ufunc is np.fmod))
        if ufunc is np.power and numbers and _is_constant(arguments[1], 2.0):
            ufunc, arguments = np.square, arguments[:1]
        if ufunc is np.power and set(inputs) <= {DOUBLE} and _is_constant(arguments[1], 0.5):
            # as numpy does it: NaN of -inf
            ufunc, inputs, arguments = np.sqrt, inputs[:1], arguments[:1]
        if ufunc in ARITHMETIC and numbers:
            return self._made(ARITHMETIC[ufunc], *arguments, dtype=output)
        if ufunc in REAL and set(inputs) == {DOUBLE}:
            return self._made(REAL[ufunc], *arguments, dtype=output)
        if ufunc.__name__ in FORMULAS and numbers and output in (inputs[0], BOOL):
            made: Traced = FORMULAS[ufunc.__name__](*arguments)
            return made
        raise UntraceableError(f"numpy.{ufunc.__name__} of {', '.join(map(str, inputs))}")

    def _compared(self, ufunc: np.ufunc, arguments: tuple[Any, ...]) -> Traced:
        dtype = np.result_type(*map(_kind, arguments))
        if dtype == BOOL:
            arguments, dtype = tuple(self._cast(argument, INT) for argument in arguments), INT
        if dtype not in (DOUBLE, INT):
            raise UntraceableError(f"numpy.{ufunc.__name__} of {dtype}")
        if ufunc is np.not_equal:
            return self._made("Not", self._compared(np.equal, arguments), dtype=BOOL)
        return self._made(COMPARISONS[ufunc], *arguments, dtype=BOOL)

    def _where(self, condition: Any, yes: Any, no: Any) -> Traced:
        dtype = np.result_type(*map(_weak_kind, (yes, no)))
        chosen, yes, no = self._truth(condition), self._cast(yes, dtype), self._cast(no, dtype)
        if dtype == BOOL:
            # ONNX Runtime has no Where of conditions
            either: Traced = (chosen & yes) | (~chosen & no)
            return either
        if dtype not in (DOUBLE, INT):
            raise UntraceableError(f"numpy.where of {dtype}")
        return self._made("Where", chosen, yes, no, dtype=dtype)

    def _truth(self, value: Any) -> Traced:
        """As numpy's logical functions take a number: NaN is true."""
        if _kind(value) == BOOL:
            return value if isinstance(value, Traced) else self._constant(np.asarray(value))
        return self._compared(np.not_equal, (value, np.zeros((), dtype=_kind(value))))

    def _cast(self, value: Any, dtype: np.dtype[Any]) -> Any:
        return value.astype(dtype) if isinstance(value, Traced) else np.asarray(value, dtype=dtype)

    def _made(self, operator: str, *arguments: Any, dtype: np.dtype[Any], **attributes: int) -> Traced:
        names = [argument.name if isinstance(argument, Traced) else self._constant(argument).name for argument in arguments]
        return Traced(self.recorder, self.recorder.node(operator, *names, **attributes), dtype)

    def _constant(self, value: NDArray[Any]) -> Traced:
        if value.ndim:
            raise UntraceableError("an array of values")
        return Traced(self.recorder, self.recorder.constant(value), value.dtype)

    def _no_values(self, *_: Any, **__: Any) -> NoReturn:
        raise UntraceableError("what asks for the values of a column")

    __array__: Callable[..., Any] = _no_values
    __bool__ = __len__ = __iter__ = __getitem__ = __float__ = __int__ = __index__ = _no_values


def _is_constant(value: Any, number: float) -> bool:
    return not isinstance(value, Traced) and bool(np.all(value == number))


def _kind(value: Any) -> Any:
    """As ``ufunc.resolve_dtypes`` wants it: Python's own numbers take the kind of the others."""
    if isinstance(value, bool):
        return BOOL
    if isinstance(value, int | float) and not isinstance(value, np.generic):
        return type(value)
    return value.dtype


def _weak_kind(value: Any) -> Any:
    """As ``numpy.result_type`` wants it."""
    return value if isinstance(value, int | float) and not isinstance(value, np.generic) else value.dtype


def _onnx_type(dtype: np.dtype[Any]) -> int:
    from onnx import TensorProto

    known = {FLOAT: TensorProto.FLOAT, DOUBLE: TensorProto.DOUBLE, INT: TensorProto.INT64, BOOL: TensorProto.BOOL}
    if dtype not in known:
        raise UntraceableError(f"numbers of {dtype}")
    return int(known[dtype])
