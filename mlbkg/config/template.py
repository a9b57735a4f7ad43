"""A commented config with every key there is, made from the schema, so that the two cannot differ."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from mlbkg.classifiers.base import BACKENDS
from mlbkg.config.classifier import ClassifierConfig
from mlbkg.config.scan import Axis, Injected
from mlbkg.config.schema import (
    Candidates,
    ComparedCuts,
    Config,
    FeatureConfig,
    Reference,
    SampleConfig,
    Simulate,
    Tracking,
    Training,
    WorkingPoint,
)
from mlbkg.config.source import dump
from mlbkg.config.statistics import (
    NAME_PATTERN,
    Beside,
    Control,
    ControlMode,
    ControlUncertainty,
    Fit,
    Parents,
    Peaking,
    Systematic,
)
from mlbkg.config.tuning import Constraints, Tuning
from mlbkg.tuning.space import Choice, Range

WIDTH = 120
_COMMENT_COLUMN = 40
_PLACEHOLDER = "my_analysis"

_HEAD = """\
# One analysis, read from top to bottom in the order of the work. A line behind '# ' is not in use: it shows a key that may
# be given, with an example or its default; behind '# # ', one that may be given inside such a section. A key that is left
# out has the default that is written here.
# Put your own samples and features in, then:
#   mlbkg check {path}
#   mlbkg train {path}
"""

_EXAMPLES: Mapping[type[BaseModel], Mapping[str, Any]] = {
    Config: {"title": "My decay", "luminosity_per_fb": 362.0, "preselection": ["Mbc > 5.27", "abs(deltaE) < 0.2"]},
    Candidates: {"pair": "pipi"},
    SampleConfig: {
        "tree": "B0",
        "category": "signal",
        "cut": "isSignal == 1",
        "weight": "__weight__",
        "cross_section_nb": 1.1e-6,
        "generated_events": 1000000,
    },
    Simulate: {"process": "continuum_qq", "events": 100000},
    FeatureConfig: {
        "name": "kaon_pt",
        "column": "daughter(0,pt)",
        "expression": "missingEnergy / 10.58",
        "unit": "GeV",
        "description": "transverse momentum of the kaon",
    },
    Reference: {"name": "a paper", "signal_efficiency": 0.8, "background_rejection": 0.99},
    ComparedCuts: {"name": "a paper", "line": ["R2", "thrust"]},
    WorkingPoint: {"score": 0.9},
    Tuning: {
        "minutes": 60.0,
        "spaces": "search_spaces",
        "study": "first",
        "storage": "postgresql://tuner@db.example/studies",
    },
    Constraints: {"sculpting": 0.05, "cost_ns": 500.0},
    ClassifierConfig: {"backend": "xgboost", "name": "xgboost_default"},
    Axis: {"variable": "Mbc", "truth": "mc_mass", "range": [0.1, 8.0]},
    Injected: {"masses": [3.0], "cross_section_fb": 50.0},
    Fit: {"variable": "Mbc", "window": [5.2, 5.29], "blind": [5.27, 5.29]},
    Peaking: {"samples": ["qqbar"], "uncertainty": 0.05},
    ControlMode: {"name": "mumu", "lost": "mc_mode == 13", "branching_fraction": 0.0248},
    ControlUncertainty: {"name": "lepton_identification", "effect": 0.01},
    Systematic: {"name": "tracking", "effect": 0.007, "mean": 0.0002, "width": 0.05},
    Parents: {"cross_section_nb": 1.1},
    Beside: {"name": "a paper, observed", "value": 1e-5, "coupling": "zprime_invisible"},
    Tracking: {"experiment": "my_analysis"},
    Range: {"step": 4},
    Choice: {"when": {"max_bin": 64}},
}
"""Values for keys that have no default, or whose default shows nothing."""

_ENTRIES: Mapping[type[BaseModel], Mapping[str, Any]] = {
    Constraints: {"sculpting": 0.05},
    ClassifierConfig: {"name": "xgboost_default"},
    Peaking: {"uncertainty": 0.05},
    Systematic: {"effect": 0.007},
    Parents: {"branching_fractions": {"B -> K nu nu": 1.0}},
    Beside: {"value": 1e-5},
    ComparedCuts: {"above": ["kaon_pt"]},
    Control: {"data": ["control_data"]},
    ControlMode: {"seen": ["nMuons == 2"]},
}
"""What a section or entry that is not in use holds, beside what it must."""

_SIGNAL = {"name": "signal", "role": "signal", "files": "data/signal_*.root"}
_BACKGROUND = {"name": "qqbar", "role": "background", "files": ["data/uubar_*.root", "data/ccbar_*.root"]}
_FEATURE = {"name": "kaon_pt", "column": "daughter(0,pt)"}


def commented_config(path: Path) -> str:
    """Every key of the schema with its default and its description, with samples and features as examples."""
    analysis = path.stem if re.match(NAME_PATTERN, path.stem) else _PLACEHOLDER
    lines = [_HEAD.format(path=path)]
    for key, field in Config.model_fields.items():
        given = {"analysis": analysis}.get(key, _EXAMPLES[Config].get(key, field.default))
        lines += _top_level(key, field, given)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def _top_level(key: str, field: FieldInfo, given: Any) -> list[str]:
    match key:
        case "samples":
            return _list(key, field, [*_entry(SampleConfig, _SIGNAL), f"  - {_flow(_BACKGROUND)}"])
        case "features":
            bare = _line("  - ", "R2", "a branch of that name; with `candidates`, a feature that mlbkg computes")
            a_set = _off(_line("  - ", '"set:upsilon1s"', "with `candidates`: all of a set, see `mlbkg features`"))
            return _list(key, field, [*bare, *_entry(FeatureConfig, _FEATURE), *a_set])
        case "spectators":
            return _list(key, field, ["  - Mbc"])
        case "preselection":
            return _off(_list(key, field, [f"  - {_scalar(cut)}" for cut in given]))
        case "systematics":
            return _off(_list(key, field, list(_entry(Systematic, _ENTRIES[Systematic]))))
    section = _section(field)
    if section is not None and given is None:
        return [_about(section), *_off([f"{key}:", *_keys(section, {}, indent=2)]), ""]
    if isinstance(given, BaseModel):
        return [_about(type(given)), f"{key}:", *_keys(type(given), _values(given), indent=2), ""]
    lines = _line(f"{key}: ", _scalar(given), field.description)
    return _off(lines) if key == "luminosity_per_fb" else lines


def _keys(model: type[BaseModel], values: Mapping[str, Any], *, indent: int) -> Iterator[str]:
    """A line or more for every key of ``model``; those without a value are not in use."""
    examples = _EXAMPLES.get(model, {})
    for key, field in model.model_fields.items():
        start = f"{' ' * indent}{key}: "
        value = values[key] if key in values else examples.get(key) if field.is_required() else field.default
        section, entry = _section(field), _entry_model(field)
        if model is Training and key == "classifiers":
            yield from _classifiers(indent)
        elif model is Tuning and key == "search":
            yield from _off(_search(field, indent))
        elif section is not None:
            inside = _values(value) if value is not None else {}
            in_use = any(item is not None for item in inside.values())
            given = inside if in_use else _ENTRIES.get(section, {})
            lines = [*_line(start.rstrip(), "", field.description), *_keys(section, given, indent=indent + 2)]
            yield from lines if in_use else _off(lines)
        elif entry is not None:
            lines = [
                *_line(start.rstrip(), "", field.description),
                *_entry(entry, _ENTRIES.get(entry, {}), indent=indent + 2),
            ]
            yield from lines if field.is_required() else _off(lines)
        elif value is None:
            yield from _off(_line(start, _scalar(examples.get(key)), field.description))
        else:
            yield from _line(start, _scalar(value), field.description)


def _entry(model: type[BaseModel], values: Mapping[str, Any], *, indent: int = 2) -> Iterator[str]:
    """The keys of ``model`` as an entry of a list."""
    first, *rest = _keys(model, values, indent=indent + 2)
    yield from (f"{' ' * indent}- {first[indent + 2 :]}", *rest)


def _classifiers(indent: int) -> Iterator[str]:
    field = Training.model_fields["classifiers"]
    yield from _line(f"{' ' * indent}classifiers: ", "", field.description)
    in_use = {entry.backend for entry in field.default}
    for name in sorted(BACKENDS, key=lambda name: name not in in_use):
        start = " " * (indent + 2)
        lines = _line(f"{start}- backend: ", name, BACKENDS[name].description)
        lines += _off(_line(f"{start}  name: ", name, ClassifierConfig.model_fields["name"].description))
        lines += _keys(BACKENDS[name].params, {}, indent=indent + 4)
        yield from lines if name in in_use else _off(lines)


def _search(field: FieldInfo, indent: int) -> Iterator[str]:
    """Choices, a range and a fixed value of a backend that has a condition to show."""
    start = " " * (indent + 4)
    yield from _line(f"{' ' * indent}search: ", "", field.description)
    yield f"{' ' * (indent + 2)}xgboost:"
    yield from _line(f"{start}grow_policy:", "", "choices")
    yield from _keys(Choice, {"choices": ["depthwise", "lossguide"], "when": None}, indent=indent + 6)
    yield from _line(f"{start}max_leaves:", "", "a range")
    yield from _keys(Range, {"low": 4, "high": 64, "log": True, "when": {"grow_policy": "lossguide"}}, indent=indent + 6)
    yield from _line(f"{start}max_bin: ", "64", "a fixed value")


def _list(key: str, field: FieldInfo, entries: list[str]) -> list[str]:
    return ["", *_line(f"{key}: ", "", field.description), *entries, ""]


def _values(model: BaseModel) -> dict[str, Any]:
    return {key: getattr(model, key) for key in type(model).model_fields}


def _section(field: FieldInfo) -> type[BaseModel] | None:
    """The model whose keys stand below this key."""
    if _entry_model(field) is not None:
        return None
    kinds = [field.annotation, *getattr(field.annotation, "__args__", ())]
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _entry_model(field: FieldInfo) -> type[BaseModel] | None:
    """The model of the entries below this key, where it holds a list of them."""
    first = next(iter(getattr(field.annotation, "__args__", ())), None)
    is_list = getattr(field.annotation, "__origin__", None) is tuple
    return first if is_list and isinstance(first, type) and issubclass(first, BaseModel) else None


def _about(model: type[BaseModel]) -> str:
    return "\n" + textwrap.fill(" ".join((model.__doc__ or "").split()), WIDTH, initial_indent="# ", subsequent_indent="# ")


def _line(start: str, value: str, description: str | None) -> list[str]:
    """The description behind the value, or above it where it is too long."""
    text = f"{start}{value}".rstrip()
    if not description:
        return [text]
    beside = f"{text:<{_COMMENT_COLUMN - 2}}  # {description}"
    if len(beside) <= WIDTH:
        return [beside]
    indent = " " * (len(text) - len(text.lstrip()))
    return [*textwrap.wrap(description, WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# "), text]


def _off(lines: list[str] | Iterator[str]) -> list[str]:
    """Not in use: behind '# ', one more in a section that is not in use; what is said beside a value keeps its column."""
    return [re.sub(r"^((?:# )+.*[^\s#]) {4}( *)# ", r"\1  \2# ", f"# {line}") if line.strip() else line for line in lines]


def _scalar(value: Any) -> str:
    return _flow(list(value)) if isinstance(value, tuple | list) else _flow([value])[1:-1]


def _flow(value: Any) -> str:
    return dump(value, flow=True).strip()
