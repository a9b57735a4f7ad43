"""Physics weights from cross section, luminosity and the number of generated events, and how many there are of each mass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlbkg.errors import WeightError
from mlbkg.samples.hypotheses import Array, group_masses
from mlbkg.samples.weights import physics_weight

Hypothesis = tuple[float, ...]
"""Masses in GeV, one for each axis of a search."""


def generated_events(sample: str, *, stated: int | None, metadata: Sequence[tuple[str, Mapping[str, Any]]]) -> int:
    """Events generated for a sample: as stated in the config, else summed over what its files say of themselves.

    ``metadata``: pairs of file and its metadata. Raises :class:`WeightError` where neither tells.
    """
    if stated is not None:
        return stated
    silent = [path for path, told in metadata if "events" not in told]
    if silent:
        raise WeightError(
            f"{silent[0]} does not say how many events were generated, which the weights of sample '{sample}' need",
            where=sample,
            hint=f"Set samples[{sample}].generated_events in the config.",
        )
    return sum(int(told["events"]) for _, told in metadata)


def generated_per_hypothesis(
    sample: str,
    *,
    stated: int | None,
    metadata: Sequence[tuple[str, Mapping[str, Any]]],
    hypotheses: Array | None = None,
) -> dict[Hypothesis, float]:
    """Hypothesis -> events generated of it, summed over the files of a sample; all of them sum to :func:`generated_events`.

    Where a file does not say how many of which (its metadata ``generated``: ``[[mass, ..., events], ...]``), the sample's
    events are shared evenly among ``hypotheses`` ``(n, n_axes)``, those that were seen in it.
    Raises :class:`WeightError` where neither tells, and where files and ``hypotheses`` have not as many masses.
    """
    told = [row for _, about in metadata for row in about.get("generated", ())]
    if not told or any(not about.get("generated") for _, about in metadata):
        return _shared_evenly(sample, generated_events(sample, stated=stated, metadata=metadata), hypotheses)
    rows = np.array(told, dtype=np.float64)
    if hypotheses is not None and rows.shape[1] != hypotheses.shape[1] + 1:
        raise WeightError(
            f"the number of unknown masses in the files of sample '{sample}' is {rows.shape[1] - 1}, that in the search "
            f"{hypotheses.shape[1]}",
            where=sample,
            hint="Give scan.axes one axis for each mass that was simulated.",
        )
    masses, number = group_masses(rows[:, :-1])
    events = np.bincount(number, weights=rows[:, -1])
    if stated is not None:
        events *= stated / events.sum()
    return {tuple(map(float, mass)): float(n) for mass, n in zip(masses, events, strict=True)}


def summed_over_samples(parts: Sequence[Mapping[Hypothesis, float]]) -> dict[Hypothesis, float]:
    """Hypothesis -> events generated of it in all samples together, rising in mass."""
    masses, number = group_masses(np.array([mass for part in parts for mass in part], dtype=np.float64))
    events = np.bincount(number, weights=[n for part in parts for n in part.values()])
    return {tuple(map(float, mass)): float(n) for mass, n in zip(masses, events, strict=True)}


def sample_scale(
    sample: str,
    *,
    cross_section_nb: float | None,
    luminosity_per_fb: float | None,
    stated_events: int | None,
    metadata: Sequence[tuple[str, Mapping[str, Any]]],
) -> float:
    """What a generator weight is multiplied by: sigma * L / N generated, or 1 without a cross section."""
    if cross_section_nb is None:
        return 1.0
    if luminosity_per_fb is None:
        raise WeightError(f"sample '{sample}' has a cross section, but the config has no luminosity_per_fb", where=sample)
    n = generated_events(sample, stated=stated_events, metadata=metadata)
    return physics_weight(cross_section_nb, luminosity_per_fb, n)


def _shared_evenly(sample: str, events: int, hypotheses: Array | None) -> dict[Hypothesis, float]:
    if hypotheses is None or not len(hypotheses):
        raise WeightError(
            f"the files of sample '{sample}' do not say how many events of which mass were generated", where=sample
        )
    return {tuple(map(float, mass)): events / len(hypotheses) for mass in hypotheses}
