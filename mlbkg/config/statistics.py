"""The parts of a config that come after the selection: the fit, its systematic uncertainties and the limit."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from mlbkg.registry import Params

NAME_PATTERN = r"^[A-Za-z][A-Za-z0-9_]*$"
Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=64)]


def _ordered(limits: tuple[float, float]) -> tuple[float, float]:
    if not limits[0] < limits[1]:
        raise ValueError(f"must be [low, high] with low < high; got [{limits[0]:g}, {limits[1]:g}]")
    return limits


Range = Annotated[tuple[float, float], AfterValidator(_ordered)]


def _as_shape(value: object) -> object:
    return {"shape": value} if isinstance(value, str) else value


class ShapeConfig(Params):
    """`shape` and, beside it, that shape's own settings (checked against it when the config is loaded)."""

    model_config = ConfigDict(extra="allow", frozen=True)

    shape: str = Field(description="gaussian, double_gaussian, chebyshev, ...: see `mlbkg shapes`")

    @property
    def settings(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


ShapeEntry = Annotated[ShapeConfig, BeforeValidator(_as_shape, json_schema_input_type=str | ShapeConfig)]


class ControlMode(Params):
    """One decay that peaks like the signal when its other daughters are lost."""

    name: Name = Field(description="in names of nuisance parameters")
    label: str | None = Field(None, min_length=1, description="in tables; the name by default")
    lost: str = Field(description="expression that picks this decay among the selected simulated candidates: mc_mode == 13")
    seen: tuple[str, ...] = Field(
        (), description="cuts that select it with its daughters seen; none for a decay without a control sample of its own"
    )
    branching_fraction: float | None = Field(
        None, gt=0, lt=1, description="of the decay, as simulated; needed where a decay has no control sample of its own"
    )
    branching_fraction_error: float = Field(0.0, ge=0, description="its uncertainty")

    @model_validator(mode="after")
    def _error_of_something(self) -> ControlMode:
        if self.branching_fraction is None and self.branching_fraction_error:
            raise ValueError("branching_fraction_error needs branching_fraction")
        return self


class ControlUncertainty(Params):
    """A relative uncertainty of the simulated ratio of lost to seen candidates."""

    name: Name = Field(description="in tables; becomes a nuisance parameter")
    effect: float = Field(gt=0, lt=1, description="relative")
    of: Literal["lost", "seen"] = Field("seen", description="which of the two it is an uncertainty of")
    modes: tuple[Name, ...] | None = Field(None, min_length=1, description="whose; by default all that it can belong to")


class ControlReference(Params):
    """Published yields to print beside one's own."""

    name: str = Field(min_length=1, description="who published them")
    yields: dict[Name, Annotated[float, Field(ge=0)]] = Field(min_length=1, description="mode -> candidates")
    total: float | None = Field(None, gt=0, description="a published total, where there is one")
    total_error: float | None = Field(None, gt=0, description="its published error")
    note: str = Field("", description="what of it can be compared, printed below the table")


class Control(Params):
    """The peaking background from a control sample in which the lost particles are seen."""

    data: tuple[Name, ...] = Field((), description="data samples; without any, the control sample's size is simulated")
    preselection: tuple[str, ...] | None = Field(
        None, description="of the control samples, where it is not that of the search"
    )
    modes: tuple[ControlMode, ...] = Field(min_length=1, description="one by one, in the order of the table")
    uncertainties: tuple[ControlUncertainty, ...] = Field((), description="of the ratio lost / seen, beside statistics")
    reference: ControlReference | None = Field(None, description="published yields to print beside one's own")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(mode.name for mode in self.modes)

    def touched(self, uncertainty: ControlUncertainty) -> tuple[str, ...]:
        """The modes that an uncertainty is of."""
        able = (mode.name for mode in self.modes if mode.seen or uncertainty.of == "lost")
        return tuple(able) if uncertainty.modes is None else uncertainty.modes

    @model_validator(mode="after")
    def _tied(self) -> Control:
        tied = [mode.name for mode in self.modes if not mode.seen]
        if len(tied) == len(self.modes):
            raise ValueError("no mode has a control sample: give at least one its cuts `seen`")
        without = [mode.name for mode in self.modes if mode.branching_fraction is None]
        if tied and without:
            raise ValueError(
                f"'{tied[0]}' has no control sample and is tied to the others, so branching_fraction is needed of "
                + ", ".join(without)
            )
        return self


class Peaking(Params):
    """Background that peaks where the signal does."""

    samples: tuple[Name, ...] = Field(min_length=1, description="simulated samples that it is made of")
    uncertainty: float | None = Field(None, gt=0, lt=10, description="relative, where there is no control sample")
    control: Control | None = Field(None, description="predict it from a control sample")

    @model_validator(mode="after")
    def _one_source(self) -> Peaking:
        if (self.uncertainty is None) == (self.control is None):
            raise ValueError("give uncertainty or control, one of the two")
        return self


class Fit(Params):
    """Signal extraction; what is not signal or peaking is one smooth background."""

    variable: str = Field(description="a feature or spectator that the signal peaks in")
    window: Range = Field(description="range of the fit")
    bins: int = Field(120, ge=5, le=100_000, description="of the binned fit, of the figures and of the expected experiments")
    method: Literal["auto", "binned", "unbinned"] = Field(
        "auto", description="auto: unbinned up to unbinned_up_to candidates"
    )
    unbinned_up_to: int = Field(100_000, ge=1, description="candidates in the window, where method is auto")
    signal: ShapeEntry = Field(ShapeConfig(shape="double_gaussian"), description="fitted to the signal sample, then fixed")
    signal_from: Literal["signal", "control"] = Field(
        "signal",
        description="what the signal's shape is fitted to: the signal sample, or the control samples of fit.peaking",
    )
    background: ShapeEntry = Field(ShapeConfig(shape="chebyshev"), description="its parameters are free in the fit")
    peaking: Peaking | None = Field(None, description="background with the signal's shape and a constrained yield")
    blind: Range | None = Field(None, description="range of the variable in which data are not read without --unblind")

    @model_validator(mode="after")
    def _control_sample(self) -> Fit:
        if self.signal_from == "control" and (self.peaking is None or self.peaking.control is None):
            raise ValueError("signal_from: control needs the section peaking.control")
        return self


class Systematic(Params):
    """One source of uncertainty: a nuisance parameter. Exactly one of effect, mean and width."""

    name: Name = Field(description="in tables and figures")
    effect: float | None = Field(None, gt=0, lt=10, description="relative, of the rates of `on`; log-normal")
    on: tuple[Literal["signal", "peaking", "background"], ...] = Field(
        ("signal",), min_length=1, description="components that it scales; background: of a scan"
    )
    samples: tuple[Name, ...] = Field((), description="of a scan's background, only these samples; all where left out")
    mean: float | None = Field(None, gt=0, description="shift of the signal's peak, in the unit of fit.variable")
    width: float | None = Field(None, gt=0, lt=10, description="relative change of the signal's width")

    @model_validator(mode="after")
    def _exactly_one(self) -> Systematic:
        given = [key for key in ("effect", "mean", "width") if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of effect, mean, width; got {', '.join(given) or 'none'}")
        return self


class Parents(Params):
    """What the efficiency is relative to: how many parents are made, and how often they decay to the searched-for one."""

    cross_section_nb: float = Field(gt=0, description="production cross section of the parent")
    branching_fractions: dict[str, Annotated[float, Field(gt=0, le=1)]] = Field(
        {}, description="decay -> branching fraction, between the parent and the particle that decays invisibly"
    )


class Beside(Params):
    """A published limit to draw beside one's own: a value, or of a scan a curve."""

    name: str = Field(min_length=1, description="who published it, and whether it is observed or expected")
    value: float | None = Field(None, gt=0, description="upper limit, in the unit of the quantity")
    points: tuple[tuple[float, Annotated[float, Field(gt=0)]], ...] = Field(
        (), description="of a scan: [mass in GeV, upper limit], in the unit of the coupling"
    )
    coupling: str | None = Field(None, description="of a scan: which of limit.couplings the points are of")
    kind: Literal["observed", "expected"] = Field("observed", description="how it is drawn")

    @model_validator(mode="after")
    def _one_kind(self) -> Beside:
        if (self.value is None) == (not self.points):
            raise ValueError("give value or points, one of the two")
        if bool(self.points) != (self.coupling is not None):
            raise ValueError("points and coupling belong together")
        return self


class LimitConfig(Params):
    """From the yield to the quantity that is published."""

    quantity: Literal["branching_fraction", "cross_section", "yield"] = Field("yield", description="cross sections in fb")
    symbol: str = Field("signal yield", description="of the quantity, for figures and tables")
    parents: Parents | None = Field(None, description="needed for a branching fraction")
    confidence_level: float = Field(0.90, gt=0.5, lt=1, description="of the upper limits")
    methods: tuple[Literal["cls", "bayesian", "cls_toys", "profile", "pyhf"], ...] = Field(
        ("cls", "bayesian"),
        min_length=1,
        description="cls: asymptotic, of a scan exact; cls_toys: the same by toy experiments; of a scan: cls and bayesian",
    )
    couplings: tuple[str, ...] = Field((), description="of a scan: what cross sections become, see `mlbkg couplings`")
    scan_range: Range | None = Field(
        None, description="of the quantity, to look for asymptotic CLs limits in; found by itself where it is left out"
    )
    toys: int = Field(500, ge=50, description="experiments per hypothesis, for cls_toys")
    reactions: tuple[str, ...] = Field(
        ("E+ E- --> X",), min_length=1, description="that the HEPData files name, in HEPData's notation"
    )
    beside: tuple[Beside, ...] = Field((), description="published limits, for the summary figure")

    @model_validator(mode="after")
    def _parents(self) -> LimitConfig:
        if (self.quantity == "branching_fraction") != (self.parents is not None):
            raise ValueError("parents belongs to quantity: branching_fraction, and is needed there")
        return self
