"""Commands that only show: what there is to use, and what is in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlbkg.cli.output import Answer, JsonOption, QuietOption, answers, finite


def add_to(app: typer.Typer) -> None:
    for command in (features, backends, couplings, branches, inspect):
        app.command(command.__name__)(answers(command))


def features(json_output: JsonOption = False, quiet: QuietOption = False) -> Answer:
    """List the features that mlbkg computes, with units and basf2 names."""
    from mlbkg.cli.show import features_text
    from mlbkg.stages.lists import list_features

    rows = list_features()
    return Answer({"features": rows}, features_text(rows))


def backends(json_output: JsonOption = False, quiet: QuietOption = False) -> Answer:
    """List the classifier backends and their parameters."""
    from mlbkg.cli.show import settings_text
    from mlbkg.stages.lists import list_backends

    rows = list_backends()
    return Answer({"backends": finite(rows)}, settings_text(rows))


def couplings(json_output: JsonOption = False, quiet: QuietOption = False) -> Answer:
    """List the couplings that a scan's limits on cross sections can become."""
    from mlbkg.cli.show import couplings_text
    from mlbkg.stages.lists import list_couplings

    rows = list_couplings()
    return Answer({"couplings": rows}, couplings_text(rows))


def branches(
    file: Annotated[str, typer.Argument(metavar="FILE", help="ROOT file, path or URL.")],
    tree: Annotated[str | None, typer.Option("--tree", help="The only tree by default.")] = None,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
) -> Answer:
    """List the trees of a ROOT file and the branches of one."""
    from mlbkg.cli.show import branches_text
    from mlbkg.stages.lists import list_branches

    listing = list_branches(file, tree=tree)
    return Answer(finite(listing), branches_text(listing))


def inspect(
    model: Annotated[Path, typer.Argument(metavar="MODEL.onnx")],
    json_output: JsonOption = False,
    quiet: QuietOption = False,
) -> Answer:
    """Say what is in an ONNX model: features, folds, working points, forest, checks."""
    from mlbkg.cli.show_model import inspect_text
    from mlbkg.stages.inspect import inspect as run

    found = run(model)
    return Answer(finite(found), inspect_text(found))
