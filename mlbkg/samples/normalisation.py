"""Physics weights from cross section, luminosity and the number of generated events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlbkg.errors import WeightError
from mlbkg.samples.weights import physics_weight


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
