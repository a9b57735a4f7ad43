"""``mlbkg init``: write a config to start from."""

from __future__ import annotations

from pathlib import Path

from mlbkg.atomic import atomic_write
from mlbkg.config.template import commented_config
from mlbkg.errors import ConfigError


def init(path: Path, *, force: bool = False) -> Path:
    """Write a config to ``path``. Raises :class:`ConfigError` where there is one already, unless ``force``."""
    path = Path(path)
    if path.exists() and not force:
        raise ConfigError(
            f"{path} exists; nothing was written", where=str(path), hint=f"Overwrite it: mlbkg init {path} --force"
        )
    with atomic_write(path) as file:
        file.write(commented_config(path))
    return path
