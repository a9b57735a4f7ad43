"""The ``mlbkg`` program."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from mlbkg.cli.analysis import add_to as add_analysis
from mlbkg.cli.compare import add_to as add_compare
from mlbkg.cli.extraction import add_to as add_extraction
from mlbkg.cli.look import add_to as add_look
from mlbkg.cli.models import add_to as add_models
from mlbkg.cli.output import INTERRUPTED, fail
from mlbkg.cli.publish import add_to as add_publish
from mlbkg.cli.report import add_to as add_report
from mlbkg.cli.statistics import add_to as add_statistics
from mlbkg.cli.theory import add_to as add_theory
from mlbkg.cli.tracking import add_to as add_tracking
from mlbkg.cli.tuning import add_to as add_tuning

app = typer.Typer(
    name="mlbkg",
    help="Background rejection for rare-decay searches: ROOT ntuples to ONNX models, selections and limits.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
add_analysis(app)
add_extraction(app)
add_look(app)
add_statistics(app)
add_theory(app)
add_report(app)
add_tracking(app)
add_compare(app)
add_tuning(app)
add_publish(app)
add_models(app)


@app.callback(invoke_without_command=True)
def _program(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        from importlib.metadata import version as version_of

        print(f"mlbkg {version_of('mlbkg')}")
        raise typer.Exit


def main() -> None:
    """Entry point: exit 0 done, 1 the work failed, 2 the command line or config is wrong."""
    try:
        code = app(prog_name="mlbkg", standalone_mode=False)
    except typer.Abort:
        code = INTERRUPTED
    except typer.TyperException as error:
        code = _wrong_command_line(error)
    except BrokenPipeError:
        # Whoever read the answer (head, a pager) has seen enough; the interpreter would complain when it flushes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code if isinstance(code, int) else 0)


def _wrong_command_line(error: typer.TyperException) -> int:
    context = getattr(error, "ctx", None)
    usage = context.get_usage() if context else "Usage: mlbkg COMMAND; list the commands: mlbkg --help"
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    text = message if message.startswith("Usage") else f"{message}\n{usage}"
    fail(message, text, where="command line", hint=usage, as_json="--json" in sys.argv)
    return 2
