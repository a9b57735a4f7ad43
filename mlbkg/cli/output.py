"""How every command answers: tables for people on stdout, or one JSON object; all else on stderr."""

from __future__ import annotations

import ctypes
import functools
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from mlbkg.errors import MlbkgError

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, everything else on stderr.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no notes.")]
INTERRUPTED = 130
STDOUT, STDERR = 1, 2


@dataclass(frozen=True)
class Answer:
    """What a command found: ``data`` for machines, ``text`` for people; ``failure``: what part of the work failed."""

    data: Mapping[str, Any]
    text: str
    failure: MlbkgError | None = None


def answers(command: Callable[..., Answer]) -> Callable[..., None]:
    """Print the command's answer or its error in the form asked for, and exit as the error says."""

    @functools.wraps(command)
    def run(*args: Any, **options: Any) -> None:
        as_json = bool(options.get("json_output"))
        try:
            with _logging(quiet=bool(options.get("quiet"))), _stdout_kept_clean(as_json):
                answer = command(*args, **options)
        except MlbkgError as error:
            fail(error.what, str(error), where=error.where, hint=error.hint, as_json=as_json)
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            fail("interrupted", "Interrupted; no half file is left.", where="", hint="", as_json=as_json)
            raise typer.Exit(INTERRUPTED) from None
        except OSError as error:
            text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)
            fail(text, text, where=str(error.filename or ""), hint="", as_json=as_json)
            raise typer.Exit(1) from None
        except (typer.TyperException, typer.Exit, typer.Abort):
            raise
        except Exception as error:
            traceback.print_exc()
            text = f"unexpected {type(error).__name__}: {error}"
            fail(text, text, where="", hint="This is a fault of mlbkg: report it with the text above.", as_json=as_json)
            raise typer.Exit(1) from None
        if answer.failure is not None:
            _partly(answer, answer.failure, as_json=as_json)
            raise typer.Exit(answer.failure.exit_code)
        print(_json(answer.data) if as_json else answer.text, flush=True)

    return run


def fail(what: str, text: str, *, where: str, hint: str, as_json: bool) -> None:
    if as_json:
        print(_json({"error": what, "where": where, "hint": hint, "message": text}))
    print(text, file=sys.stderr)


def _partly(answer: Answer, failure: MlbkgError, *, as_json: bool) -> None:
    """What was done goes to stdout all the same, in one object with what was not."""
    if as_json:
        error = {"error": failure.what, "where": failure.where, "hint": failure.hint, "message": str(failure)}
        print(_json({**answer.data, **error}))
    else:
        print(answer.text)
    print(str(failure), file=sys.stderr)


def _json(data: Mapping[str, Any]) -> str:
    return json.dumps(data, indent=1, allow_nan=False, default=str)


@contextmanager
def _stdout_kept_clean(as_json: bool) -> Iterator[None]:
    """What libraries print meanwhile goes to stderr; those written in C print past ``sys.stdout``, to the descriptor."""
    if not as_json:
        yield
        return
    sys.stdout.flush()
    kept = os.dup(STDOUT)
    os.dup2(STDERR, STDOUT)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        if os.name == "posix":
            # C keeps what was printed in a buffer of its own, and would write it after the answer.
            ctypes.CDLL(None).fflush(None)
        os.dup2(kept, STDOUT)
        os.close(kept)


@contextmanager
def _logging(*, quiet: bool) -> Iterator[None]:
    import logging

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    log = logging.getLogger("mlbkg")
    level_before = log.level
    log.addHandler(handler)
    log.setLevel(logging.ERROR if quiet else logging.INFO)
    try:
        yield
    finally:
        log.setLevel(level_before)
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
