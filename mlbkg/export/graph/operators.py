"""numpy's ufuncs that ONNX Runtime has a float64 kernel for, in every version since 1.15.

Not here, though ONNX has them: ``Min`` and ``Max``, which older versions let NaN get lost in; ``Cos``, which they have in
float32 only; ``Sin``, see :func:`mlbkg.export.graph.formulas.sin`; ``Atan`` and the other inverse and hyperbolic functions,
which there is no float64 kernel for at all.
"""

from __future__ import annotations

import numpy as np

ARITHMETIC: dict[np.ufunc, str] = {
    np.add: "Add",
    np.subtract: "Sub",
    np.multiply: "Mul",
    np.negative: "Neg",
    np.absolute: "Abs",
    np.sign: "Sign",
}
"""Of float64 and int64."""

REAL: dict[np.ufunc, str] = {
    np.divide: "Div",
    np.reciprocal: "Reciprocal",
    np.sqrt: "Sqrt",
    np.power: "Pow",
    np.exp: "Exp",
    np.log: "Log",
    np.tanh: "Tanh",
    np.floor: "Floor",
    np.ceil: "Ceil",
    np.rint: "Round",
    np.isnan: "IsNaN",
    np.isinf: "IsInf",
}
"""Of float64."""

COMPARISONS: dict[np.ufunc, str] = {
    np.less: "Less",
    np.less_equal: "LessOrEqual",
    np.greater: "Greater",
    np.greater_equal: "GreaterOrEqual",
    np.equal: "Equal",
}
"""Of float64 and int64. NaN is neither less than nor equal to anything, as in numpy."""

LOGICAL: dict[np.ufunc, str] = {
    np.logical_and: "And",
    np.logical_or: "Or",
    np.logical_xor: "Xor",
    np.logical_not: "Not",
    np.bitwise_and: "And",
    np.bitwise_or: "Or",
    np.bitwise_xor: "Xor",
    np.invert: "Not",
}
"""Of conditions; the bitwise ones only where numpy would take them for logical."""

BITS: dict[np.ufunc, str] = {np.bitwise_and: "BitwiseAnd", np.bitwise_or: "BitwiseOr"}
"""Of int64."""
BITS_OPSET = 18
