"""The ``mlbkg`` program."""

from __future__ import annotations

import sys
from typing import Annotated

import click
import typer

from mlbkg.cli.analysis import add_to as add_analysis
from mlbkg.cli.look import add_to as add_look
from mlbkg.cli.output import fail

app = typer.Typer(
    name="mlbkg",
    help="Background rejection for rare-decay searches: ROOT ntuples to ONNX models, selections and limits.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
add_analysis(app)
add_look(app)


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
        code = app(standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message())
        code = 2
    except click.UsageError as error:
        usage = error.ctx.get_usage() if error.ctx else ""
        text = f"{error.format_message()}\n{usage}".rstrip()
        fail(error.format_message(), text, where="command line", hint=usage, as_json="--json" in sys.argv)
        code = 2
    except click.Abort:
        code = 130
    sys.exit(code if isinstance(code, int) else 0)
