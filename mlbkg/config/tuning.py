"""The section ``tuning``: what `mlbkg tune` looks for, where, and for how long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from mlbkg.config.classifier import ClassifierConfig
from mlbkg.config.statistics import Name
from mlbkg.registry import Params
from mlbkg.tuning.space import Choice, Range, Scalar, kind_of

Figure = Literal["auc", "background_rejection", "log_loss", "punzi", "expected_limit", "counting_limit", "cost", "sculpting"]


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


Figures = Annotated[tuple[Figure, ...], BeforeValidator(_as_list, json_schema_input_type=Figure | tuple[Figure, ...])]

Sought = Annotated[
    Annotated[Range, Tag("range")] | Annotated[Choice, Tag("choice")] | Annotated[Scalar, Tag("value")],
    Discriminator(
        kind_of,
        custom_error_type="not_sought",
        custom_error_message="a value, a range {low: 1, high: 8} or choices {choices: [a, b]}",
    ),
]


class Constraints(Params):
    """What a trial must keep to be chosen."""

    sculpting: float | None = Field(
        None, gt=0, lt=1, description="largest KS distance of any spectator's background shape at the working point"
    )
    cost_ns: float | None = Field(None, gt=0, description="largest cost of a prediction, ns per candidate")


class Tuning(Params):
    """A search for better hyper-parameters, by figures that are weighted and out of fold."""

    objective: Figures = Field(
        ("auc",),
        min_length=1,
        description="what is made better, one or several (the Pareto front is kept, the best by the first trained): auc, "
        "background_rejection, log_loss, punzi, expected_limit (by the fit), counting_limit, cost, sculpting",
    )
    trials: int = Field(50, ge=1, description="finished trials, pruned ones among them, after which a search ends")
    minutes: float | None = Field(None, gt=0, description="time after which a search ends; it can be resumed")
    backends: tuple[str, ...] = Field((), description="to search; those of training.classifiers by default")
    search: Mapping[str, Mapping[str, Sought]] = Field(
        {},
        description="backend -> parameter -> range, choices or fixed value instead of its search space's; "
        "null: the backend's default",
    )
    spaces: str | None = Field(
        None, description="folder with a search space <backend>.yaml for each; the shipped one by default"
    )
    folds: int = Field(3, ge=2, le=20, description="of a trial, within the events that are searched on")
    outer_folds: int = Field(4, ge=2, le=20, description="parts of the events; a search never sees the one that judges it")
    searches: int = Field(1, ge=1, le=20, description="how many of the parts are held out, each from a search of its own")
    prune: bool = Field(True, description="end trials early that fall behind; with several objectives none is")
    constraints: Constraints = Field(Constraints(), description="what a trial must keep to be chosen")
    compare: tuple[ClassifierConfig, ...] = Field(
        (), description="more classifiers to compare the winner with, on events that the search never saw"
    )
    study: Name | None = Field(None, description="name of the study; made of objective and data by default")
    storage: str | None = Field(
        None, description="journal file or database URL that several machines share; a journal beside the results by default"
    )
    warm_start: tuple[str, ...] = Field((), description="earlier studies of this analysis whose best trials are tried first")
