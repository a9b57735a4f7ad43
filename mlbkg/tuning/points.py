"""Between what is tried and what the sampler knows of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlbkg.errors import MlbkgError
from mlbkg.tuning.records import AGAIN, START, recorded, start_of
from mlbkg.tuning.space import SearchSpace, as_fixed, suggest
from mlbkg.tuning.trial import Start

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import BaseTrial
    from optuna.trial import Trial as NativeTrial

BACKEND = "backend"


@dataclass(frozen=True)
class Point:
    """What is tried. ``start``: name of the start that it is; None where the sampler chose it."""

    backend: str
    parameters: Mapping[str, Any]
    start: str | None


@dataclass(frozen=True)
class Points:
    """spaces: by backend. The storage knows parameters of backend ``b`` as ``b.parameter``, so that spaces do not mix."""

    spaces: Mapping[str, SearchSpace]

    def enqueue(self, study: Study, start: Start, *, again: int | None = None) -> None:
        """Let it wait to be tried. again: number of the trial that came to nothing."""
        attributes: dict[str, Any] = {START: recorded(start)}
        if again is not None:
            attributes[AGAIN] = again
        study.enqueue_trial(self._in_space(start) or {}, user_attrs=attributes)

    def draw(self, trial: NativeTrial) -> Point:
        """What the trial is to try. Raises :class:`MlbkgError` where the study was begun with parameters of another kind.

        A start is tried as it is; the sampler learns from the nearest point of the space, where there is one: it would draw
        nonsense had it seen values outside its ranges.
        """
        start = start_of(trial.user_attrs)
        try:
            if start is None:
                return Point(*self._suggest(trial), None)
            if self._in_space(start):
                self._suggest(trial)
        except ValueError as error:
            raise MlbkgError(
                "the search space is not of the kind that this study was begun with",
                details=[str(error), "ranges may change from run to run; choices, and what is an integer, may not"],
                where="tuning.search",
                hint="Begin another study (tuning.study), which can take over the best of this one (tuning.warm_start).",
            ) from error
        return Point(start.backend, start.parameters, start.name)

    def _suggest(self, trial: BaseTrial) -> tuple[str, dict[str, Any]]:
        names = sorted(self.spaces)
        backend = str(trial.suggest_categorical(BACKEND, names)) if len(names) > 1 else names[0]
        return backend, suggest(self.spaces[backend], trial, prefix=f"{backend}.")

    def _in_space(self, start: Start) -> dict[str, Any] | None:
        """The nearest point of the space; None where there is no telling which that is."""
        from optuna.trial import FixedTrial

        space = self.spaces.get(start.backend)
        if space is None:
            return None
        try:
            fixed = {BACKEND: start.backend, **as_fixed(space, start.parameters, prefix=f"{start.backend}.")}
            self._suggest(FixedTrial(fixed))
        except ValueError:  # a value is none of the choices, or one that the backend refuses
            return None
        return fixed
