"""Every coupling keeps the contract, and turns cross sections into the parameter that makes them."""

from __future__ import annotations

import time

import numpy as np
import pytest

from mlbkg.errors import UnknownNameError
from mlbkg.physics.coupling import COUPLINGS
from mlbkg.physics.dark_higgs import cross_section_fb
from mlbkg.physics.g_minus_2 import KNT_2018, favoured_band
from mlbkg.physics.zprime import branching_fraction_invisible

SQRT_S = 10.58
AXES = {"dark_higgs": 2, "zprime_invisible": 1, "zprime_lfv": 1, "zprime_lmu_ltau": 1}


def masses(name: str, n: int = 70) -> np.ndarray:  # type: ignore[type-arg]
    columns = [np.linspace(0.3, 9.0, n), np.linspace(0.05, 1.0, n)]
    return np.column_stack(columns[: AXES[name]])


def test_names() -> None:
    assert set(COUPLINGS) >= set(AXES)
    with pytest.raises(UnknownNameError, match="did you mean 'zprime_lfv'"):
        COUPLINGS["zprime_lvf"]


@pytest.mark.parametrize("name", AXES)
def test_parameter_gives_the_cross_section_back(name: str) -> None:
    coupling, at = COUPLINGS[name], masses(name)
    wanted = np.array([1.0, 30.0])[:, np.newaxis] * np.ones(len(at))
    parameter = coupling.parameter(wanted, at, SQRT_S)
    assert parameter.shape == (2, len(at))
    np.testing.assert_allclose(coupling.cross_section_fb(at, SQRT_S) * parameter**coupling.power, wanted)
    assert coupling.name == name
    assert coupling.symbol
    assert coupling.assumption


@pytest.mark.parametrize("name", AXES)
def test_closed_processes(name: str) -> None:
    at = np.array([[10.55, 1.0]])[:, : AXES[name]]
    assert COUPLINGS[name].cross_section_fb(at, SQRT_S).tolist() == [0]
    assert np.isinf(COUPLINGS[name].parameter(np.ones(1), at, SQRT_S)).all()


@pytest.mark.parametrize(
    ("name", "n", "seconds"), [("zprime_lmu_ltau", 70, 3), ("zprime_lfv", 70, 3), ("dark_higgs", 3000, 1)]
)
def test_speed(name: str, n: int, seconds: float) -> None:
    at = masses(name, n)
    begin = time.perf_counter()
    assert len(COUPLINGS[name].cross_section_fb(at, SQRT_S)) == n
    assert time.perf_counter() - begin < seconds


def test_assumptions_on_invisible_decays() -> None:
    at = masses("zprime_lmu_ltau")
    all_invisible, model = (COUPLINGS[name].cross_section_fb(at, SQRT_S) for name in ("zprime_invisible", "zprime_lmu_ltau"))
    np.testing.assert_allclose(model / all_invisible, branching_fraction_invisible(at[:, 0]))


def test_implied_cross_sections_of_the_published_limit() -> None:
    """Belle II, arXiv:1912.11276: g' limits for B = 1 as digitised, and the fb that another program makes of them."""
    mass, coupling = np.array([[1.157], [3.02], [4.11], [5.00], [5.97]]), np.array([0.0510, 0.144, 0.296, 0.520, 0.994])
    implied = COUPLINGS["zprime_invisible"].cross_section_fb(mass, SQRT_S) * coupling**2
    np.testing.assert_allclose(implied, [220, 280, 430, 548, 680], rtol=0.1)


@pytest.mark.parametrize("name", ["zprime_lmu_ltau", "zprime_invisible"])
def test_favoured_band(name: str) -> None:
    favoured = COUPLINGS[name].favoured
    assert favoured is not None
    mass = np.array([0.1, 1.0, 5.0])
    np.testing.assert_allclose(favoured.limits(mass), favoured_band(mass, KNT_2018, sigmas=2))
    assert COUPLINGS["dark_higgs"].favoured is None


def test_kloe_limits_without_events() -> None:
    """2.302585/(L eff sigma B) with eff = 0.2 and B = 0.4: on the phi, off it, and both, by another program."""
    luminosity, sqrt_s = (1.65, 0.206), (1.0194, 1.0)
    on, off = (
        per_fb * 0.2 * 0.4 * float(cross_section_fb(np.array(0.5), np.array(0.3), sqrt_s=energy))
        for per_fb, energy in zip(luminosity, sqrt_s, strict=True)
    )
    limits = [2.302585 / events for events in (on, off, on + off)]
    np.testing.assert_allclose(limits, [1.77543e-9, 1.34293e-8, 1.56811e-9], rtol=1e-5)
