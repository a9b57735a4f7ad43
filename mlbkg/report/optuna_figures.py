"""Optuna's own plots as files: whoever knows them from elsewhere finds them here as they know them."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlbkg.atomic import atomic_path
from mlbkg.report.style import DPI

if TYPE_CHECKING:
    from matplotlib.figure import Figure

logger = logging.getLogger(__name__)

SMALLEST_WIDTH, HEIGHT = 9.0, 5.0
WIDTH_OF_PANEL = 3.4
MOST_ENTRIES = 12
"""Of a legend: Optuna's may name each trial."""


def draw_optuna_figures(plots: Mapping[str, Callable[[], Any]], folder: Path) -> tuple[Path, ...]:
    """``<name>.png`` for each of ``plots`` (:func:`mlbkg.tuning.plots.plots`).

    A plot that a study has too little for is left out, and the log says why. pyplot is left as it was found.
    """
    folder.mkdir(parents=True, exist_ok=True)
    drawn = (_drawn(name, plot, folder / f"{name}.png") for name, plot in plots.items())
    return tuple(path for path in drawn if path is not None)


def _drawn(name: str, plot: Callable[[], Any], path: Path) -> Path | None:
    with _pyplot_of_its_own():
        try:
            axes = np.atleast_1d(plot())
            if not any(each.has_data() for each in axes.flat):
                raise ValueError("it shows nothing")
            _write(axes.flat[0].figure, path, columns=axes.shape[-1])
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            logger.info("Optuna cannot draw '%s' of this study: %s", name, error)
            return None
    return path


def _write(figure: Figure, path: Path, *, columns: int) -> None:
    for axes in figure.axes:
        legend = axes.get_legend()
        if legend is not None and len(legend.get_texts()) > MOST_ENTRIES:
            legend.remove()
    figure.set_size_inches(max(SMALLEST_WIDTH, WIDTH_OF_PANEL * columns), HEIGHT)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=DPI, bbox_inches="tight", metadata={"Software": None})


@contextmanager
def _pyplot_of_its_own() -> Iterator[None]:
    """Whatever is drawn and set inside is gone afterwards; nothing is shown, nothing is warned of."""
    import matplotlib
    from matplotlib import pyplot

    backend, before = matplotlib.get_backend(auto_select=False), set(pyplot.get_fignums())
    pyplot.switch_backend("agg")
    talkative = logging.getLogger("optuna")
    level = talkative.level
    talkative.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), matplotlib.rc_context():
            warnings.simplefilter("ignore")
            yield
    finally:
        talkative.setLevel(level)
        for number in set(pyplot.get_fignums()) - before:
            pyplot.close(number)
        if backend is not None:
            pyplot.switch_backend(backend)
