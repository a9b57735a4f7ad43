"""What the statistics commands print for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlbkg.cli.show import table


def limit_counting_text(found: Mapping[str, Any]) -> str:
    level = f"{100 * found['confidence_level']:.10g} %"
    upper = f"{found['upper_limit']:.5g}"
    if "toys" in found:
        upper += f" ± {found['upper_limit_error']:.2g} ({found['toys']} toys)"
    interval = f"[{found['lower_limit']:.5g}, {upper}]" if found["lower_limit"] > 0 else f"< {upper}"
    lines = [f"signal {interval} events at {level} confidence level ({found['method']})", _given(found)]
    if "expected" in found:
        band = found["expected"]
        lines.append(
            f"expected without signal: {band['median']:.5g}; 68 % between {band['minus_1sigma']:.5g} and "
            f"{band['plus_1sigma']:.5g}, 95 % between {band['minus_2sigma']:.5g} and {band['plus_2sigma']:.5g}"
        )
    return "\n".join(lines)


def _given(found: Mapping[str, Any]) -> str:
    def relative(name: str) -> str:
        return f" ± {100 * found[name]:.10g} %" if found[name] else ""

    efficiency = relative("efficiency_uncertainty")
    return f"observed {found['observed']:,}, background {found['background']:.10g}{relative('background_uncertainty')}" + (
        f", efficiency{efficiency}" if efficiency else ""
    )


METHODS = {
    "asimov": "expected (Asimov)",
    "asymptotic": "profile likelihood, asymptotic",
    "exact": "exact Poisson",
    "z_bi": "Z_Bi, binomial",
    "li_ma": "Li-Ma",
}


def significance_text(found: Mapping[str, Any]) -> str:
    rows = [
        (METHODS[name], "–" if z is None else f"{z:.4f}", _p_value(found["log10_p_value"][name]))
        for name, z in found["significance"].items()
    ]
    return table("Significance", ("method", "Z", "p value"), rows)


def _p_value(log10: float) -> str:
    exponent = int(log10 // 1)
    return f"{10**log10:.4g}" if log10 > -3 else f"{10 ** (log10 - exponent):.3f}e{exponent}"
