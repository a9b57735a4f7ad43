"""What a tensor of unknown origin must be: numbers that are in the file, as many as its shape says."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mlbkg.export.safety.refusal import refused, shown

FLOAT, INT32, INT64, BOOL, DOUBLE = 1, 6, 7, 9, 11
"""Numbers of ``TensorProto.DataType``."""
BYTES = {FLOAT: 4, INT32: 4, INT64: 8, BOOL: 1, DOUBLE: 8}
_LISTS = {FLOAT: "float_data", INT32: "int32_data", INT64: "int64_data", BOOL: "int32_data", DOUBLE: "double_data"}


def check_tensor(tensor: Any, where: str) -> tuple[int, ...]:
    """Its shape, which its data must fill."""
    shape, name = tuple(tensor.dims), f"the tensor '{shown(tensor.name)}'"
    if tensor.data_location:
        raise refused(where, "it keeps data in other files")
    if tensor.data_type not in BYTES:
        raise refused(where, f"{name} is of type {tensor.data_type}, not of numbers")
    found = len(getattr(tensor, _LISTS[tensor.data_type]))
    lists = sum(len(getattr(tensor, field)) for field in set(_LISTS.values()))
    size = math.prod(shape)
    is_full = found == size if not tensor.HasField("raw_data") else len(tensor.raw_data) == size * BYTES[tensor.data_type]
    if any(length < 0 for length in shape) or not is_full or lists != (0 if tensor.HasField("raw_data") else found):
        raise refused(where, f"{name} says that it has the shape {shape}, and holds something else")
    return shape


def integers_of(tensor: Any) -> tuple[int, ...]:
    from onnx import numpy_helper

    return tuple(int(value) for value in np.asarray(numpy_helper.to_array(tensor)))
