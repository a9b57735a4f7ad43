"""CLs limits of a HistFactory workspace: pyhf's likelihood and fits, the asymptotic formulae of arXiv:1007.1727."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from mlbkg.errors import FitError, LimitError
from mlbkg.fitting.base import Array
from mlbkg.limits.asymptotic import cls, expected_cls
from mlbkg.limits.result import Limit
from mlbkg.limits.scan import N_SIGMA, PValues, alpha_of, band


def pyhf_limit(
    document: Mapping[str, Any],
    *,
    confidence_level: float,
    reference: float = 1.0,
    blind: bool = False,
    scan_range: tuple[float, float] | None = None,
) -> Limit:
    """Observed limit and expected band of a workspace, as :func:`mlbkg.limits.asymptotic.cls_asymptotic` defines them.

    reference: value of the parameter of interest that the workspace is written for; limits and ``scan_range`` have its unit.
    blind: whether the workspace's observations are no data, so that only the band means something. Raises
    :class:`LimitError` for a workspace that pyhf does not read, and where a limit lies beyond the parameter's bounds.
    """
    alpha = alpha_of(confidence_level)
    with _pyhf_backend():
        data = _Likelihood.read(document)
        background = data.asimov()

        def compute(value: float) -> list[float]:
            q_asimov = background.q_tilde(value / reference)
            seen = np.nan if blind else cls(data.q_tilde(value / reference), q_asimov)
            return [seen, *(expected_cls(q_asimov, n_sigma) for n_sigma in N_SIGMA)]

        p_values = PValues(
            compute,
            poi=data.poi,
            start=reference,
            ceiling=data.upper_bound * reference,
            ceiling_hint="Write the workspace for a larger reference, near the expected limit.",
        )
        limits = p_values.crossings(alpha, scan_range=scan_range)
    return Limit("pyhf", confidence_level, None if blind else float(limits[0]), band(limits[1:]))


@dataclass
class _Likelihood:
    """pyhf's -2 ln L of one data set; fits once made are kept."""

    model: Any
    data: Any
    _fits: dict[float | None, tuple[Array, float]] = field(default_factory=dict)

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> _Likelihood:
        import pyhf

        try:
            workspace = pyhf.Workspace(document)
            model = workspace.model()
            return cls(model, workspace.data(model))
        except (pyhf.exceptions.InvalidSpecification, pyhf.exceptions.InvalidModel, KeyError) as error:
            raise LimitError(
                f"pyhf does not read the workspace: {error}", hint="See its schema at https://pyhf.github.io."
            ) from error

    @property
    def poi(self) -> str:
        return str(self.model.config.poi_name)

    @property
    def upper_bound(self) -> float:
        return float(self.model.config.suggested_bounds()[self.model.config.poi_index][1])

    @cached_property
    def best_value(self) -> float:
        return float(self._fit(None)[0][self.model.config.poi_index])

    def q_tilde(self, value: float) -> float:
        """Eq. (16), arXiv:1007.1727; the parameter's own bound at 0 makes it q tilde."""
        return 0.0 if self.best_value > value else max(0.0, self._fit(value)[1] - self._fit(None)[1])

    def asimov(self) -> _Likelihood:
        """Of the set that is expected without signal, the other parameters at their best fit to the data."""
        theta = self._fit(0.0)[0]
        return _Likelihood(self.model, self.model.expected_data(theta))

    def _fit(self, value: float | None) -> tuple[Array, float]:
        import pyhf

        if value not in self._fits:
            mle, settings = pyhf.infer.mle, {"data": self.data, "pdf": self.model}
            try:
                if value is None:
                    fitted = mle.fit(**settings, return_fitted_val=True)
                elif self.model.config.npars > 1:
                    fitted = mle.fixed_poi_fit(value, **settings, return_fitted_val=True)
                else:
                    fitted = [value], mle.twice_nll([value], **settings)[0]
            except pyhf.exceptions.FailedMinimization as error:
                at = "" if value is None else f" at {self.poi} = {value:g} references"
                raise FitError(
                    f"pyhf's fit of the workspace did not converge{at}",
                    hint="Write it for a reference near the expected limit.",
                ) from error
            self._fits[value] = (np.asarray(fitted[0], dtype=np.float64), float(fitted[1]))
        return self._fits[value]


@contextmanager
def _pyhf_backend() -> Iterator[None]:
    """numpy and MINUIT in double precision; what the caller's own pyhf code had chosen is put back."""
    import pyhf

    before = pyhf.get_backend()
    pyhf.set_backend("numpy", "minuit", precision="64b")
    try:
        yield
    finally:
        pyhf.set_backend(*before)
