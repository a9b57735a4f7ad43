"""``mlbkg check``: is the config right, and do the files it names hold what it needs? No event is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mlbkg.candidates.pairs import PAIR_BRANCHES
from mlbkg.candidates.table import known_columns, required_event_columns
from mlbkg.config.load import LoadedConfig, load
from mlbkg.config.schema import Config, SampleConfig
from mlbkg.config.search_spaces import search_spaces
from mlbkg.errors import ConfigError, MlbkgError
from mlbkg.features.resolve import base_columns
from mlbkg.ntuples.expressions import Expression
from mlbkg.ntuples.files import describe, find, metadata
from mlbkg.ntuples.read import column_error
from mlbkg.samples.normalisation import generated_events
from mlbkg.samples.source import ENTRY, Recipe
from mlbkg.stages.sources import training_recipe_of, truth_branches

KEPT = "selection.branches"


@dataclass(frozen=True)
class CheckedSample:
    """``files`` is empty, and ``entries`` 0, for a sample that will be simulated."""

    name: str
    role: str
    category: str
    tree: str
    files: tuple[str, ...]
    entries: int

    @property
    def to_be_simulated(self) -> bool:
        return not self.files


@dataclass(frozen=True)
class CheckedFeature:
    """``needs``: the branches that are read for it."""

    name: str
    unit: str
    description: str
    needs: tuple[str, ...]


@dataclass(frozen=True)
class CheckResult:
    config: Path
    analysis: str
    samples: tuple[CheckedSample, ...]
    features: tuple[CheckedFeature, ...]
    spectators: tuple[CheckedFeature, ...]
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        samples = [
            {**asdict(sample), "files": len(sample.files), "paths": list(sample.files), "to_be_simulated": not sample.files}
            for sample in self.samples
        ]
        return {
            "config": str(self.config),
            "analysis": self.analysis,
            "samples": samples,
            "features": [asdict(feature) for feature in self.features],
            "spectators": [asdict(feature) for feature in self.spectators],
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True)
class _Trouble:
    """One thing wrong with a file. ``others``: how many more files of the sample have the same."""

    line: int
    error: MlbkgError
    path: str
    others: int = 0

    @property
    def what(self) -> str:
        more = f", and so in {self.others} more file{'s' if self.others > 1 else ''}" if self.others else ""
        return self.error.what + more


def check(path: Path, *, scale: float = 1.0) -> CheckResult:
    """Raises :class:`ConfigError` with all problems of the config, or else of its search spaces, or else of all files."""
    loaded = load(path, scale=scale)
    config = loaded.config
    if "tuning" in loaded.source.data:
        search_spaces(config)
    recipe = training_recipe_of(config)
    samples, troubles = [], []
    for i, sample in enumerate(config.samples):
        checked, found = _check_sample(loaded, recipe, i, sample)
        samples.append(checked)
        troubles += _grouped(found)
    if troubles:
        raise _error(loaded.path, troubles)
    warnings = tuple(_warnings(loaded, samples))
    return CheckResult(
        config=loaded.path,
        analysis=config.analysis,
        samples=tuple(samples),
        features=tuple(_features(recipe, [feature.name for feature in config.features])),
        spectators=tuple(_features(recipe, recipe.spectator_names)),
        warnings=warnings,
    )


def _check_sample(
    loaded: LoadedConfig, recipe: Recipe, i: int, sample: SampleConfig
) -> tuple[CheckedSample, list[_Trouble]]:
    tree = sample.tree or loaded.config.ntuples.tree
    line = loaded.line_of(("samples", i, "files"))
    checked = CheckedSample(sample.name, sample.role, sample.category or sample.name, tree, (), 0)
    try:
        files = tuple(find(sample.files))
    except MlbkgError as error:
        if sample.simulate is not None:
            return checked, []
        named = MlbkgError(f"{error.what} (sample '{sample.name}', config line {line})", details=error.details)
        return checked, [_Trouble(line, named, "")]
    branches = branches_of(loaded, recipe, i)
    troubles, entries = [], 0
    for file in files:
        try:
            ntuple = describe(file, tree=tree)
            entries += ntuple.entries
            context = f"sample '{sample.name}', config line {line}"
            wrong: MlbkgError | None = column_error(
                ntuple, branches, scalars=_scalars(recipe, branches), context=context, allow_empty=False
            )
            if wrong is None and _needs_generated_events(loaded.config, sample):
                generated_events(sample.name, stated=sample.generated_events, metadata=[(file, metadata(file))])
        except MlbkgError as error:
            wrong = error
        if wrong is not None:
            troubles.append(_Trouble(line, wrong, file))
    return replace(checked, files=files, entries=entries), troubles


def _needs_generated_events(config: Config, sample: SampleConfig) -> bool:
    """For physics weights, or for the efficiency that a limit divides by."""
    divided = config.fit is not None and config.limit.quantity != "yield" and sample.role == "signal"
    return sample.cross_section_nb is not None or divided


def branches_of(loaded: LoadedConfig, recipe: Recipe, i: int) -> dict[str, str]:
    """The branches that sample ``i`` must have, and for each the first thing that needs it."""
    needed: dict[str, str] = dict.fromkeys(PAIR_BRANCHES, "needed to build candidates") if recipe.pair else {}
    for name, why in _uses(loaded, recipe, i):
        branches: Iterable[str] = base_columns([name], recipe.library)
        if recipe.pair is not None:
            branches = required_event_columns(branches, pair=recipe.pair)
        for branch in branches:
            needed.setdefault(branch, f"needed by {why}")
    if recipe.pair is None:
        needed.pop(ENTRY, None)
    return needed


def _uses(loaded: LoadedConfig, recipe: Recipe, i: int) -> Iterator[tuple[str, str]]:
    """Every name that the work on sample ``i`` looks up, and where it stands."""
    config, sample = loaded.config, loaded.config.samples[i]
    compared = config.evaluation.compare_features if sample.role != "data" else ()
    yield from ((feature.name, f"feature '{feature.name}'") for feature in config.features)
    yield from ((feature.name, f"feature '{feature.name}' of evaluation.compare_features") for feature in compared)
    yield from ((name, f"spectator '{name}'") for name in recipe.spectator_names)
    cuts = [(f"cut '{cut}'", cut) for cut in config.preselection]
    own = [(f"the sample's {key} '{text}'", text) for key, text in (("cut", sample.cut), ("weight", sample.weight)) if text]
    for why, text in (*own, *cuts):
        yield from ((name, why) for name in Expression.parse(text).names)
    yield from ((name, "ntuples.event_id") for name in config.ntuples.event_id)
    if sample.role == "signal":
        yield from ((name, "training.flatten or scan.axes, as a true mass") for name in truth_branches(config))
    if config.selection.branches != "all":
        yield from ((name, KEPT) for name in config.selection.branches)


def _scalars(recipe: Recipe, branches: Mapping[str, str]) -> set[str]:
    """Branches of candidates that something is computed from; of events, those that are no collection of tracks or clusters.

    What needs a branch is listed in the order of the work, so that a branch which the skim alone needs says so.
    """
    if recipe.pair is None:
        return {name for name, why in branches.items() if why != f"needed by {KEPT}"}
    levels = {name: level for name, (level, _, _) in known_columns().items()}
    return {name for name in branches if levels.get(name) != "collection"}


def _features(recipe: Recipe, names: Iterable[str]) -> Iterator[CheckedFeature]:
    for name in names:
        feature = recipe.library[name]
        yield CheckedFeature(name, feature.unit, feature.description, base_columns([name], recipe.library))


def _grouped(troubles: Iterable[_Trouble]) -> list[_Trouble]:
    """What is wrong in the same way with many files of a sample is told once."""
    first: dict[tuple[str, ...], _Trouble] = {}
    for trouble in troubles:
        key = (trouble.error.what.replace(trouble.path, ""), *trouble.error.details)
        known = first.get(key)
        first[key] = trouble if known is None else replace(known, others=known.others + 1)
    return list(first.values())


def _error(config: Path, troubles: list[_Trouble]) -> ConfigError:
    first = troubles[0]
    where = f"{config}:{first.line}"
    again = f"Check again: mlbkg check {config}"
    if len(troubles) == 1:
        return ConfigError(first.what, details=first.error.details, where=where, hint=first.error.hint or again)
    width = max(len(str(trouble.line)) for trouble in troubles)
    details = []
    for trouble in troubles:
        more = [*trouble.error.details, *([trouble.error.hint] if trouble.error.hint else [])]
        details += [f":{trouble.line:<{width}} {trouble.what}", *(" " * (width + 4) + text for text in more)]
    return ConfigError(f"{config}: {len(troubles)} problems in files", details=details, where=where, hint=again)


def _warnings(loaded: LoadedConfig, samples: Iterable[CheckedSample]) -> Iterator[str]:
    config = loaded.config
    simulated = [sample for sample in config.samples if sample.role != "data"]
    without = [sample.name for sample in simulated if sample.cross_section_nb is None]
    if without and len(without) < len(simulated):
        yield f"no cross section for {', '.join(without)}, but for others: their weights cannot be compared"
    seen: dict[tuple[str, ...], str] = {}
    for sample, entry in zip(samples, config.samples, strict=True):
        for file in sample.files:
            first = seen.setdefault((file, sample.tree, entry.cut or ""), sample.name)
            if first != sample.name:
                yield f"samples '{first}' and '{sample.name}' both read tree '{sample.tree}' of {file}"
