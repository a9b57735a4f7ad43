"""More or fewer simulated events than a config says, beside those that are there."""

from __future__ import annotations

import math
from pathlib import Path, PurePosixPath

from mlbkg.config.schema import Config, SampleConfig
from mlbkg.errors import ConfigError

OPTION = "--scale"


def scaled(config: Config, scale: float, *, where: Path) -> Config:
    """``config`` with ``scale`` times the events of every simulated sample, at least one each.

    Their files lie in a folder ``x<scale>`` beside the config's own, ``data/x0.1/signal*.root`` for
    ``data/signal*.root``, so that samples of several sizes are kept apart. Weights follow by themselves: they are taken from
    the number of events that the files say. Raises :class:`ConfigError` for a factor that is no positive number, and where
    nothing is simulated.
    """
    if not (math.isfinite(scale) and scale > 0):
        raise ConfigError(f"{OPTION} must be a positive number; got {scale:g}", where=OPTION)
    if scale == 1:
        return config
    if all(sample.simulate is None for sample in config.samples):
        raise ConfigError(
            f"{OPTION} {scale:g} changes nothing: no sample of {where} has a section 'simulate'",
            where=OPTION,
            hint="Leave it out; the size of samples that are not simulated here is that of their files.",
        )
    return config.model_copy(update={"samples": tuple(_scaled(sample, scale) for sample in config.samples)})


def _scaled(sample: SampleConfig, scale: float) -> SampleConfig:
    if sample.simulate is None:
        return sample
    events = max(1, round(sample.simulate.events * scale))
    path = PurePosixPath(sample.files[0])
    return sample.model_copy(
        update={
            "files": (str(path.parent / f"x{scale:g}" / path.name),),
            "simulate": sample.simulate.model_copy(update={"events": events}),
        }
    )
