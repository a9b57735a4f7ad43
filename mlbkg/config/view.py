"""The parts of a config that are valid, whatever is wrong with others, and words for what is wrong with names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from mlbkg.config.classifier import ClassifierConfig
from mlbkg.config.problems import value_at
from mlbkg.config.scan import Scan
from mlbkg.config.schema import (
    Candidates,
    ComparedCuts,
    FeatureConfig,
    FeatureEntry,
    SampleConfig,
    WorkingPoint,
)
from mlbkg.config.source import KeyPath, Problem, Source
from mlbkg.config.statistics import Fit, LimitConfig, Systematic
from mlbkg.config.tuning import Tuning
from mlbkg.errors import did_you_mean

COMPARED = ("evaluation", "compare_features")
CONTESTANTS = ("tuning", "compare")


@dataclass(frozen=True)
class View:
    """The valid parts of a config; lists as index -> entry. ``broken``: sections in which something is not valid.

    contestants: of tuning.compare. tuning: what is valid of that section, the rest at its defaults; None without it.
    """

    source: Source
    samples: Mapping[int, SampleConfig]
    features: Mapping[int, FeatureConfig]
    spectators: Mapping[int, FeatureConfig]
    compared: Mapping[int, FeatureConfig]
    preselection: Mapping[int, str]
    event_id: Mapping[int, str]
    branches: Mapping[int, str]
    classifiers: Mapping[int, ClassifierConfig]
    contestants: Mapping[int, ClassifierConfig]
    flatten: Mapping[int, str]
    systematics: Mapping[int, Systematic]
    candidates: Candidates | None
    working_point: WorkingPoint | None
    compared_cuts: ComparedCuts | None
    tuning: Tuning | None
    fit: Fit | None
    scan: Scan | None
    limit: LimitConfig | None
    broken: frozenset[str]

    @property
    def listed(self) -> dict[KeyPath, FeatureConfig]:
        """Features and spectators by their path."""
        sections = (("features", self.features), ("spectators", self.spectators))
        return {(key, i): entry for key, entries in sections for i, entry in entries.items()}

    @property
    def every_feature(self) -> dict[KeyPath, FeatureConfig]:
        """Those listed, and those of evaluation.compare_features."""
        return {**self.listed, **{(*COMPARED, i): entry for i, entry in self.compared.items()}}

    @property
    def expressions(self) -> dict[KeyPath, str]:
        """Every formula and cut by its path."""
        samples = [(i, key, getattr(entry, key)) for i, entry in self.samples.items() for key in ("cut", "weight")]
        return {
            **{("samples", i, key): text for i, key, text in samples if text is not None},
            **{("preselection", i): text for i, text in self.preselection.items()},
            **{(*path, "expression"): entry.expression for path, entry in self.every_feature.items() if entry.expression},
        }


def view_of(source: Source, *, taken: Iterable[Problem]) -> View:
    """The parts of ``source`` that are valid and that no problem in ``taken`` is about."""
    wrong = [problem.path for problem in taken]

    def entries(kind: Any, *path: str) -> dict[int, Any]:
        values = value_at(source.data, path)
        if not isinstance(values, list):
            return {}
        fine = (i for i in range(len(values)) if not any(bad[: len(path) + 1] == (*path, i) for bad in wrong))
        return {i: _valid(kind, values[i]) for i in fine}

    def section(kind: Any, *path: str) -> Any:
        value = value_at(source.data, path)
        fine = value is not None and not any(bad[: len(path)] == path for bad in wrong)
        return _valid(kind, value) if fine else None

    return View(
        source=source,
        samples=entries(SampleConfig, "samples"),
        features=entries(FeatureEntry, "features"),
        spectators=entries(FeatureEntry, "spectators"),
        compared=entries(FeatureEntry, *COMPARED),
        preselection=entries(str, "preselection"),
        event_id=entries(str, "ntuples", "event_id"),
        branches=entries(str, "selection", "branches"),
        classifiers=entries(ClassifierConfig, "training", "classifiers"),
        contestants=entries(ClassifierConfig, *CONTESTANTS),
        flatten=entries(str, "training", "flatten"),
        systematics=entries(Systematic, "systematics"),
        candidates=section(Candidates, "candidates"),
        working_point=section(WorkingPoint, "selection", "working_point"),
        compared_cuts=section(ComparedCuts, "evaluation", "compare_cuts"),
        tuning=_tuning(source.data.get("tuning"), wrong),
        fit=section(Fit, "fit"),
        scan=section(Scan, "scan"),
        limit=section(LimitConfig, "limit"),
        broken=frozenset(str(bad[0]) for bad in wrong if bad),
    )


def _tuning(section: Any, wrong: Iterable[KeyPath]) -> Tuning | None:
    """The section without its keys that are wrong, and of ``search`` without the single entries that are."""
    if not isinstance(section, dict):
        return None
    broken = {path[1:2] if path[1:2] != ("search",) else path[1:4] for path in wrong if path[:1] == ("tuning",)}
    fine = {key: value for key, value in section.items() if (key,) not in broken}
    if isinstance(fine.get("search"), dict):
        fine["search"] = {
            backend: {name: entry for name, entry in entries.items() if ("search", backend, name) not in broken}
            for backend, entries in fine["search"].items()
            if isinstance(entries, dict)
        }
    return Tuning.model_validate(fine)


def unknown(kind: str, name: str, known: Iterable[str], *, listed: bool = True) -> str:
    """``unknown shape 'x'`` with the nearest name, or all of them where none is near and they are to be ``listed``."""
    names = sorted(known)
    others = f"; known: {', '.join(names)}" if listed else ""
    return f"unknown {kind} '{name}'{did_you_mean(name, names) or others}"


def twice(view: View, names: Mapping[KeyPath, str], *, advice: str = "") -> Iterator[Problem]:
    """A problem for every name that stands at an earlier path already."""
    first: dict[str, KeyPath] = {}
    for path, name in names.items():
        if name in first:
            yield Problem(path, f"'{name}' is there twice; first on line {view.source.line_of(first[name])}{advice}")
        first.setdefault(name, path)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _valid(kind: Any, value: Any) -> Any:
    return _adapter(kind).validate_python(value)
