"""A plane of cells: excesses by chance are as many as they should be, a signal is found where it is, limits are right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import kstest, norm

from mlbkg.config.schema import Config
from mlbkg.errors import LimitError
from mlbkg.evaluation.peaks import measure_peaks
from mlbkg.limits.many import LIMITS, chances_above, local_p_values
from mlbkg.limits.spectrum import LONGEST_REACH
from mlbkg.stages.scan_inputs import ScanInputs, Selected
from mlbkg.stages.scan_plane import PlaneExperiments, plane_experiments
from mlbkg.stages.scan_search import ScanInHand, search_plane
from mlbkg.stages.scan_spectrum import background_spectrum, with_pseudo_data

Array = NDArray[np.float64]
GRID = np.array([[u, h] for u in np.arange(5.0, 7.1, 0.5) for h in np.arange(0.0, 3.1, 0.5)])
LUMINOSITY, EFFICIENCY, GENERATED = 10.0, 0.25, 1500
RANGES = ((5.0, 7.0), (0.0, 3.0))


def config(**scan: object) -> Config:
    axes = [
        {"name": "mass_u", "variable": "m", "truth": "mc_mass", "range": RANGES[0]},
        {"name": "mass_h", "variable": "r2", "power": 2, "truth": "mc_mass_h", "range": RANGES[1]},
    ]
    settings = {
        "analysis": "plane",
        "luminosity_per_fb": LUMINOSITY,
        "samples": (
            {"name": "s", "role": "signal", "files": "s.root"},
            {"name": "b", "role": "background", "files": "b.root"},
        ),
        "features": ("x",),
        "spectators": ("m", "r2"),
        "scan": {"axes": axes, "ordered": True, **scan},
        "limit": {"quantity": "cross_section"},
    }
    return Config.model_validate(settings)


def selected(values: Array, weight: float, *, name: str = "b") -> Selected:
    n = len(values)
    return Selected(values, np.full(n, weight), np.zeros(n, np.int16), np.arange(n), (name,))


def inputs(rng: np.random.Generator, *, candidates: int = 40_000, weight: float = 0.25) -> ScanInputs:
    """Signal of 1 % and 0.2 GeV² resolution, correlated; the same density of background everywhere."""
    kept = round(EFFICIENCY * GENERATED)
    masses = np.repeat(GRID, kept, axis=0)
    away = rng.multivariate_normal([0, 0], [[1, -0.4], [-0.4, 1]], len(masses))
    values = masses ** np.array([1, 2]) + away * np.stack([0.01 * masses[:, 0], np.full(len(masses), 0.2)], axis=1)
    flat = rng.uniform([4.7, -1.5], [7.3, 10.5], (candidates, 2))
    return ScanInputs(
        signal=selected(values, LUMINOSITY / GENERATED, name="s"),
        masses=masses,
        background=selected(flat, weight),
        data=None,
        simulated=GRID,
        generated=np.full(len(GRID), GENERATED, dtype=float),
        luminosity_per_fb=LUMINOSITY,
        sqrt_s=10.58,
    )


def in_hand(given: ScanInputs, wanted: Config) -> ScanInHand:
    peaks = measure_peaks(given.masses, given.signal.values, given.signal.weight, power=(1, 2))
    spectrum = background_spectrum(given, peaks)
    assert wanted.scan is not None
    return ScanInHand(wanted, with_pseudo_data(given, spectrum, peaks, wanted.scan.pseudo_data), peaks, spectrum)


def built(hand: ScanInHand) -> PlaneExperiments:
    return plane_experiments(hand.inputs, hand.peaks, hand.spectrum, hand.config)


@pytest.fixture(scope="module")
def hand() -> ScanInHand:
    """Without data."""
    return in_hand(inputs(np.random.default_rng(1)), config())


def test_background_and_efficiency_of_the_cells(hand: ScanInHand) -> None:
    found = built(hand)
    experiments, area = found.experiments, found.cells.area
    assert experiments.observed is None
    # 40000 candidates of weight 0.25 over 2.6 GeV x 12 GeV²
    assert experiments.background.sum() == pytest.approx(40_000 * 0.25 / (2.6 * 12) * area.sum(), rel=0.02)
    pulls = (experiments.background - 40_000 * 0.25 / (2.6 * 12) * area) / experiments.background_error
    assert pulls.std() == pytest.approx(1.0, abs=0.2)
    # 2 sigma to each side in both variables, correlated by -0.4: 91.4 % of a normal peak; cells are a little smaller
    assert np.median(experiments.efficiency) / EFFICIENCY == pytest.approx(0.9, abs=0.03)
    assert experiments.signal_per_fb == pytest.approx(LUMINOSITY * experiments.efficiency)
    assert (experiments.efficiency_error / experiments.efficiency).max() < 0.1


def test_without_signal_p_values_are_uniform_and_excesses_as_expected(hand: ScanInHand) -> None:
    """Counts of some hundred: the probability of the next count is small against the p value, so it is nearly continuous."""
    found = built(hand)
    rng = np.random.default_rng(5)
    many = replace(hand.spectrum, weight=hand.spectrum.weight * 12)
    experiments = replace(
        found.experiments, background=12 * found.experiments.background, background_error=0 * found.experiments.background
    )
    counts = np.array([found.cells.sums(*drawn(many.draw(rng))) for _ in range(150)])
    p = local_p_values(experiments, counts.astype(np.int64))
    assert kstest(p.ravel()[::7], "uniform").statistic < 0.03
    for sigma in (1.0, 2.0, 3.0):
        expected = len(experiments) * norm.sf(sigma)
        above = (p < norm.sf(sigma)).sum(axis=1)
        assert above.mean() == pytest.approx(expected, abs=0.06 * expected + 4 * np.sqrt(expected / len(p)))


def drawn(experiment: tuple[Array, NDArray[np.int16]]) -> tuple[Array, Array]:
    return experiment[0], np.ones(len(experiment[0]))


def test_toys_expect_as_many_excesses_as_there_are_cells_times_the_probability() -> None:
    searched, _ = search_plane(in_hand(inputs(np.random.default_rng(2)), config(pseudo_data={}, excess=2.0)))
    found = searched.excesses
    assert found is not None
    chance = float(chances_above(searched.experiments, 2.0).sum())
    assert found.expected_above == pytest.approx(chance, rel=0.05)
    # less than the number of cells times p(2 sigma), as counts come in steps
    assert 0.75 * len(searched.experiments) * norm.sf(2.0) < chance < len(searched.experiments) * norm.sf(2.0)
    assert found.observed_above < 3 * chance
    assert found.global_p > 0.05


def test_an_injected_signal_is_found_in_its_cell() -> None:
    given = inputs(np.random.default_rng(3))
    target = built(in_hand(given, config())).experiments.masses[40]
    injected = {"masses": tuple(target), "cross_section_fb": 40.0}
    searched, _ = search_plane(in_hand(given, config(pseudo_data={"inject": [injected]})))
    found = searched.excesses
    assert found is not None
    assert (found.largest, found.global_p < 0.01) == (40, True)
    assert found.z[40] > 5
    assert searched.cross_section_fb is not None
    assert searched.cross_section_error_fb is not None
    assert abs(searched.cross_section_fb[40] - 40.0) < 3 * searched.cross_section_error_fb[40]


@pytest.mark.parametrize("method", ["bayesian", "cls"])
def test_limits_where_nothing_is_counted_and_nothing_expected(hand: ScanInHand, method: str) -> None:
    """2.302585 = -ln 0.1 events at 90 %, whatever the method."""
    found = built(hand).experiments
    nothing = np.zeros(len(found))
    empty = replace(
        found,
        observed=np.zeros(len(found), np.int64),
        background=nothing,
        background_error=nothing,
        efficiency_error=nothing,
    )
    limits = LIMITS[method](empty, confidence_level=0.9)
    assert limits.observed == pytest.approx(2.302585 / found.signal_per_fb, rel=1e-5)


def test_the_background_may_come_from_the_cells_around() -> None:
    given = inputs(np.random.default_rng(4), weight=1.0)
    simulated, neighbours = (
        built(in_hand(given, config(pseudo_data={"seed": 9}, background=source))).experiments
        for source in ("simulation", "neighbours")
    )
    assert (simulated.observed == neighbours.observed).all()
    pulls = (neighbours.background - simulated.background) / np.hypot(
        neighbours.background_error, simulated.background_error
    )
    assert abs(pulls.mean()) < 0.3
    assert pulls.std() == pytest.approx(1.0, abs=0.35)


def test_a_sample_with_few_heavy_candidates_is_spread() -> None:
    """Not put into single cells, where it would be an excess of data elsewhere; its errors are as large as they must be."""
    given = inputs(np.random.default_rng(6), candidates=300, weight=30.0)
    experiments = built(in_hand(given, config())).experiments
    expected = 300 * 30.0 / (2.6 * 12) * np.prod(experiments.high - experiments.low, axis=1)
    assert (experiments.background > 0).all()
    relative = experiments.background_error / experiments.background
    assert 0.15 < np.median(relative) < 0.4
    assert ((experiments.background - expected) / experiments.background_error).std() < 2


def test_far_from_all_simulation_the_background_is_not_known_to_be_zero(hand: ScanInHand) -> None:
    given = hand.inputs
    corner = given.background.values[:, 0] < 5.2
    few = selected(given.background.values[corner], 5.0)
    experiments = built(in_hand(replace(given, background=few), config())).experiments
    nothing = experiments.background == 0
    assert nothing.any()
    # 4 x 4 of the resolutions that a candidate is spread over at most
    assert experiments.background_error[nothing] == pytest.approx(5.0 * 16 / (2 * LONGEST_REACH) ** 2, rel=0.3)
    p = local_p_values(experiments, np.ones((1, len(experiments)), dtype=np.int64))
    assert p[0, nothing].min() > 1e-3


def test_cells_of_another_scan(hand: ScanInHand) -> None:
    """Counted in the same cells, a resolution that is half as good finds less of the signal."""
    cells = built(hand).cells
    blurred = hand.inputs.masses ** np.array([1, 2])
    worse = replace(hand.inputs.signal, values=blurred + 2 * (hand.inputs.signal.values - blurred))
    other = in_hand(replace(hand.inputs, signal=worse), hand.config)
    found = plane_experiments(other.inputs, other.peaks, other.spectrum, other.config, cells=cells).experiments
    assert (found.masses == cells.masses).all()
    # 1 sigma to each side in both variables, correlated by -0.4: 49 % of a normal peak
    assert np.median(found.efficiency) / EFFICIENCY == pytest.approx(0.47, abs=0.04)


def test_too_few_cells_for_neighbours_is_an_error() -> None:
    wide = config(pseudo_data={}, background="neighbours", bins={"width": [80, 80]})
    with pytest.raises(LimitError, match="has no cells around it"):
        built(in_hand(inputs(np.random.default_rng(7), candidates=500), wide))
