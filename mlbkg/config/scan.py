"""The section ``scan``: where in one or two masses a particle is looked for, and how."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from mlbkg.config.statistics import Range
from mlbkg.registry import Params


class Axis(Params):
    """One mass that is not known."""

    name: Literal["mass", "mass_u", "mass_h"] = Field("mass", description="in tables and files")
    variable: str = Field(description="feature or spectator in which the particle peaks: m2Recoil, MLL, mRecoil")
    power: Literal[1, 2] = Field(1, description="2 where the variable is a squared mass")
    truth: str = Field(description="branch of the signal samples with the true mass: mc_mass, mc_mass_h")
    symbol: str = Field("m", description="of the mass, for figures and tables")
    range: Range = Field(description="lowest and highest mass that is looked for, GeV")


class LocalFits(Params):
    """Fits of a peak over a smooth background, one around each hypothesis."""

    half_range: float = Field(15.0, gt=3, description="of the fitted range, in resolutions")
    order: int = Field(2, ge=0, le=6, description="of the polynomial whose exponential is the background")


class Bins(Params):
    """Cells of a plane of two masses; both counts are in resolutions, which change over the plane."""

    width: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] = Field(
        (4.0, 4.0), description="of a cell along each axis; 4 holds 95 % of a signal in its middle along one axis"
    )


class Injected(Params):
    """A signal in pseudo-data."""

    masses: tuple[Annotated[float, Field(ge=0)], ...] = Field(
        min_length=1, max_length=2, description="GeV, one for each axis"
    )
    cross_section_fb: float = Field(gt=0, description="production cross section times branching fraction")


class PseudoData(Params):
    """Stands for data where there are none: counts drawn from the simulated background, called so in every output."""

    seed: int = Field(1, ge=0, description="of the draw")
    inject: tuple[Injected, ...] = Field((), description="signals that are added")


class Scan(Params):
    """One axis: a bump hunt. Two: a plane of cells."""

    axes: tuple[Axis, ...] = Field(min_length=1, max_length=2, description="masses of the hypotheses")
    ordered: bool = Field(False, description="two axes: the second mass is below the first")
    hypotheses: int = Field(70, ge=2, le=5000, description="one axis: their number, evenly spaced in resolutions")
    window: float = Field(2.0, gt=0, description="one axis: half width of the counting window, in resolutions")
    bins: Bins = Field(Bins(), description="two axes: the cells")
    method: Literal["counting", "local_fits"] = Field(
        "counting", description="one axis: where significances come from; limits always count in the window"
    )
    background: Literal["simulation", "neighbours"] = Field(
        "simulation", description="where a window's background is predicted from: simulation, or the windows around it"
    )
    local_fits: LocalFits = LocalFits()
    toys: int = Field(1000, ge=100, description="background-only experiments behind the global p values")
    excess: float = Field(3.0, gt=0, description="local significances above this are counted")
    blind: bool = Field(False, description="no candidate of data is read without --unblind")
    pseudo_data: PseudoData | None = Field(None, description="drawn where there are no data, or they are not read")

    @model_validator(mode="after")
    def _axes_named(self) -> Scan:
        names = tuple(axis.name for axis in self.axes)
        wanted = (("mass",),) if len(names) == 1 else (("mass_u", "mass_h"),)
        if names not in wanted:
            raise ValueError(f"one axis is called mass, two are mass_u and mass_h; got {', '.join(names)}")
        return self
