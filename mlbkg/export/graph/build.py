"""From branches to the features of a model, as nodes in front of its forest.

Every branch is an input of its own, float32 ``[None, 1]``: what an ntuple holds in float64 is rounded on the way in, and
whole numbers are exact up to 2^24. Inside it is float64; each feature is rounded to float32, as in training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlbkg.candidates.column import Setting
from mlbkg.candidates.pairs import PAIRS
from mlbkg.candidates.table import GROUP_OF, known_columns
from mlbkg.errors import MlbkgError
from mlbkg.export.graph.inputs import FeatureSource, RawInput
from mlbkg.export.graph.recorder import Recorder
from mlbkg.export.graph.traced import DOUBLE, FLOAT, Traced, UntraceableError
from mlbkg.export.metadata import FeatureInfo, ModelMetadata
from mlbkg.export.safety.refusal import shown
from mlbkg.features.base import FEATURES
from mlbkg.ntuples.expression_functions import apply
from mlbkg.ntuples.expressions import Expression
from mlbkg.physics.beams import BEAMS

MAX_CHAIN = 100
"""Features that need features that need features."""
FAILURES = (UntraceableError, MlbkgError, AttributeError, RecursionError, TypeError, ValueError)
"""What becomes of a feature that does with a traced column what it can only do with an array."""
NOT_A_COLUMN = "event_index"
"""Leads from candidates to events, and says nothing about either."""


@dataclass(frozen=True)
class FeatureGraph:
    """nodes, constants: ONNX nodes and initializers. columns: feature by feature, the tensors, float32 ``[None, 1]``."""

    nodes: list[Any]
    constants: list[Any]
    columns: tuple[str, ...]
    inputs: tuple[RawInput, ...]
    sources: tuple[FeatureSource, ...]
    opset: int


def feature_graph(metadata: ModelMetadata) -> FeatureGraph:
    """Raises :class:`MlbkgError` where one name would stand for two things."""
    if len(set(metadata.feature_names)) < len(metadata.features):
        raise MlbkgError("two features of the model have one name")
    recorder = Recorder()
    tracer = _Tracer(recorder, _specs(metadata), _setting(metadata))
    columns: list[str] = []
    reasons: dict[str, str] = {}
    for info in metadata.features:
        try:
            with np.errstate(all="ignore"):
                columns.append(tracer.feature(info.name).name)
        except FAILURES as error:
            reasons[info.name] = shown(error)
            columns.append(info.name)
    nodes, constants, _ = recorder.needed_for(columns)
    sources = tuple(
        FeatureSource(info.name, _made(info.name, column, reasons, tracer), _inputs_of(recorder, column))
        for info, column in zip(metadata.features, columns, strict=True)
    )
    branches = {name for source in sources if source.made != "input" for name in source.inputs}
    if shared := sorted(branches & set(reasons)):
        raise MlbkgError(
            f"'{shared[0]}' is a branch that features are computed from, and a feature of that name that cannot be",
            details=[f"{name}: {reasons[name]}" for name in shared],
            hint="Give the feature another name and train again.",
        )
    units = {info.name: info.unit for info in metadata.features}
    inputs = tuple(
        RawInput(name, units.get(name, "") if name in reasons else tracer.unit(name), name in reasons, reasons.get(name, ""))
        for name in dict.fromkeys(name for source in sources for name in source.inputs)
    )
    return FeatureGraph(nodes, constants, tuple(columns), inputs, sources, recorder.opset)


def _made(name: str, column: str, reasons: Mapping[str, str], tracer: _Tracer) -> Any:
    if name in reasons:
        return "input"
    return "branch" if column in tracer.branches else "computed"


def _inputs_of(recorder: Recorder, column: str) -> tuple[str, ...]:
    return tuple(sorted(recorder.needed_for([column])[2]))


def _specs(metadata: ModelMetadata) -> dict[str, FeatureInfo]:
    """Features and spectators, which expressions may name as well."""
    specs = {}
    spectators = metadata.config.get("spectators")
    for entry in spectators if isinstance(spectators, list) else []:
        texts = {key: entry.get(key) for key in ("name", "column", "expression")} if isinstance(entry, Mapping) else {}
        if isinstance(texts.get("name"), str) and all(text is None or isinstance(text, str) for text in texts.values()):
            specs[str(texts["name"])] = FeatureInfo(
                str(texts["name"]), column=texts["column"], expression=texts["expression"]
            )
    return {**specs, **{info.name: info for info in metadata.features}}


def _setting(metadata: ModelMetadata) -> Setting | None:
    """None where the ntuples hold candidates already."""
    candidates = metadata.config.get("candidates")
    if not isinstance(candidates, Mapping):
        return None
    pair, beams = str(candidates.get("pair")), str(candidates.get("beams"))
    if pair not in PAIRS or beams not in BEAMS:
        raise MlbkgError(f"the model's config has candidates of the unknown pair '{pair}' or beams '{beams}'")
    return Setting(PAIRS[pair], BEAMS[beams])


class _Tracer:
    """As :class:`mlbkg.features.resolve.FeatureColumns`: a feature hides the column of its own name, except from itself.

    ``setting``: of candidates that mlbkg builds; None where a bare name is a branch.
    """

    def __init__(self, recorder: Recorder, specs: Mapping[str, FeatureInfo], setting: Setting | None) -> None:
        self.branches: dict[str, Traced] = {}
        self._recorder = recorder
        self._specs = specs
        self._setting = setting
        self._known = known_columns() if setting is not None else {}
        self._features: dict[str, Traced] = {}
        self._made: dict[str, Any] = {}
        self._path: list[str] = []

    def unit(self, branch: str) -> str:
        if branch in self._known:
            return self._known[branch][1]
        of_branch = [
            spec.unit for name, spec in self._specs.items() if (spec.column or name) == branch and not spec.expression
        ]
        return next(iter(of_branch), "")

    def feature(self, name: str) -> Traced:
        """float32. Raises :class:`UntraceableError` and :class:`MlbkgError`."""
        if name in self._features:
            return self._features[name]
        if name in self._path or len(self._path) == MAX_CHAIN:
            raise UntraceableError("features that need each other in a circle, or one after another without end")
        self._path.append(name)
        try:
            traced = self._traced(self._specs[name])
        finally:
            self._path.pop()
        if not isinstance(traced, Traced):
            raise UntraceableError("a constant")
        self._features[name] = traced.astype(FLOAT)
        return self._features[name]

    def _traced(self, spec: FeatureInfo) -> Any:
        if spec.expression is not None:
            return Expression.parse(spec.expression).fold(lambda name: self._number(spec, name), apply)
        if spec.column is not None or self._setting is None:
            return self._branch(spec.column or spec.name)
        return FEATURES[spec.name].compute(_Seen(self, spec.name))

    def _number(self, spec: FeatureInfo, name: str) -> Any:
        value = self.seen_by(spec.name, name)
        return value.astype(DOUBLE) if isinstance(value, Traced) else np.asarray(value)

    def seen_by(self, feature: str, name: str) -> Any:
        return self.feature(name) if name != feature and name in self._specs else self.column(name)

    def column(self, name: str) -> Any:
        """float64 of a flat column: a constant, computed from others, or else a branch."""
        if name not in self._made:
            self._made[name] = self._column(name)
        return self._made[name]

    def _column(self, name: str) -> Any:
        level = self._known[name][0] if name in self._known else "candidate"
        if level not in ("candidate", "constant") or name == NOT_A_COLUMN:
            raise UntraceableError(f"'{name}', which is not one number for each candidate")
        group = GROUP_OF.get(name) if self._setting is not None else None
        if group is None or self._setting is None or not (group.needs or level == "constant"):
            return self._branch(name).astype(DOUBLE)
        try:
            if level == "constant":
                values = [value[0] for value in group.compute({NOT_A_COLUMN: np.zeros(1)}, self._setting)]
            else:
                values = list(group.compute(_Columns(self), self._setting))
        except FAILURES:
            return self._branch(name).astype(DOUBLE)
        return dict(zip(group.names, values, strict=True))[name]

    def _branch(self, name: str) -> Traced:
        return self.branches.setdefault(name, Traced(self._recorder, name, FLOAT))


class _Columns(Mapping[str, Any]):
    """The columns of candidates, as those who compute one from others see them."""

    def __init__(self, tracer: _Tracer) -> None:
        self._tracer = tracer

    def __getitem__(self, name: str) -> Any:
        return self._tracer.column(name)

    def __iter__(self) -> Iterator[str]:
        raise UntraceableError("what asks which columns there are")

    def __len__(self) -> int:
        raise UntraceableError("what asks how many columns there are")


class _Seen(_Columns):
    """The same with other features instead of the columns that they hide."""

    def __init__(self, tracer: _Tracer, feature: str) -> None:
        super().__init__(tracer)
        self._feature = feature

    def __getitem__(self, name: str) -> Any:
        return self._tracer.seen_by(self._feature, name)
