"""Figures and tables of a plane and of combined data sets are drawn whole, also where there is little to draw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from numpy.typing import NDArray

from mlbkg.limits.excesses import Excesses, excesses
from mlbkg.limits.hypotheses import Experiments, UpperLimits
from mlbkg.limits.plane_projections import evenly_fixed, projections, smoothed
from mlbkg.report.combination_figures import draw_combined
from mlbkg.report.plane_figures import (
    PlaneAxes,
    draw_counts,
    draw_limit_map,
    draw_projections,
    draw_significance,
    power_text,
)
from mlbkg.report.plane_tables import combination_table, largest_excesses_table
from mlbkg.report.quantity import Quantity
from mlbkg.report.style import Caption

Array = NDArray[np.float64]
CAPTION = Caption("e⁺e⁻ → U h′, U → μ⁺μ⁻, h′ → invisible", 8.34)
MASSES = (Quantity("M(U)", "GeV"), Quantity("M(h′)", "GeV"))
PLANE = PlaneAxes(MASSES, (Quantity("MLL", "GeV"), Quantity("m2Recoil", "GeV^2")), (1, 2), ordered=True, total=10.58)
COUPLING = Quantity("α_D ε²")


def whole(path: Path) -> bool:
    """Nothing is cut: the outermost pixels are paper."""
    image = imread(path)[..., :3]
    edge = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    return bool(edge.min() > 0.99 and image.min() < 0.5)


@pytest.fixture
def experiments() -> Experiments:
    """A triangle of cells of 0.25 GeV and 1.5 GeV², with a strong excess in one."""
    columns = np.arange(5.0, 8.9, 0.25)
    squares = [np.arange(0, min(mass, 10.58 - mass) ** 2 - 1.5, 1.5) for mass in columns]
    first, second = np.repeat(columns, [len(rows) for rows in squares]), np.concatenate(squares)
    centre, half = np.stack([first, second], axis=1), np.array([0.125, 0.75])
    background = 5.0 + 0 * first
    observed = np.random.default_rng(1).poisson(background)
    observed[[3, 20]] = [0, 25]
    one = np.ones(len(first))
    return Experiments(
        np.stack([first, np.sqrt(second)], axis=1), centre - half, centre + half, observed, background, 0.5 * one,
        2 * one, 0.24 * one, 0.01 * one,
    )  # fmt: skip


@pytest.fixture
def found(experiments: Experiments) -> Excesses:
    assert experiments.observed is not None
    z = np.where(experiments.observed == 0, -np.inf, (experiments.observed - 5.0) / np.sqrt(5.0))
    return excesses(z, np.random.default_rng(2).normal(size=(200, len(z))), above=3.0, in_line=False)


def limits(n: int, *, scale: float, observed: bool = True) -> UpperLimits:
    shape = scale * (1 + 0.3 * np.sin(np.arange(n)))
    return UpperLimits("bayesian", 0.9, 1.2 * shape if observed else None, shape * np.array([[0.5], [0.7], [1], [1.5], [2]]))


def test_plane_figures_are_drawn_whole(experiments: Experiments, found: Excesses, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    candidates = np.stack([rng.uniform(5, 9, 300), rng.uniform(-1, 20, 300)], axis=1)
    limit = np.where(np.arange(len(experiments)) == 7, np.inf, 1e-7 * experiments.masses[:, 0] ** 3)
    lines = [
        part
        for along in (0, 1)
        for part in projections(
            experiments.masses, limit, along=along, fixed=evenly_fixed(experiments.masses, along=along, number=4)
        )
    ]
    told = "90 % Bayesian limit, observed,"
    for path in (
        draw_counts(experiments, candidates, PLANE, tmp_path / "counts.png", caption=CAPTION, data_name="data"),
        draw_significance(experiments, found, PLANE, tmp_path / "z.png", caption=CAPTION, data_name="pseudo-data"),
        draw_limit_map(experiments, limit, COUPLING, PLANE, tmp_path / "map.png", caption=CAPTION, told=told),
        draw_projections({"observed": lines}, COUPLING, PLANE, tmp_path / "one.png", caption=CAPTION, told=told),
        draw_projections({"a": lines, "b": lines}, COUPLING, PLANE, tmp_path / "two.png", caption=CAPTION, told=told),
    ):
        assert whole(path), path.name


def test_expected_counts_without_data(experiments: Experiments, tmp_path: Path) -> None:
    nothing = Experiments(**{**vars(experiments), "observed": None, "background": np.zeros(len(experiments))})
    for number, shown in enumerate((nothing, Experiments(**{**vars(experiments), "observed": None}))):
        path = draw_counts(shown, None, PLANE, tmp_path / f"{number}.png", caption=CAPTION, data_name="expected")
        assert whole(path)


@pytest.mark.parametrize("observed", [True, False])
def test_a_combination_is_drawn_whole(tmp_path: Path, observed: bool) -> None:
    masses = np.linspace(0.1, 8, 60)
    alone = {
        "on_resonance_data_of_a_long_name": limits(60, scale=0.02, observed=observed),
        "off": limits(60, scale=0.05, observed=observed),
    }
    together = limits(60, scale=0.018, observed=observed)
    path = tmp_path / "combined.png"
    assert whole(draw_combined(masses, alone, together, Quantity("g′"), MASSES[0], path, caption=CAPTION))


def test_largest_excesses_are_listed_first(experiments: Experiments, found: Excesses) -> None:
    table = largest_excesses_table(experiments, found, MASSES)
    assert table.rows[0][2] == "25"
    assert f"{found.observed_above} of {len(experiments)} cells above 3 σ" in table.title
    assert len(table.rows) >= 5
    text = str(table)
    # 3.1, 3.2 and 3.4 sigma where 4.2 were expected: P(n >= 3 | 4.2) = .790, Poisson
    three = Excesses(**{**vars(found), "observed_above": 3, "expected_above": 4.2})
    assert "p value 0.79" in largest_excesses_table(experiments, three, MASSES).title
    assert "M(h′) [GeV]" in text


def test_combination_table_has_each_alone_and_all_together() -> None:
    masses = np.array([[0.5, 0.3], [0.8, 0.1]])
    alone = {"on": limits(2, scale=1.8e-9), "off": limits(2, scale=1.3e-8, observed=False)}
    table = combination_table(masses, alone, limits(2, scale=1.6e-9), COUPLING, MASSES)
    names = (
        "M(U) [GeV]",
        "M(h′) [GeV]",
        "on observed",
        "on expected",
        "off expected",
        "combined observed",
        "combined expected",
    )
    assert table.columns == names
    assert table.rows[0] == ("0.5", "0.3", "2.16 × 10⁻⁹", "1.80 × 10⁻⁹", "1.30 × 10⁻⁸", "1.92 × 10⁻⁹", "1.60 × 10⁻⁹")


def test_projections_follow_one_mass_where_the_other_is_fixed() -> None:
    columns, rows = np.meshgrid(np.arange(4.0, 8.0), np.arange(0.0, 3.0), indexing="ij")
    masses = np.stack([columns.ravel(), rows.ravel()], axis=1)
    limit = 10.0 ** masses[:, 0] * 2.0 ** masses[:, 1]
    (along_first,) = projections(masses, limit, along=0, fixed=np.array([1.2, 2.6]))
    assert along_first.mass.tolist() == [4, 5, 6, 7]
    # a power law is its own geometric mean
    assert along_first.limit == pytest.approx(10.0**along_first.mass * 2)
    (along_second,) = projections(masses, limit, along=1, fixed=np.array([5.4, 9.0]))
    assert along_second.mass.tolist() == [0, 1, 2]
    assert along_second.limit == pytest.approx(1e5 * 2.0**along_second.mass)


def test_smoothing_keeps_ends_and_infinities() -> None:
    # (1 x 16^2 x 4)^(1/4) = 5.656854
    assert smoothed(np.array([1.0, 16.0, 4.0])) == pytest.approx([1.0, 5.656854, 4.0])
    assert smoothed(np.array([1.0, np.inf, 4.0, 4.0, 4.0])).tolist() == [1.0, np.inf, 4.0, 4.0, 4.0]


def test_ticks_are_short() -> None:
    assert [power_text(value) for value in (0.005, 20.0, 5000.0, 1e-7, 2e-7, 3e5)] == [
        "0.005", "20", "5000", "10⁻⁷", "2 × 10⁻⁷", "3 × 10⁵"
    ]  # fmt: skip
