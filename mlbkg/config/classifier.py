"""One classifier of a config."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from mlbkg.config.statistics import Name
from mlbkg.registry import Params


class ClassifierConfig(Params):
    """`backend` and, beside it, that backend's own parameters (checked against it when the config is loaded)."""

    model_config = ConfigDict(extra="allow", frozen=True)

    backend: str = Field(description="xgboost, lightgbm, hist_gradient_boosting: see `mlbkg backends`")
    name: Name | None = Field(None, description="in tables and tracking; the backend's name by default")

    @property
    def label(self) -> str:
        return self.name or self.backend

    @property
    def parameters(self) -> dict[str, Any]:
        return dict(self.model_extra or {})
