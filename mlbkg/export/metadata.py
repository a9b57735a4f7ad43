"""What a model file says of itself: its features, folds and origin, as ONNX metadata properties.

Nothing here depends on the time, the machine or a path, so that the same training writes the same bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from mlbkg.errors import MlbkgError
from mlbkg.evaluation.threshold_curve import ThresholdCurve
from mlbkg.export.forest import Output
from mlbkg.export.metadata_checks import check_plain, parsed_json
from mlbkg.export.safety.refusal import shown

FORMAT = 1
"""Raised when a file's meaning changes; older programs then refuse it."""
PREFIX = "mlbkg."


@dataclass(frozen=True)
class FeatureInfo:
    """One column of the input. needs: the columns it is computed from. column, expression: as in the config."""

    name: str
    unit: str = ""
    needs: tuple[str, ...] = ()
    description: str = ""
    basf2: str = ""
    column: str | None = None
    expression: str | None = None


@dataclass(frozen=True)
class WorkingPointInfo:
    """Selection ``output >= threshold``, or ``output >= curve(variable)``, and what it keeps, out of fold.

    ``threshold``: with a curve, its lowest, which is no selection by itself.
    """

    name: str
    threshold: float
    signal_efficiency: float
    background_efficiency: float
    curve: ThresholdCurve | None = None

    def to_plain(self) -> dict[str, Any]:
        """Without the key ``curve`` where there is none: what older programs read, and nothing that they would overlook."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    @classmethod
    def from_plain(cls, entry: Mapping[str, Any]) -> WorkingPointInfo:
        return cls(**{**entry, "curve": ThresholdCurve.from_plain(entry["curve"]) if "curve" in entry else None})


@dataclass(frozen=True)
class ModelMetadata:
    """features: in the order of the input. n_folds, salt, event_id: with these the fold of an event is computed anew.

    class_prior: share of signal in the training weights, which the probability refers to; None where that is not known.
    config: the resolved config, as plain JSON values. data_fingerprints: sample -> hash of what was trained on. versions:
    package -> version. output: what the model answers with. origin: what an imported model was made from; empty for one
    that was trained here, and such a file says neither.
    """

    analysis: str
    title: str
    backend: str
    features: tuple[FeatureInfo, ...]
    n_folds: int
    salt: str
    event_id: tuple[str, ...]
    working_points: tuple[WorkingPointInfo, ...]
    class_prior: float | None
    config: Mapping[str, Any]
    data_fingerprints: Mapping[str, str]
    versions: Mapping[str, str]
    output: Output = "logistic"
    origin: str = ""

    @property
    def feature_names(self) -> tuple[str, ...]:
        return tuple(feature.name for feature in self.features)

    @property
    def config_sha256(self) -> str:
        return hashlib.sha256(_json(self.config).encode()).hexdigest()

    def to_props(self) -> dict[str, str]:
        """Property -> text, sorted. ``analysis``, ``title``, ``backend``, ``salt`` are bare text, the others JSON.

        Raises :class:`MlbkgError` for what :meth:`from_props` would not read: names that cannot be printed, and the like.
        """
        points = [point.to_plain() for point in self.working_points]
        plain = {**asdict(self), "working_points": points, "config_sha256": self.config_sha256, "format": FORMAT}
        try:
            check_plain(plain)
        except ValueError as error:
            raise MlbkgError(
                f"the metadata of the model of '{shown(self.analysis)}' cannot be written: {error}",
                hint="Give it names that can be printed: in the config, or with --features names.txt",
            ) from error
        plain = {name: value for name, value in plain.items() if name not in _OPTIONAL or value != _OPTIONAL[name]}
        props = {name: value if isinstance(value, str) else _json(value) for name, value in plain.items()}
        return {PREFIX + name: props[name] for name in sorted(props)}

    @classmethod
    def from_props(cls, props: Mapping[str, str], *, where: str) -> ModelMetadata:
        """The inverse of :meth:`to_props`; other properties are ignored.

        Raises :class:`MlbkgError` where a property is missing or malformed, where the file's format is newer, and where the
        config is not the one that was hashed. ``where``: the file, for the message.
        """
        try:
            found = _parsed(props)
            if found.pop("format") != FORMAT:
                raise MlbkgError(
                    f"{where} has metadata of format {props[PREFIX + 'format']}, this version reads {FORMAT}", where=where
                )
            config_sha256 = found.pop("config_sha256")
            check_plain(found)
            metadata = cls(
                **{
                    **found,
                    "features": tuple(FeatureInfo(**_with_tuples(entry)) for entry in found["features"]),
                    "event_id": tuple(found["event_id"]),
                    "working_points": tuple(WorkingPointInfo.from_plain(entry) for entry in found["working_points"]),
                }
            )
        except (KeyError, TypeError, ValueError) as error:
            raise MlbkgError(f"the metadata of {where} is incomplete or malformed: {shown(error)}", where=where) from error
        if metadata.config_sha256 != config_sha256:
            raise MlbkgError(f"the config inside {where} is not the one it was trained with", where=where)
        return metadata


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """Package -> version, of those that are installed."""
    found = {}
    for name in sorted(packages):
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


_TEXT = ("analysis", "title", "backend", "salt", "config_sha256", "output", "origin")
_FIELDS = (*ModelMetadata.__dataclass_fields__, "config_sha256", "format")
_OPTIONAL = {"output": "logistic", "origin": ""}


def _parsed(props: Mapping[str, str]) -> dict[str, Any]:
    texts = {name: props[PREFIX + name] for name in _FIELDS if name not in _OPTIONAL or PREFIX + name in props}
    return {name: text if name in _TEXT else parsed_json(text) for name, text in texts.items()}


def _with_tuples(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {**entry, "needs": tuple(entry["needs"])}


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
