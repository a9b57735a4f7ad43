"""From a config to what the samples folder understands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from mlbkg.config.schema import Config, FeatureConfig, SampleConfig
from mlbkg.features.resolve import FeatureSpec
from mlbkg.ntuples.files import find, metadata
from mlbkg.samples.normalisation import sample_scale
from mlbkg.samples.source import Recipe, SampleSource

LABELS = {"signal": 1, "background": 0, "data": -1}


def recipe_of(config: Config) -> Recipe:
    return Recipe(
        event_id=config.ntuples.event_id,
        features=_specs(config.features),
        spectators=_specs(config.spectators),
        preselection=config.preselection,
        pair=config.candidates.pair if config.candidates else None,
        beams=config.candidates.beams if config.candidates else "",
    )


def training_recipe_of(config: Config) -> Recipe:
    """With the features that are only compared behind the others, so that one pass computes them all."""
    recipe = recipe_of(config)
    more = [spec for spec in _specs(config.evaluation.compare_features) if spec.name not in recipe.feature_names]
    return replace(recipe, features=(*recipe.features, *more))


def sources_of(config: Config, *, roles: Sequence[str]) -> tuple[SampleSource, ...]:
    """Samples of the given roles, their files found and their physics-weight scale worked out."""
    return tuple(_source(config, sample) for sample in config.samples if sample.role in roles)


def truth_branches(config: Config) -> tuple[str, ...]:
    """Branches with the true masses of the signal: those of ``training.flatten`` and of ``scan.axes``."""
    of_axes = [axis.truth for axis in config.scan.axes] if config.scan else []
    return tuple(dict.fromkeys((*config.training.flatten, *of_axes)))


def _source(config: Config, sample: SampleConfig) -> SampleSource:
    files = tuple(find(sample.files))
    scaled = sample.cross_section_nb is not None and sample.generated_events is None
    return SampleSource(
        name=sample.name,
        category=sample.category or sample.name,
        label=LABELS[sample.role],
        files=files,
        tree=sample.tree or config.ntuples.tree,
        scale=sample_scale(
            sample.name,
            cross_section_nb=sample.cross_section_nb,
            luminosity_per_fb=config.luminosity_per_fb,
            stated_events=sample.generated_events,
            metadata=[(file, metadata(file)) for file in files] if scaled else [],
        ),
        cut=sample.cut,
        weight=sample.weight,
        truth=truth_branches(config) if sample.role == "signal" else (),
    )


def _specs(features: Iterable[FeatureConfig]) -> tuple[FeatureSpec, ...]:
    return tuple(
        FeatureSpec(
            name=feature.name,
            column=feature.column,
            expression=feature.expression,
            unit=feature.unit,
            description=feature.description,
        )
        for feature in features
    )
