"""The figures of the stages ``fit`` and ``limit``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from mlbkg.config.schema import Config
from mlbkg.fitting.data import Binned, binned
from mlbkg.limits.result import Impact
from mlbkg.report.fit_figures import FitView, draw_fit, draw_likelihood_scan, draw_parameter_correlations
from mlbkg.report.limit_figures import draw_cls_scan, draw_impacts, draw_limit_summary
from mlbkg.report.limit_tables import LimitLine, Published
from mlbkg.report.quantity import Quantity
from mlbkg.report.style import Caption
from mlbkg.stages.fit_prepared import DATA, EXPECTED, SIDEBANDS, Extracted, Prepared

DATA_NAMES = {
    DATA: "data",
    EXPECTED: "expected data",
    SIDEBANDS: "expected data, scaled to the sidebands",
}


class LimitFigures(Protocol):
    """What of the limits is drawn beside the limits themselves."""

    @property
    def quantity(self) -> Quantity: ...
    @property
    def published(self) -> tuple[Published, ...]: ...
    @property
    def impacts(self) -> tuple[Impact, ...]: ...


def caption_of(config: Config) -> Caption:
    return Caption(config.title or config.analysis, config.luminosity_per_fb, origin=config.origin)


def draw_fit_stage(config: Config, prepared: Prepared, extracted: Extracted, folder: Path) -> tuple[Path, ...]:
    """Data and model, likelihood scan, correlations."""
    folder.mkdir(parents=True, exist_ok=True)
    caption = caption_of(config)
    data = prepared.data if isinstance(prepared.data, Binned) else binned(prepared.data, prepared.edges)
    view = FitView(
        variable=Quantity(extracted.variable, prepared.built.model.window.unit),
        model=prepared.built.model,
        result=extracted.result,
        data=data,
        data_name=DATA_NAMES[extracted.dataset],
        goodness=extracted.goodness,
        smooth=("background",),
    )
    drawn: dict[str, Callable[[Path], Path]] = {
        "fit": lambda path: draw_fit(view, path, caption=caption),
        "likelihood_scan": lambda path: draw_likelihood_scan(
            {DATA_NAMES[extracted.dataset]: extracted.scan}, Quantity("Signal candidates"), path, caption=caption
        ),
        "fit_correlations": lambda path: draw_parameter_correlations(extracted.result, path, caption=caption),
    }
    return tuple(draw(folder / f"{name}.png") for name, draw in drawn.items())


def draw_limit_stage(config: Config, lines: Sequence[LimitLine], found: LimitFigures, folder: Path) -> tuple[Path, ...]:
    """p values over the quantity by every method that scans, the summary beside published limits, the impacts."""
    folder.mkdir(parents=True, exist_ok=True)
    caption, quantity = caption_of(config), found.quantity
    drawn = [draw_limit_summary(lines, found.published, quantity, folder / "limit_summary.png", caption=caption)]
    if found.impacts:
        drawn.append(draw_impacts(found.impacts, quantity, folder / "impacts.png", caption=caption))
    first = {line.limit.method: line.limit for line in reversed(lines) if line.limit.scan is not None}
    for method, limit in first.items():
        drawn.append(draw_cls_scan(limit, quantity, folder / f"{method}_scan.png", caption=caption))
    return tuple(drawn)
