"""What a run tells the outside world, and the log that tells nobody."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self


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

    def onnx_model(self, path: Path, *, name: str, alias: str | None, description: str) -> None:
        """Log an ONNX file as a model with its signature; register it as ``name``, and move ``alias`` to it."""
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

    def onnx_model(self, path: Path, *, name: str, alias: str | None, description: str) -> None:
        pass
