"""``mlbkg theory``: what the models predict, without a config."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlbkg.cli.output import Answer, JsonOption, QuietOption, answers, finite

MassOption = Annotated[float, typer.Option("--mass", metavar="M", help="Of Z′, in GeV.")]
EnergyOption = Annotated[float, typer.Option("--sqrt-s", metavar="E", help="Centre-of-mass energy in GeV.")]
CouplingOption = Annotated[float, typer.Option("--g-prime", metavar="G", help="Coupling of Z′ to muons.")]
PlotOption = Annotated[Path | None, typer.Option("--plot", metavar="FILE.png", help="Also draw it over all masses.")]


def add_to(app: typer.Typer) -> None:
    theory = typer.Typer(
        name="theory",
        help="Cross sections, widths and branching fractions of models.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    for command in (zprime, dark_higgs, g_minus_2):
        theory.command(command.__name__.replace("_", "-"))(answers(command))
    app.add_typer(theory)


def zprime(
    mass: MassOption,
    sqrt_s: EnergyOption = 10.58,
    g_prime: CouplingOption = 1.0,
    final_state: Annotated[str, typer.Option("--final-state", help="mumu or mue.")] = "mumu",
    isr: Annotated[bool, typer.Option("--isr", help="With photons that the beams radiate.")] = False,
    plot: PlotOption = None,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
) -> Answer:
    """e⁺e⁻ → μ⁺μ⁻Z′ at tree level with the muons' mass; widths and B(Z′ → invisible) of L_μ − L_τ."""
    from mlbkg.cli.theory_text import zprime_text
    from mlbkg.stages.theory import zprime as run

    found = run(mass=mass, sqrt_s=sqrt_s, g_prime=g_prime, final_state=final_state, radiation=isr, plot=plot)
    return Answer(finite(found.to_json()), zprime_text(found.to_json()))


def dark_higgs(
    mass_u: Annotated[float, typer.Option("--mass-u", metavar="M", help="Of the dark photon U, in GeV.")],
    mass_h: Annotated[float, typer.Option("--mass-h", metavar="M", help="Of the dark Higgs h′, in GeV.")],
    sqrt_s: EnergyOption = 10.58,
    plot: PlotOption = None,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
) -> Answer:
    """e⁺e⁻ → U h′ for α_D ε² = 1, and the branching fractions of U."""
    from mlbkg.cli.theory_text import dark_higgs_text
    from mlbkg.stages.theory import dark_higgs as run

    found = run(mass_u=mass_u, mass_h=mass_h, sqrt_s=sqrt_s, plot=plot)
    return Answer(finite(found.to_json()), dark_higgs_text(found.to_json()))


def g_minus_2(
    mass: MassOption,
    g_prime: CouplingOption = 1.0,
    sigmas: Annotated[float, typer.Option("--sigmas", metavar="N", help="Half width of the bands.")] = 2.0,
    plot: PlotOption = None,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
) -> Answer:
    """What Z′ adds to the muon's anomalous magnetic moment, and the couplings that measurements ask for."""
    from mlbkg.cli.theory_text import g_minus_2_text
    from mlbkg.stages.theory import g_minus_2 as run

    found = run(mass=mass, g_prime=g_prime, sigmas=sigmas, plot=plot)
    return Answer(finite(found.to_json()), g_minus_2_text(found.to_json()))
