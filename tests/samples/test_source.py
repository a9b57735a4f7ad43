"""From files to blocks of candidates: names, weights and event ids mean what they should."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mlbkg.errors import ConfigError, NtupleError, WeightError
from mlbkg.features.resolve import FeatureSpec, base_columns, resolve
from mlbkg.ntuples.write import AtomicRootWriter
from mlbkg.samples.cuts import CutCounter
from mlbkg.samples.load import load_samples
from mlbkg.samples.normalisation import sample_scale
from mlbkg.samples.source import ENTRY, CandidateBlock, Recipe, SampleSource, cuts_of, stream


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "candidates.root"
    with AtomicRootWriter(path, tree="t") as writer:
        writer.extend(
            {
                "event": np.arange(6),
                "x": np.array([1.0, 2.0, 3.0, 4.0, np.nan, 6.0]),
                "w": np.array([1.0, 1.0, 2.0, 2.0, 3.0, np.inf]),
                "half": np.arange(6) + 0.5,
            }
        )
    return str(path)


def blocks(source: SampleSource, recipe: Recipe) -> list[CandidateBlock]:
    return list(stream(source, recipe, CutCounter(source.name, cuts_of(source, recipe), 1)))


def source(file: str, **more: object) -> SampleSource:
    return SampleSource("s", "s", 1, (file,), "t", **more)


def test_cuts_see_features_and_nan_never_passes(file: str) -> None:
    recipe = Recipe(("event",), (FeatureSpec("double", expression="2 * x"),), preselection=("double > 3", "double < 13"))
    (block,) = blocks(source(file), recipe)
    assert block.matrix(["double"])[:, 0].tolist() == [4, 6, 8, 12]
    assert block.event_id[:, 0].tolist() == [1, 2, 3, 5]
    assert block.read == 6


def test_a_feature_hides_the_branch_of_its_name_but_not_from_itself(file: str) -> None:
    recipe = Recipe(("event",), (FeatureSpec("x", expression="x + 10"), FeatureSpec("y", expression="x")))
    (block,) = blocks(source(file), recipe)
    assert block.matrix(["y"])[0, 0] == 11
    assert block.columns.column("x")[0] == 1


def test_weights_are_scaled_and_must_be_finite(file: str) -> None:
    recipe = Recipe(("event",), (FeatureSpec("x"),))
    (block,) = blocks(source(file, weight="min(w, 5)", scale=10.0), recipe)
    assert block.weight.tolist() == [10, 10, 20, 20, 30, 50]
    with pytest.raises(WeightError, match="1 of 6 weights 'w' are not finite"):
        blocks(source(file, weight="w"), recipe)


def test_row_numbers_stand_in_for_a_missing_event_id(file: str) -> None:
    (block,) = blocks(source(file, cut="x > 2"), Recipe((ENTRY,), (FeatureSpec("x"),)))
    assert block.event_id[:, 0].tolist() == [2, 3, 5]


def test_an_event_id_must_be_whole(file: str) -> None:
    with pytest.raises(NtupleError, match="'half' holds numbers that are not whole"):
        blocks(source(file), Recipe(("half",), (FeatureSpec("x"),)))


def test_features_in_a_circle_are_named() -> None:
    library = resolve([FeatureSpec("a", expression="b + 1"), FeatureSpec("b", expression="a + 1")], registered=False)
    with pytest.raises(ConfigError, match="a -> b -> a"):
        base_columns(["a"], library)


def test_workers_do_not_change_the_sample(file: str) -> None:
    sources = [source(file), SampleSource("b", "b", 0, (file,), "t", scale=2.0)]
    recipe = Recipe(("event",), (FeatureSpec("x"),), spectators=(FeatureSpec("half"),), preselection=("x > 1",))
    one, two = (load_samples(sources, recipe, n_folds=3, salt="", workers=workers) for workers in (1, 2))
    np.testing.assert_array_equal(one.sample.features, two.sample.features)
    np.testing.assert_array_equal(one.sample.fold, two.sample.fold)
    assert one.cutflow == two.cutflow
    assert one.sample.spectators["half"].tolist() == [1.5, 2.5, 3.5, 5.5] * 2


def test_scale_is_cross_section_times_luminosity_over_generated_events() -> None:
    # 1 nb x 200 /fb = 2e8 events; 1e6 generated in two files: 200 a candidate
    files = [("a", {"events": 400_000}), ("b", {"events": 600_000})]
    scale = sample_scale("s", cross_section_nb=1.0, luminosity_per_fb=200, stated_events=None, metadata=files)
    assert scale == pytest.approx(200)
    with pytest.raises(WeightError, match="c does not say how many events were generated"):
        sample_scale("s", cross_section_nb=1.0, luminosity_per_fb=200, stated_events=None, metadata=[("c", {})])
    with pytest.raises(WeightError, match="no luminosity_per_fb"):
        sample_scale("s", cross_section_nb=1.0, luminosity_per_fb=None, stated_events=1, metadata=[])
    assert sample_scale("s", cross_section_nb=None, luminosity_per_fb=None, stated_events=None, metadata=[]) == 1
