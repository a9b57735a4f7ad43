"""``mlbkg export``: a model in another form, for pipelines that do not run ONNX."""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlbkg.atomic import atomic_write
from mlbkg.errors import ConfigError, did_you_mean
from mlbkg.export.forms.base import FORMS, Form, Request
from mlbkg.export.load import LoadedModel, open_model
from mlbkg.export.read_back import forests_of
from mlbkg.export.write import MODEL

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


@dataclass(frozen=True)
class ExportedForm:
    """threshold: of the working point that is part of the file, None where none is."""

    file: Path
    form: str
    model: Path
    threshold: float | None
    sha256: str
    bytes: int

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "file": str(self.file), "model": str(self.model)}


def export_model(
    model: Path,
    output: Path,
    *,
    form: str | None = None,
    working_point: str | None = None,
    score: float | None = None,
    name: str | None = None,
) -> ExportedForm:
    """Write ``model`` to ``output`` as ``form`` (see :data:`FORMS`; by default the only one with such a file suffix).

    ``working_point``: one of the model's, by name; or ``score``: select at or above it. ``name``: what C functions are
    called after; that of ``output`` by default. Raises :class:`MlbkgError` where the form cannot hold the model exactly.
    """
    chosen = FORMS[form] if form else _by_suffix(output)
    name = name or re.sub(r"\W", "_", output.stem, flags=re.ASCII)
    if not IDENTIFIER.fullmatch(name):
        raise ConfigError(f"'{name}' cannot name a C function", where="--name", hint="Choose another: --name my_model")
    opened = open_model(model)
    if opened.takes_fold:
        raise ConfigError(
            f"{model} picks a forest by the fold of the event, which other forms do not know",
            where=str(model),
            hint=f"Export the mean of the folds: {model.with_name(MODEL)}",
        )
    threshold = _threshold(opened, chosen, working_point, score)
    content = chosen.write(Request(opened, forests_of(opened), threshold, name))
    with atomic_write(output, "wb") as file:
        file.write(content)
    return ExportedForm(output, chosen.name, model, threshold, hashlib.sha256(content).hexdigest(), len(content))


def _by_suffix(output: Path) -> Form:
    fitting = [FORMS[name] for name in FORMS if FORMS[name].suffix == output.suffix]
    if len(fitting) == 1:
        return fitting[0]
    known = [f"{name:<14}{FORMS[name].suffix:<7}{FORMS[name].description}" for name in FORMS]
    raise ConfigError(
        f"'{output.name}' does not tell which form is meant", details=known, where=str(output), hint="Say it: --form NAME"
    )


def _threshold(model: LoadedModel, form: Form, working_point: str | None, score: float | None) -> float | None:
    if score is not None:
        if working_point is not None:
            raise ConfigError("a working point and a score were given; they may differ", where="--score")
        if not math.isfinite(score):
            raise ConfigError(f"a score is a finite number; got {score}", where="--score")
        return score
    points = {point.name: point for point in model.metadata.working_points} if model.metadata else {}
    if working_point is None:
        if not form.needs_threshold:
            return None
        working_point = next(iter(points), "")
    point = points.get(working_point)
    if point is None:
        raise ConfigError(
            f"{model.path} has no working point '{working_point}'{did_you_mean(working_point, points)}"
            if working_point
            else f"{model.path} has no working points",
            details=[f"'{name}'" for name in points],
            where=str(model.path),
            hint="Name one of its own with --working-point, or give a score: --score 0.9",
        )
    if point.curve is not None:
        raise ConfigError(
            f"the working point '{working_point}' is a threshold that depends on {point.curve.variable}",
            where=str(model.path),
            hint="Cut on the score beside the model, as mlbkg select does, or give one score: --score 0.9",
        )
    return point.threshold
