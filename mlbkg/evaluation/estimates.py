"""Numbers with uncertainties, weighted efficiencies, and the one way evaluation results become JSON."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from mlbkg.errors import WeightError

Array = NDArray[np.float64]
Events = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A value and its standard error; NaN where there is nothing to measure it with."""

    value: float
    error: float


@dataclasses.dataclass(frozen=True)
class Efficiency:
    """Share of the weight that passes.

    ``low`` and ``high`` are the 68.27 % Wilson interval and ``error`` is half its width, so neither zero nor full efficiency
    has a zero error. ``upper_90`` is the one-sided 90 % upper bound. ``n_effective``: unweighted events that would measure
    the efficiency as well. ``passing``, ``candidates``: plain counts of rows. All NaN without candidates.
    """

    value: float
    error: float
    low: float
    high: float
    upper_90: float
    n_effective: float
    passing: int
    candidates: int


def check_weights(weight: Array, label: NDArray[np.int8]) -> None:
    """Raises :class:`WeightError` unless weights are finite and each class has a positive sum.

    Single negative weights are allowed: every figure here is a sum over weights. A class whose weights sum to nothing has no
    shape and no efficiency.
    """
    bad = ~np.isfinite(weight)
    if bad.any():
        raise WeightError(
            f"{int(bad.sum())} of {len(weight)} weights are not finite; the first is in row {int(bad.argmax())}"
        )
    for kind, name in ((1, "signal"), (0, "background")):
        rows = label == kind
        total = float(weight[rows].sum())
        if total <= 0:
            raise WeightError(
                f"the weights of the {name} sum to {total:g} over {int(rows.sum())} candidates; it must be positive",
                where=name,
            )


def effective_events(weight: Array, event_index: Events) -> float:
    """Kish's effective number (sum w)^2 / sum w^2 over *events*, the weights of an event's candidates added up."""
    per_event = np.bincount(event_index, weights=weight)
    squares = float((per_event**2).sum())
    return float(weight.sum()) ** 2 / squares if squares > 0 else 0.0


def efficiency(passed: Flags, weight: Array, event_index: Events) -> Efficiency:
    """Weighted share of the rows that pass, candidates of one event counted as fully correlated.

    The variance is that of a ratio, sum over events of (sum over candidates of w (passed - eff))^2 / (sum w)^2; the binomial
    with the same variance gives the effective number for Wilson's interval (J. Am. Stat. Assoc. 22 (1927) 209) and for the
    Clopper-Pearson bound. Where all or none pass the variance says nothing and Kish's number stands in.
    """
    total = float(weight.sum())
    if total <= 0:
        return Efficiency(math.nan, math.nan, math.nan, math.nan, math.nan, 0.0, int(passed.sum()), len(passed))
    raw = float(weight[passed].sum()) / total
    value = min(max(raw, 0.0), 1.0)
    residual = np.bincount(event_index, weights=weight * (passed - raw))
    variance = float((residual**2).sum()) / total**2
    between = 0.0 < value < 1.0 and variance > 0.0
    n = value * (1 - value) / variance if between else effective_events(weight, event_index)
    low, high = wilson_interval(value, n)
    return Efficiency(value, (high - low) / 2, low, high, _upper_bound(value, n), n, int(passed.sum()), len(passed))


def wilson_interval(value: float, n: float) -> tuple[float, float]:
    """68.27 % (z = 1) interval for a share ``value`` measured with ``n`` effective events."""
    centre = (value + 0.5 / n) / (1 + 1 / n)
    half = math.sqrt(value * (1 - value) / n + 0.25 / n**2) / (1 + 1 / n)
    return max(centre - half, 0.0), min(centre + half, 1.0)


def _upper_bound(value: float, n: float) -> float:
    """90 % Clopper-Pearson; 1 - 0.1^(1/n) where nothing passes."""
    from scipy.special import betaincinv

    return 1.0 if value >= 1.0 else float(betaincinv(value * n + 1, (1 - value) * n, 0.9))


def balanced(weight: Array, label: NDArray[np.int8]) -> Array:
    """Weights rescaled so that both classes sum to one half, as the training saw them."""
    signal = label == 1
    share: Array = np.where(signal, weight / (2 * weight[signal].sum()), weight / (2 * weight[~signal].sum()))
    return share


def to_plain(value: Any) -> Any:
    """Dataclasses, mappings, sequences, arrays as dicts, lists and numbers that JSON knows; NaN and infinities as None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return to_plain(value.tolist())
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, np.generic):
        return to_plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def from_plain(kind: Any, value: Any) -> Any:
    """``kind`` (a dataclass, array, mapping, tuple or plain type) from what :func:`to_plain` made of one.

    None stands for NaN where a number is due, infinities included. Fields that are left out get their defaults, and what may
    be :class:`Any` stays as it is. Raises :class:`KeyError` for one without a default, and :class:`TypeError` for a value of
    another kind.
    """
    if kind is Any:
        return value
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        (some,) = (option for option in arguments if option is not NoneType)
        return None if value is None else from_plain(some, value)
    if origin is np.ndarray:
        (dtype,) = get_args(arguments[1])
        return np.array(_numbers(value) if dtype is np.float64 else value, dtype=dtype)
    if origin is tuple:
        kinds = arguments[:1] * len(value) if arguments[-1] is Ellipsis else arguments
        return tuple(from_plain(each, item) for each, item in zip(kinds, value, strict=True))
    if origin is Mapping:
        return {key: from_plain(arguments[1], item) for key, item in value.items()}
    if dataclasses.is_dataclass(kind):
        return _built(kind, value)
    if kind is float:
        return math.nan if value is None else float(value)
    if origin is Literal:
        kind = type(arguments[0])
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is not of type {kind.__name__}")
    return value


def _built(kind: Any, value: Mapping[str, Any]) -> Any:
    hints = get_type_hints(kind)
    given = [field.name for field in dataclasses.fields(kind) if field.name in value or not _has_default(field)]
    return kind(**{name: from_plain(hints[name], value[name]) for name in given})


def _numbers(value: Any) -> Any:
    """Nested lists with NaN in place of None."""
    if isinstance(value, list):
        return [_numbers(item) for item in value]
    return math.nan if value is None else value


def _has_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
