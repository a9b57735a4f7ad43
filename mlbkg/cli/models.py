"""Commands between model formats: ``import-…`` into ONNX, ``export`` out of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from mlbkg.cli.output import Answer, JsonOption, QuietOption, answers

PROGRAMS = {
    "fastbdt": "a FastBDT weight file, or the basf2 weightfile (XML or ROOT) around one",
    "tmva": "a TMVA BDT weight file (XML)",
    "xgboost": "an XGBoost model (JSON or UBJ)",
    "lightgbm": "a LightGBM model (text)",
}


def add_to(app: typer.Typer) -> None:
    for kind, described in PROGRAMS.items():
        app.command(f"import-{kind}", help=f"Write {described} as ONNX, checked against the numbers in the file.")(
            answers(_importer(kind))
        )
    app.command("export")(answers(export))


def _importer(kind: str) -> Callable[..., Answer]:
    def import_model(
        file: Annotated[Path, typer.Argument(metavar="FILE")],
        output: Annotated[Path, typer.Argument(metavar="OUT.onnx")],
        features: Annotated[
            Path | None,
            typer.Option("--features", help="Names of the features, one a line, in the order of the model's input."),
        ] = None,
        json_output: JsonOption = False,
        quiet: QuietOption = False,
    ) -> Answer:
        from mlbkg.cli.show import folded
        from mlbkg.stages.import_model import import_model as run

        result = run(kind, file, output, features=features)
        lines = [
            f"{result.model}: {result.program}, {result.trees:,} trees, {len(result.features)} features",
            f"largest difference from the original in {result.rows:,} rows: {result.max_difference:.2g}",
            f"Look at it: mlbkg inspect {result.model}",
        ]
        return Answer(result.to_json(), "\n".join(map(folded, lines)))

    return import_model


def export(
    model: Annotated[Path, typer.Argument(metavar="MODEL.onnx")],
    output: Annotated[Path, typer.Argument(metavar="FILE")],
    form: Annotated[
        str | None,
        typer.Option(
            "--form",
            help="c-header, xgboost-json, treelite, basf2, decision (ONNX that says whether a row is selected), raw-inputs "
            "(ONNX that computes the features); by default what FILE's suffix means.",
        ),
    ] = None,
    working_point: Annotated[
        str | None, typer.Option("--working-point", help="One of the model's, by name: mlbkg inspect MODEL.onnx")
    ] = None,
    score: Annotated[float | None, typer.Option("--score", help="Select at or above this score instead.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="What C functions are called; FILE's name by default.")] = None,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
) -> Answer:
    """Write a model in another form, for pipelines that need one."""
    from mlbkg.cli.show import folded
    from mlbkg.stages.export_model import export_model as run

    result = run(model, output, form=form, working_point=working_point, score=score, name=name)
    cut = "" if result.threshold is None else f", selecting at {result.threshold:.6g} and above"
    return Answer(result.to_json(), folded(f"{result.file}: {result.form} of {result.model}, {result.bytes:,} bytes{cut}"))
