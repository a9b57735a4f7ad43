"""The config of an analysis: every key, its meaning and its default. Defaults live here and nowhere else."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from mlbkg.registry import Params

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=64)]
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
    """A sample that `mlbkg simulate` makes."""

    process: str
    events: int = Field(gt=0, description="events to generate, before any reconstruction")


class SampleConfig(Params):
    name: Name
    role: Literal["signal", "background", "data"]
    files: Annotated[tuple[str, ...], BeforeValidator(_as_list)] = Field(min_length=1, description="paths, globs or URLs")
    tree: str | None = Field(None, description="where it differs from ntuples.tree")
    category: Name | None = Field(None, description="line of the tables that the sample counts in; its name by default")
    cut: str | None = Field(None, description="applied before the preselection, to this sample only")
    weight: str | None = Field(None, description="expression for the generator weight of a candidate")
    cross_section_nb: float | None = Field(None, gt=0, description="production cross section times branching fractions")
    generated_events: int | None = Field(None, gt=0, description="read from simulated files where left out")
    simulate: Simulate | None = None


class FeatureConfig(Params):
    """A registered feature, a branch (`column`), or a formula of branches and features (`expression`)."""

    name: str = Field(pattern=r"^[^\s\x00-\x1f]+$", max_length=128)
    column: str | None = None
    expression: str | None = None
    unit: str | None = None
    description: str | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> FeatureConfig:
        if self.column is not None and self.expression is not None:
            raise ValueError("give column or expression, not both")
        return self


FeatureEntry = Annotated[FeatureConfig, BeforeValidator(_as_feature)]


class ClassifierConfig(Params):
    """`backend` and, beside it, that backend's own parameters (checked against it when the config is loaded)."""

    model_config = ConfigDict(extra="allow", frozen=True)

    backend: str
    name: Name | None = Field(None, description="in tables and tracking; the backend's name by default")

    @property
    def label(self) -> str:
        return self.name or self.backend

    @property
    def parameters(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class Training(Params):
    folds: int = Field(5, ge=2, le=100)
    salt: str = Field("mlbkg", description="changes which events share a fold")
    validation_fraction: Fraction = Field(0.1, description="of the training folds' events, for early stopping")
    negative_weights: Literal["error", "absolute", "drop"] = "error"
    balance_classes: bool = Field(True, description="rescale training weights so that both classes have equal sums")
    classifiers: tuple[ClassifierConfig, ...] = Field((ClassifierConfig(backend="xgboost"),), min_length=1)
    champion: Literal["auc", "background_rejection"] = Field(
        "auc", description="out-of-fold figure of merit by which one classifier becomes model.onnx"
    )


class Punzi(Params):
    """Punzi's figure of merit, physics/0308063: significance `a` and confidence `b`, both in standard deviations."""

    a: float = Field(3.0, gt=0)
    b: float = Field(1.28155, gt=0, description="1.28155 is 90 %")


class WorkingPoint(Params):
    """Exactly one of the three."""

    score: Fraction | None = None
    signal_efficiency: Fraction | None = None
    punzi: Punzi | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> WorkingPoint:
        given = [key for key in ("score", "signal_efficiency", "punzi") if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of score, signal_efficiency, punzi; got {', '.join(given) or 'none'}")
        return self


class Evaluation(Params):
    signal_efficiency: Fraction = Field(0.849, description="where background rejection is quoted")
    bootstrap: int = Field(100, ge=10, description="bootstrap replicas, by event, behind every uncertainty")
    permutation_rows: int = Field(20000, ge=100, description="candidates used for permutation importance")


class Selection(Params):
    working_point: WorkingPoint = WorkingPoint(signal_efficiency=0.849)
    branches: Literal["all"] | tuple[str, ...] = Field("all", description="what a skim keeps beside score and fold")
    keep: Literal["selected", "all"] = Field("selected", description="`all` writes every candidate with its score")


class Tracking(Params):
    enabled: bool = True
    uri: str = Field("sqlite:///mlflow.db", description="any MLflow tracking URI")
    experiment: str | None = Field(None, description="the analysis' name by default")


class Config(Params):
    """One analysis, read top to bottom in the order of the work."""

    analysis: Name
    title: str = ""
    seed: int = Field(20190313, ge=0)
    luminosity_per_fb: float | None = Field(None, gt=0)
    ntuples: Ntuples = Ntuples()
    candidates: Candidates | None = None
    samples: tuple[SampleConfig, ...] = Field(min_length=1)
    preselection: tuple[str, ...] = ()
    features: tuple[FeatureEntry, ...] = Field(min_length=1)
    spectators: tuple[FeatureEntry, ...] = ()
    training: Training = Training()
    evaluation: Evaluation = Evaluation()
    selection: Selection = Selection()
    tracking: Tracking = Tracking()
