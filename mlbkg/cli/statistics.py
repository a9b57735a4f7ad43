"""Commands of the statistics library: for numbers on the command line, without a config."""

from __future__ import annotations

from typing import Annotated

import typer

from mlbkg.cli.output import Answer, JsonOption, QuietOption, answers, finite

BackgroundUncertainty = Annotated[float, typer.Option(metavar="R", help="Relative: 0.2 for 20 %.")]


def add_to(app: typer.Typer) -> None:
    for command in (limit_counting, significance):
        app.command(command.__name__.replace("_", "-"))(answers(command))


def limit_counting(
    observed: Annotated[float, typer.Option(metavar="N", help="Counted events.")],
    background: Annotated[float, typer.Option(metavar="B", help="Expected background events.")],
    confidence_level: Annotated[float, typer.Option(metavar="C")] = 0.9,
    method: Annotated[
        str, typer.Option(help="bayesian, cls, feldman-cousins, clsb, profile, minos, cls-asymptotic, clsb-asymptotic.")
    ] = "bayesian",
    background_uncertainty: BackgroundUncertainty = 0.0,
    efficiency_uncertainty: Annotated[float, typer.Option(metavar="R", help="Relative: 0.1 for 10 %.")] = 0.0,
    expected: Annotated[bool, typer.Option("--expected", help="The band of limits without a signal as well.")] = False,
    toys: Annotated[int, typer.Option(min=0, help="So many toy experiments instead of integrals; cls and clsb.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Of the toys.")] = 0,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
) -> Answer:
    """Limit on the signal of a counting experiment, in expected events; uncertainties are log-normal."""
    from mlbkg.cli.statistics_text import limit_counting_text
    from mlbkg.stages.limit_counting import limit_counting as run

    result = run(
        observed,
        background,
        confidence_level=confidence_level,
        method=method,
        background_uncertainty=background_uncertainty,
        efficiency_uncertainty=efficiency_uncertainty,
        expected=expected,
        toys=toys,
        seed=seed,
    )
    return Answer(finite(result.to_json()), limit_counting_text(result.to_json()))


def significance(
    observed: Annotated[float | None, typer.Option(metavar="N", help="Counted events.")] = None,
    signal: Annotated[float | None, typer.Option(metavar="S", help="Signal events to expect (Asimov).")] = None,
    background: Annotated[float | None, typer.Option(metavar="B", help="Expected background events.")] = None,
    background_uncertainty: BackgroundUncertainty = 0.0,
    off: Annotated[float | None, typer.Option(metavar="N", help="Events counted where there is no signal.")] = None,
    tau: Annotated[float | None, typer.Option(metavar="T", help="Background there, over that of the search.")] = None,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
) -> Answer:
    """Significance of an excess of counts, or of one that is expected, in one-sided standard deviations."""
    from mlbkg.cli.statistics_text import significance_text
    from mlbkg.stages.significance import significance as run

    result = run(
        observed=observed,
        signal=signal,
        background=background,
        background_uncertainty=background_uncertainty,
        off=off,
        tau=tau,
    )
    return Answer(finite(result.to_json()), significance_text(result.to_json()))
