"""What a scan found, as the limits and the report read it back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.evaluation.estimates import to_plain
from mlbkg.limits.excesses import Excesses
from mlbkg.limits.hypotheses import Experiments
from mlbkg.stages.scan_inputs import Dataset

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Searched:
    """experiments.json. axes: names of the masses. samples, content: ``(n_samples, n)`` expected background by sample.

    sqrt_s: GeV, NaN where the config names no beams. excesses: None without data. cross_section_fb, cross_section_error_fb:
    ``(n,)`` best estimates of a signal of either sign, None without data. spurious: ``(n,)`` signal, in errors, that local
    fits find in the simulated background; None for counts.
    """

    dataset: Dataset
    axes: tuple[str, ...]
    sqrt_s: float
    luminosity_per_fb: float
    experiments: Experiments
    samples: tuple[str, ...]
    content: Array
    excesses: Excesses | None
    cross_section_fb: Array | None
    cross_section_error_fb: Array | None
    spurious: Array | None

    def masses(self, hypothesis: int) -> dict[str, float]:
        return dict(zip(self.axes, map(float, self.experiments.masses[hypothesis]), strict=True))

    def hypotheses(self) -> Iterator[dict[str, Any]]:
        """Each as JSON has it."""
        experiments, found = self.experiments, self.excesses
        background = experiments.background * experiments.background_uncertainty
        for i in range(len(experiments)):
            yield to_plain(
                {
                    **self.masses(i),
                    "low": experiments.low[i],
                    "high": experiments.high[i],
                    "efficiency": experiments.efficiency[i],
                    "efficiency_error": experiments.efficiency_error[i],
                    "signal_per_fb": experiments.signal_per_fb[i],
                    "background": experiments.background[i],
                    "background_statistical_error": experiments.background_error[i],
                    "background_error": background[i],
                    "background_by_sample": dict(zip(self.samples, self.content[:, i], strict=True)),
                    "observed": None if experiments.observed is None else experiments.observed[i],
                    "p_value": None if found is None else found.p_value[i],
                    "significance": None if found is None else found.z[i],
                    "cross_section_fb": None if self.cross_section_fb is None else self.cross_section_fb[i],
                    "cross_section_error_fb": (
                        None if self.cross_section_error_fb is None else self.cross_section_error_fb[i]
                    ),
                    "spurious_signal_sigma": None if self.spurious is None else self.spurious[i],
                }
            )

    def to_json(self) -> dict[str, Any]:
        found = self.excesses
        return {
            "dataset": self.dataset,
            "luminosity_per_fb": self.luminosity_per_fb,
            "hypotheses": list(self.hypotheses()),
            "largest_excess": None
            if found is None
            else to_plain(
                {
                    **self.masses(found.largest),
                    "p_value": found.p_value[found.largest],
                    "significance": found.z[found.largest],
                    "global_p_value": found.global_p,
                    "global_p_value_interval": [found.global_p_low, found.global_p_high],
                    "global_significance": found.global_z,
                    "global_p_value_gross_vitells": found.gross_vitells,
                    "toys": found.toys,
                }
            ),
            "excesses": None
            if found is None
            else {"above": found.above, "observed": found.observed_above, "expected": found.expected_above},
        }
