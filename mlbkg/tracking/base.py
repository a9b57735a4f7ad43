"""What a run tells the outside world, and the log that tells nobody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self


@dataclass(frozen=True)
class NestedRun:
    """A finished run within another. curves: metric -> its values at steps 0, 1, ... status: FINISHED, KILLED or FAILED.

    began, ended: seconds since 1970.
    """

    name: str
    parameters: Mapping[str, object]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    began: float
    ended: float
    status: str = "FINISHED"
    description: str = ""
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)


class RunLog(Protocol):
    """One run on a tracking server; a context manager. No method raises for a server that is down or slow."""

    @property
    def run_id(self) -> str | None:
        """The server's id of the run; None where nothing is tracked."""
        ...

    @property
    def failure(self) -> str | None:
        """Why tracking gave up; None while all is well."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def parameters(self, values: Mapping[str, object]) -> None: ...

    def metrics(self, values: Mapping[str, float], *, step: int | None = None) -> None: ...

    def tags(self, values: Mapping[str, str]) -> None: ...

    def dataset(self, name: str, *, fingerprint: str, source: str, rows: int) -> None: ...

    def artifact(self, path: Path, *, folder: str = "") -> None: ...

    def nested(self, run: NestedRun) -> None:
        """Log a run within this one, all of it at once; one whose name this run holds already is not logged again.

        Of a long curve, some steps are left out.
        """
        ...

    def onnx_model(
        self,
        path: Path,
        *,
        name: str,
        alias: str | None,
        description: str,
        tags: Mapping[str, str] | None = None,
        card: Path | None = None,
    ) -> None:
        """Log an ONNX file as a model with its signature; register it as ``name``, and move ``alias`` to it.

        ``description``: one line, of the registered model while this version holds the alias. ``tags``: of the version.
        ``card``: Markdown, kept beside the model; its text follows ``description`` in what describes the version.
        """
        ...


class NullLog:
    """Tracks nothing."""

    run_id: str | None = None
    failure: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass

    def parameters(self, values: Mapping[str, object]) -> None:
        pass

    def metrics(self, values: Mapping[str, float], *, step: int | None = None) -> None:
        pass

    def tags(self, values: Mapping[str, str]) -> None:
        pass

    def dataset(self, name: str, *, fingerprint: str, source: str, rows: int) -> None:
        pass

    def artifact(self, path: Path, *, folder: str = "") -> None:
        pass

    def nested(self, run: NestedRun) -> None:
        pass

    def onnx_model(
        self,
        path: Path,
        *,
        name: str,
        alias: str | None,
        description: str,
        tags: Mapping[str, str] | None = None,
        card: Path | None = None,
    ) -> None:
        pass
