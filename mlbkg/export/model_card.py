"""``card.md``: what a person should know before using a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlbkg.evaluation.threshold_curve import ThresholdCurve
from mlbkg.export.metadata import ModelMetadata, WorkingPointInfo
from mlbkg.export.parity import ParityReport


@dataclass(frozen=True)
class CardText:
    """training: what was trained on and how it was weighted. performance: figure of merit -> value with its uncertainty, out
    of fold. limits: sentences on when the model should not be trusted."""

    training: Mapping[str, str]
    performance: Mapping[str, str]
    limits: Sequence[str]


def model_card(metadata: ModelMetadata, text: CardText, *, parity: ParityReport, trees: int, depth: int) -> str:
    """The card as Markdown; equal inputs give equal text."""
    title = metadata.title or metadata.analysis
    sections = [
        f"# {title}\n\nBackground rejection for analysis `{metadata.analysis}`: {metadata.n_folds} forests of boosted trees "
        f"(`{metadata.backend}`), {trees} trees in all, at most {depth} comparisons deep.\n\n"
        "- `model.onnx`: the mean of the forests' log-odds. For data, and for events that were not trained on.\n"
        "- `folds.onnx`: takes the event's fold too, and answers with the one forest that did not see it. For the events "
        "of the training samples.",
        _section("Load it", _five_lines(metadata)),
        _section("Features", _features(metadata)),
        _section("Training data", _training(metadata, text)),
        _section("Performance", _table(("figure", "value"), list(text.performance.items()))),
        _section("Working points", _working_points(metadata)),
        _section("Checks", _checks(parity)),
        _section("Limits of use", _limits(metadata, text)),
        _section("Made with", _table(("package", "version"), list(metadata.versions.items()))),
    ]
    return "\n\n".join(sections) + "\n"


def _five_lines(metadata: ModelMetadata) -> str:
    return f"""```python
import numpy as np, onnxruntime
session = onnxruntime.InferenceSession("model.onnx")
X = np.zeros((1, {len(metadata.features)}), dtype=np.float32)  # one row per candidate, columns in the order below
score, margin = session.run(["output", "margin"], {{"input": X}})
print(score[:, 0])
```

Where scores saturate near 0 or 1, `margin` (log-odds) still orders the candidates. In basf2, give `model.onnx` to the ONNX
method with the variables below in their order."""


def _features(metadata: ModelMetadata) -> str:
    rows = [
        (str(i + 1), f"`{feature.name}`", feature.unit, _code(feature.basf2), feature.description)
        for i, feature in enumerate(metadata.features)
    ]
    table = _table(("column", "feature", "unit", "basf2", "meaning"), rows)
    return f"{table}\n\nNaN is a value like any other: the candidate does not have the feature."


def _training(metadata: ModelMetadata, text: CardText) -> str:
    described = _table(("", ""), list(text.training.items()))
    fingerprints = _table(
        ("sample", "sha256 of its candidates"), [(k, _code(v)) for k, v in metadata.data_fingerprints.items()]
    )
    return (
        f"{described}\n\nThe output is the probability of signal at a signal share of {metadata.class_prior:.4g}, that of "
        f"the training weights.\n\n{fingerprints}\n\nsha256 of the config: `{metadata.config_sha256}`"
    )


def _working_points(metadata: ModelMetadata) -> str:
    rows = [
        (point.name, _threshold(point), f"{point.signal_efficiency:.4g}", f"{point.background_efficiency:.4g}")
        for point in metadata.working_points
    ]
    table = _table(("name", "output at least", "signal efficiency", "background efficiency"), rows)
    curves = [point.curve for point in metadata.working_points if point.curve is not None]
    return "\n\n".join([table, *map(_curve, curves)])


def _threshold(point: WorkingPointInfo) -> str:
    return f"t({point.curve.variable})" if point.curve else f"{point.threshold:.6g}"


def _curve(curve: ThresholdCurve) -> str:
    rows = [(f"{at:.6g}", f"{threshold:.6g}") for at, threshold in zip(curve.at, curve.threshold, strict=True)]
    name = curve.variable
    return f"t({name}) is straight between these, and constant beyond:\n\n{_table((name, f't({name})'), rows)}"


def _checks(parity: ParityReport) -> str:
    return (
        f"The trained classifiers and the ONNX files were compared on {parity.rows} rows, {parity.adversarial_rows} of them "
        f"adversarial: of {parity.paths_checked} decision paths, {parity.different_paths} differ. {parity.splits_probed} of "
        f"{parity.splits} splits were decided at their threshold and by NaN; {parity.leaves_reached} of {parity.leaves} "
        f"leaves were reached. Largest difference: {parity.max_abs_dp:.1e} in probability, {parity.max_abs_dmargin:.1e} in "
        "margin."
    )


def _limits(metadata: ModelMetadata, text: CardText) -> str:
    own = (
        "It knows the training samples and no more: where data and simulation differ, measure efficiencies in data.",
        f"The fold of an event follows from {', '.join(map(_code, metadata.event_id))} and the salt `{metadata.salt}`. "
        "Compute it the same way, or use `model.onnx` on events that were not trained on.",
        "The probability refers to the class shares above, not to those in data.",
    )
    return "\n".join(f"- {line}" for line in (*text.limits, *own))


def _section(title: str, body: str) -> str:
    return f"## {title}\n\n{body}"


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return "Not given."
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
