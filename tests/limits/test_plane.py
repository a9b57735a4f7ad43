"""Cells follow the resolution and cover what is searched, and hold what they should of a signal and of background."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import multivariate_normal, norm

from mlbkg.errors import ConfigError, LimitError
from mlbkg.evaluation.peaks import Peaks
from mlbkg.limits.plane import Cells, Plane, cells_of
from mlbkg.limits.plane_neighbours import from_neighbours
from mlbkg.limits.plane_signal import SimulatedSignal, found_in_cells

Array = NDArray[np.float64]
TRIANGLE = Plane(ranges=((4.0, 9.5), (0.0, 5.0)), size=(4.0, 4.0), ordered=True, total=10.58)
GRID = np.array([[u, h] for u in np.arange(4, 9.6, 0.5) for h in np.arange(0, 5.1, 0.5)])


def peaks_with(first: Array, second: Array, *, power: tuple[int, ...] = (1, 2), offset: float = 0.0) -> Peaks:
    """With these widths ``(n_grid,)``, their peaks moved by ``offset`` widths."""
    width = np.stack(np.broadcast_arrays(first, second, GRID[:, 0])[:2], axis=1)
    return Peaks(GRID, power, GRID ** np.array(power) + offset * width, width)


@pytest.fixture
def peaks() -> Peaks:
    """Resolutions about as of Belle II: of the muons' mass 0.5 %, of the squared recoil mass 0.25 GeV² and falling."""
    return peaks_with(0.005 * GRID[:, 0], 0.25 - 0.03 * (GRID[:, 0] - 4) - 0.004 * GRID[:, 1])


def test_even_resolution_gives_even_cells() -> None:
    flat = Plane(((4.0, 9.0), (0.0, 3.0)), (4.0, 2.0), ordered=False, total=np.inf)
    cells = cells_of(flat, peaks_with(np.array(0.05), np.array(0.1), power=(1, 1)))
    # (9 - 4) GeV / (4 x 50 MeV) and 3 GeV / (2 x 100 MeV) are 25 and 15 cells; half of the first lies below the range
    assert (cells.column.max() + 1, len(cells)) == (26, 26 * 16)
    size = cells.high - cells.low
    assert size == pytest.approx(np.broadcast_to([5 / 25.5, 3 / 15.5], size.shape), rel=1e-9)
    assert cells.masses.min(axis=0) == pytest.approx([4.0, 0.0], abs=1e-9)
    assert cells.high.max(axis=0) == pytest.approx([9.0, 3.0])


def test_cells_are_so_many_resolutions_wide(peaks: Peaks) -> None:
    cells = cells_of(TRIANGLE, peaks)
    inner = (cells.column > 0) & (cells.masses[:, 1] > 0)
    size = ((cells.high - cells.low) / peaks.width_at(cells.masses))[inner]
    columns, rows = size.T
    assert len(cells) > 500
    # whole cells must fill the range, so they are up to one cell's share smaller; over a column the resolution changes
    assert columns.min() > 3.8
    assert np.median(rows) > 3.7
    assert size.max() < 4.05


def test_cells_cover_the_triangle_and_nothing_twice(peaks: Peaks) -> None:
    cells = cells_of(TRIANGLE, peaks)
    assert (cells.masses[:, 1] < cells.masses[:, 0]).all()
    assert (cells.masses.sum(axis=1) < TRIANGLE.total).all()
    rng = np.random.default_rng(1)
    masses = rng.uniform([4.0, 0.0], [9.5, 5.0], (20_000, 2))
    inside = masses[(masses[:, 1] < masses[:, 0] - 0.05) & (masses.sum(axis=1) < 10.5)]
    found = cells.find(np.stack([inside[:, 0], inside[:, 1] ** 2], axis=1))
    assert (found >= 0).all()
    values = rng.uniform([3.5, -3], [10, 28], (50_000, 2))
    held = ((values[:, None] >= cells.low) & (values[:, None] < cells.high)).all(axis=2)
    assert held.sum(axis=1).max() == 1
    assert cells.find(values).tolist() == np.where(held.any(axis=1), held.argmax(axis=1), -1).tolist()


def test_weights_are_summed_in_their_cells(peaks: Peaks) -> None:
    cells = cells_of(TRIANGLE, peaks)
    values = np.concatenate([cells.centre[[3, 3, 7]], [[0.0, 0.0]]])
    sums = cells.sums(values, np.array([1.0, 2.5, 4.0, 100.0]))
    assert sums[[3, 7]].tolist() == [3.5, 4.0]
    assert sums.sum() == 7.5


def test_cells_lie_where_the_signal_peaks() -> None:
    """Not where its mass says: peaks that all are 2 resolutions high must be in the middle of their cells all the same."""
    moved = peaks_with(np.array(0.03), np.array(0.2), offset=2.0)
    cells = cells_of(TRIANGLE, moved)
    away = (cells.centre - moved.position_at(cells.masses)) / moved.width_at(cells.masses)
    assert np.abs(away).max() < 1e-6


def test_nothing_to_search_is_an_error(peaks: Peaks) -> None:
    with pytest.raises(ConfigError, match=r"no second mass above 4 GeV is possible for a first mass from 7 to 9 GeV"):
        cells_of(Plane(((7.0, 9.0), (4.0, 5.0)), (4.0, 4.0), ordered=True, total=10.58), peaks)


def test_share_of_a_normal_peak_in_its_cell(peaks: Peaks) -> None:
    """Against the integral of a normal distribution with correlation -0.5 over the cell: some 91 %."""
    cells = cells_of(TRIANGLE, peaks)
    rng = np.random.default_rng(2)
    per_mass, correlation = 2000, [[1, -0.5], [-0.5, 1]]
    masses = np.repeat(GRID, per_mass, axis=0)
    away = rng.multivariate_normal([0, 0], correlation, len(masses))
    values = np.repeat(peaks.position, per_mass, axis=0) + away * np.repeat(peaks.width, per_mass, axis=0)
    signal = SimulatedSignal(values, masses, np.full(len(masses), 1 / per_mass), GRID)
    found, error = found_in_cells(cells, peaks, signal)
    low, high = (
        (edges - peaks.position_at(cells.masses)) / peaks.width_at(cells.masses) for edges in (cells.low, cells.high)
    )
    asked = rng.choice(len(cells), 40, replace=False)
    normal = multivariate_normal([0, 0], correlation)
    expected = np.array([normal.cdf(high[i], lower_limit=low[i]) for i in asked])
    assert np.median(expected) == pytest.approx(0.915, abs=0.02)
    pulls = (found[asked] - expected) / error[asked]
    assert np.abs(pulls).max() < 4
    assert error.max() < 0.025


def test_masses_without_any_candidate_count_as_not_found(peaks: Peaks) -> None:
    cells = cells_of(TRIANGLE, peaks)
    away = norm.ppf((np.arange(100) + 0.5) / 100)
    masses = np.repeat(GRID[GRID[:, 0] < 8], 100, axis=0)
    values = peaks.position_at(masses) + np.tile(away, len(masses) // 100)[:, None] * peaks.width_at(masses) * 0.3
    found, _ = found_in_cells(cells, peaks, SimulatedSignal(values, masses, np.full(len(masses), 0.01), GRID))
    assert found[cells.masses[:, 0] < 7.4].min() > 0.9
    assert found[cells.masses[:, 0] > 8.1].max() == 0


@pytest.mark.parametrize(
    ("of", "slope"), [pytest.param(30.0, (0.0, 0.0), id="flat"), pytest.param(30.0, (0.15, 0.05), id="rising")]
)
def test_background_from_neighbours_is_right_on_average(peaks: Peaks, of: float, slope: tuple[float, float]) -> None:
    """A density that is linear is met without bias, at the edges, too; the pulls are as wide as the error says."""
    cells = cells_of(TRIANGLE, peaks)
    expected = of * (1 + (cells.centre - [4.0, 0.0]) @ slope) * cells.area
    rng = np.random.default_rng(3)
    found, error = np.array([from_neighbours(cells, rng.poisson(expected).astype(float)) for _ in range(60)]).transpose(
        1, 0, 2
    )
    assert found.mean() / expected.mean() == pytest.approx(1.0, abs=0.005)
    assert ((found - expected) / error).std() == pytest.approx(1.0, abs=0.08)


def test_a_signal_does_not_make_its_own_background(peaks: Peaks) -> None:
    cells = cells_of(TRIANGLE, peaks)
    counts = np.full(len(cells), 4.0)
    before, _ = from_neighbours(cells, counts)
    middle = int(cells.find(np.array([[6.0, 4.0]]))[0])
    away = np.abs(cells.centre[:, 1] - cells.centre[middle, 1]) / (cells.high - cells.low)[middle, 1]
    near = (np.abs(cells.column - cells.column[middle]) <= 1) & (away < 1.4)
    after, _ = from_neighbours(cells, counts + 50.0 * near)
    assert near.sum() == 9
    assert after[middle] == pytest.approx(before[middle], rel=1e-9)


def test_nothing_seen_around_is_no_certainty(peaks: Peaks) -> None:
    cells = cells_of(TRIANGLE, peaks)
    background, error = from_neighbours(cells, np.zeros(len(cells)))
    assert background.min() > 0
    assert (error >= 0.9 * background).all()


def test_a_cell_alone_has_no_neighbours() -> None:
    only = Cells(np.array([[5.0, 1.0]]), np.array([[4.0, 0.0]]), np.array([[6.0, 2.0]]))
    with pytest.raises(LimitError, match=r"the cell at 5, 1 GeV has no cells around it"):
        from_neighbours(only, np.array([3.0]))
