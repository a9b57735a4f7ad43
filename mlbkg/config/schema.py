"""The config of an analysis: every key, its meaning and its default. Defaults live here and nowhere else."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from mlbkg.config.classifier import ClassifierConfig
from mlbkg.config.scan import Scan
from mlbkg.config.statistics import Fit, LimitConfig, Name, Systematic
from mlbkg.config.tuning import Tuning
from mlbkg.registry import Params

Fraction = Annotated[float, Field(gt=0, lt=1)]


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _as_feature(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


class Ntuples(Params):
    """Where the candidates or events are inside the files."""

    tree: str = Field("events", description="name of the TTree or RNTuple")
    event_id: tuple[str, ...] = Field(
        ("__experiment__", "__run__", "__event__"),
        min_length=1,
        description="branches that together identify an event; candidates of one event share a fold",
    )


class Candidates(Params):
    """Built from events; left out where the ntuples already hold one row per candidate."""

    pair: str = Field(description="which two tracks make a candidate: see `mlbkg features`")
    beams: str = Field("Y3S", description="nominal beams that the recoil and the centre-of-mass frame are taken from")


class Simulate(Params):
    """A sample that `mlbkg simulate` makes. Beside these keys, the process' own: `masses` of what is looked for."""

    model_config = ConfigDict(extra="allow", frozen=True)

    process: str = Field(description="what happens in an event: upsilon1s_invisible, upsilon3s_generic, continuum_qq, ...")
    events: int = Field(gt=0, description="events to generate, before any reconstruction")
    beams: str | None = Field(None, description="Y4S, Y4S_off, Y3S, Y3S_off; the process' own by default")

    @property
    def settings(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class SampleConfig(Params):
    """Files that hold one kind of events."""

    name: Name = Field(description="in tables, figures and file names")
    role: Literal["signal", "background", "data"] = Field(description="signal, background or data")
    files: Annotated[tuple[str, ...], BeforeValidator(_as_list, json_schema_input_type=str | tuple[str, ...])] = Field(
        min_length=1, description="paths, globs or URLs"
    )
    tree: str | None = Field(None, description="where it differs from ntuples.tree")
    category: Name | None = Field(None, description="line of the tables that the sample counts in; its name by default")
    cut: str | None = Field(None, description="applied before the preselection, to this sample only")
    weight: str | None = Field(None, description="expression for the generator weight of a candidate")
    cross_section_nb: float | None = Field(None, gt=0, description="production cross section times branching fractions")
    generated_events: int | None = Field(None, gt=0, description="read from simulated files where left out")
    simulate: Simulate | None = Field(None, description="how to make the sample, where it is toy simulation")


class FeatureConfig(Params):
    """A registered feature, a branch (`column`), or a formula of branches and features (`expression`)."""

    name: str = Field(pattern=r"^[^\s\x00-\x1f]+$", max_length=128, description="in tables, figures and the model")
    column: str | None = Field(None, description="branch that holds it, in either basf2 spelling")
    expression: str | None = Field(None, description="formula of branches and features")
    unit: str | None = Field(None, description="for tables and figures")
    description: str | None = Field(None, description="for tables and the model")

    @model_validator(mode="after")
    def _one_origin(self) -> FeatureConfig:
        if self.column is not None and self.expression is not None:
            raise ValueError("give column or expression, not both")
        return self


FeatureEntry = Annotated[FeatureConfig, BeforeValidator(_as_feature, json_schema_input_type=str | FeatureConfig)]


class Training(Params):
    """Folds, weights and classifiers."""

    folds: int = Field(5, ge=2, le=100, description="each event is scored by the models that did not see it")
    salt: str = Field("mlbkg", description="changes which events share a fold")
    validation_fraction: Fraction = Field(0.1, description="of the training folds' events, for early stopping")
    negative_weights: Literal["error", "absolute", "drop"] = Field(
        "error", description="in training: refuse them, take their absolute value, or leave those candidates out"
    )
    balance_classes: bool = Field(True, description="rescale training weights so that both classes have equal sums")
    classifiers: tuple[ClassifierConfig, ...] = Field(
        (ClassifierConfig(backend="xgboost"),),
        min_length=1,
        description="backend and its own parameters, see `mlbkg backends`",
    )
    champion: Literal["auc", "log_loss", "background_rejection", "punzi"] = Field(
        "auc",
        description="out-of-fold figure of merit by which one classifier becomes model.onnx; punzi: of a scan, "
        "the mean over its masses",
    )
    flatten: tuple[str, ...] = Field(
        (), description="branches with true masses: in training, every mass that was simulated weighs the same"
    )


class Punzi(Params):
    """Punzi's figure of merit, physics/0308063: significance `a` and confidence `b`, both in standard deviations."""

    a: float = Field(3.0, gt=0, description="significance of the discovery that is hoped for")
    b: float = Field(1.28155, gt=0, description="1.28155 is 90 %")
    per: Literal["selection", "window"] = Field(
        "selection", description="one cut for all; window: one for each mass of `scan`, smooth in between"
    )


class ExpectedLimit(Params):
    """The cut whose fit gives the smallest expected limit; needs the section `fit`."""

    points: int = Field(40, ge=5, le=1000, description="cuts that are tried, even in signal efficiency")
    systematics: bool = Field(True, description="whether the limit that is optimised counts the systematic uncertainties")


class WorkingPoint(Params):
    """Exactly one of the four."""

    score: Fraction | None = Field(None, description="select what scores above")
    signal_efficiency: Fraction | None = Field(None, description="select so much of the signal")
    punzi: Punzi | None = Field(None, description="select where Punzi's figure of merit is largest")
    expected_limit: ExpectedLimit | None = Field(None, description="select where the expected limit is smallest")

    @model_validator(mode="after")
    def _exactly_one(self) -> WorkingPoint:
        keys = ("score", "signal_efficiency", "punzi", "expected_limit")
        given = [key for key in keys if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(keys)}; got {', '.join(given) or 'none'}")
        return self


class Reference(Params):
    """A published working point to print and draw beside one's own."""

    name: str = Field(description="who published it")
    signal_efficiency: Fraction = Field(description="as published")
    background_rejection: Fraction = Field(description="as published")


class ComparedCuts(Params):
    """A selection by cuts beside the classifier's: for each mass, Punzi's figure of merit sets ``line`` and ``above``."""

    name: str = Field(min_length=1, description="whose selection it is")
    requires: tuple[str, ...] = Field((), description="cuts that come before, as they stand: conditions on listed features")
    line: tuple[str, str] = Field(description="two features x and y: x + slope * y > offset, slope and offset optimised")
    above: tuple[str, ...] = Field((), description="features with a lower cut that is optimised, too")


class Evaluation(Params):
    """All weighted, out of fold."""

    signal_efficiency: Fraction = Field(0.849, description="where background rejection is quoted")
    bootstrap: int = Field(100, ge=10, description="bootstrap replicas, by event, behind every uncertainty")
    permutation_rows: int = Field(20000, ge=100, description="candidates used for permutation importance")
    reference: Reference | None = Field(None, description="a published working point to compare with")
    compare_cuts: ComparedCuts | None = Field(None, description="a selection by cuts, compared mass by mass in a scan")
    compare_features: tuple[FeatureEntry, ...] = Field(
        (), description="other features, for which the champion's backend is trained once more to compare; never exported"
    )


class Selection(Params):
    """What `mlbkg select` keeps."""

    working_point: WorkingPoint = Field(
        WorkingPoint(signal_efficiency=0.849),
        description="exactly one of score, signal_efficiency, punzi and expected_limit",
    )
    branches: Literal["all"] | tuple[str, ...] = Field("all", description="what a skim keeps beside score and fold")
    keep: Literal["selected", "all"] = Field("selected", description="`all` writes every candidate with its score")


class Tracking(Params):
    """Every training is a run in MLflow; see `mlbkg ui`."""

    enabled: bool = Field(True, description="whether runs are logged to MLflow")
    uri: str = Field("sqlite:///mlflow.db", description="any MLflow tracking URI")
    experiment: str | None = Field(None, description="the analysis' name by default")


class Config(Params):
    """One analysis, read top to bottom in the order of the work."""

    analysis: Name = Field(description="short name, also the folder of its runs")
    title: str = Field("", description="for figures and the report")
    origin: str = Field("Simulation", max_length=40, description="where the candidates come from, written on every figure")
    seed: int = Field(20190313, ge=0, description="same config and seed, same bytes")
    luminosity_per_fb: float | None = Field(None, gt=0, description="that the yields are for; needed with cross sections")
    ntuples: Ntuples = Ntuples()
    candidates: Candidates | None = None
    samples: tuple[SampleConfig, ...] = Field(min_length=1, description="at least one signal and one background")
    preselection: tuple[str, ...] = Field((), description="cuts, one after the other, before training and selection")
    features: tuple[FeatureEntry, ...] = Field(
        min_length=1, description="what the classifiers see, in the order of the input"
    )
    spectators: tuple[FeatureEntry, ...] = Field((), description="never seen by a classifier; watched for sculpting")
    training: Training = Training()
    evaluation: Evaluation = Evaluation()
    tuning: Tuning = Tuning()
    selection: Selection = Selection()
    fit: Fit | None = Field(None, description="signal extraction; needed by `mlbkg fit` and `mlbkg limit`")
    scan: Scan | None = Field(None, description="search over masses, instead of `fit`; needed by `mlbkg scan`")
    systematics: tuple[Systematic, ...] = Field((), description="nuisance parameters of the fit and the limit")
    limit: LimitConfig = LimitConfig()
    tracking: Tracking = Tracking()
