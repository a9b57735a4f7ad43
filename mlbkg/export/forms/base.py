"""What a form of a model must give, and the registry of all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mlbkg.export.forest import Forest
from mlbkg.export.load import LoadedModel
from mlbkg.registry import Registry


@dataclass(frozen=True)
class Request:
    """model: the opened ``model.onnx``, whose answer is the mean over ``forests``, as :func:`mlbkg.export.answer.answer`
    makes it. threshold: of the working point that was asked for; selected is ``output >= threshold``. name: a C identifier.
    """

    model: LoadedModel
    forests: tuple[Forest, ...]
    threshold: float | None
    name: str


@dataclass(frozen=True)
class Form:
    """``write`` answers with the file's bytes, which depend on nothing but the request.

    It raises :class:`mlbkg.errors.MlbkgError`, with the reason, where the form cannot hold the model exactly. suffix: of
    the file's name, with the dot. needs_threshold: whether a working point must be asked for.
    """

    name: str
    suffix: str
    description: str
    write: Callable[[Request], bytes]
    needs_threshold: bool = False


FORMS: Registry[Form] = Registry("form", package="mlbkg.export.forms")
"""``mlbkg export MODEL.onnx FILE --form <name>``"""
