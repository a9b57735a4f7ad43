"""``mlbkg significance``: how significant an excess of counts is, or would be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from mlbkg.errors import ConfigError
from mlbkg.limits.counting import not_negative, whole
from mlbkg.limits.significance import (
    asimov,
    asymptotic,
    li_ma,
    log_p_value_exact,
    log_p_value_of_z,
    p_value_of_z,
    z_bi,
    z_of_log_p_value,
)


@dataclass(frozen=True)
class Significance:
    """``z``: method -> standard deviations, one-sided. ``given``: what they were computed from."""

    z: dict[str, float]
    given: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        return {
            "significance": dict(self.z),
            "p_value": {name: p_value_of_z(z) for name, z in self.z.items()},
            "log10_p_value": {name: log_p_value_of_z(z) / math.log(10) for name, z in self.z.items()},
            **self.given,
        }


def significance(
    *,
    observed: float | None = None,
    signal: float | None = None,
    background: float | None = None,
    background_uncertainty: float = 0.0,
    off: float | None = None,
    tau: float | None = None,
) -> Significance:
    """Of a count, of an expected signal (``asimov``), or both, over a background that is known or was measured.

    background_uncertainty: relative. off, tau: counts where ``tau`` times as much background is expected, instead of
    ``background``. Raises :class:`ConfigError` where too little or too much is given, and for numbers that cannot be.
    """
    if observed is None and signal is None:
        raise ConfigError("give an observed count, a signal to expect, or both")
    counted = None if observed is None else whole(observed, "the observed count")
    asked = {"observed": counted, "signal": signal, "background": background, "off": off, "tau": tau}
    given = {name: value for name, value in asked.items() if value is not None}
    if background is not None and off is None and tau is None:
        z = _over_expected(counted, signal, background, background_uncertainty)
        return Significance(z, {**given, "background_uncertainty": background_uncertainty})
    if counted is None or off is None or tau is None or background is not None:
        raise ConfigError(
            "give the background that is expected, or for an observed count both off and tau; got "
            + (", ".join(given) or "nothing")
        )
    if signal is not None or background_uncertainty:
        raise ConfigError("off and tau measure the background: give no signal and no background uncertainty beside them")
    return Significance({"z_bi": z_bi(counted, off, tau), "li_ma": li_ma(counted, off, tau)}, given)


def _over_expected(
    observed: int | None, signal: float | None, background: float, background_uncertainty: float
) -> dict[str, float]:
    not_negative(background_uncertainty, "the background uncertainty")
    error = background_uncertainty * background
    z = {}
    if signal is not None:
        z["asimov"] = asimov(signal, background, background_error=error)
    if observed is not None:
        z["asymptotic"] = asymptotic(observed, background, background_error=error)
        if error == 0:
            z["exact"] = z_of_log_p_value(log_p_value_exact(observed, background))
        elif observed > 0:
            tau = background / error**2
            z["z_bi"] = z_bi(observed, tau * background, tau)
    return z
