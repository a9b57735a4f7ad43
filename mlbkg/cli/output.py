"""How every command answers: tables for people on stdout, or one JSON object; all else on stderr."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from mlbkg.errors import MlbkgError

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, everything else on stderr.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no notes.")]
INTERRUPTED = 130


@dataclass(frozen=True)
class Answer:
    """What a command found: ``data`` for machines, ``text`` for people."""

    data: Mapping[str, Any]
    text: str


def answers(command: Callable[..., Answer]) -> Callable[..., None]:
    """Print the command's answer or its error in the form asked for, and exit as the error says."""

    @functools.wraps(command)
    def run(*args: Any, **options: Any) -> None:
        as_json = bool(options.get("json_output"))
        try:
            with _logging(quiet=bool(options.get("quiet"))):
                answer = command(*args, **options)
        except MlbkgError as error:
            fail(error.what, str(error), where=error.where, hint=error.hint, as_json=as_json)
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            fail("interrupted", "Interrupted; no half file is left.", where="", hint="", as_json=as_json)
            raise typer.Exit(INTERRUPTED) from None
        print(json.dumps(answer.data, indent=1, allow_nan=False, default=str) if as_json else answer.text)

    return run


def fail(what: str, text: str, *, where: str, hint: str, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"error": what, "where": where, "hint": hint, "message": text}, indent=1))
    print(text, file=sys.stderr)


@contextmanager
def _logging(*, quiet: bool) -> Iterator[None]:
    import logging

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    log = logging.getLogger("mlbkg")
    log.addHandler(handler)
    log.setLevel(logging.ERROR if quiet else logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)


def finite(value: Any) -> Any:
    """``value`` with NaN and infinities as None, so that any JSON reader takes it."""
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value
