"""What is in a model file, as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mlbkg.cli.show import folded, listing, table

_ANSWERS = {
    "logistic": "a probability of signal: 1 / (1 + exp(-margin))",
    "symmetric": "between -1 and 1: 2 / (1 + exp(-margin)) - 1",
    "identity": "the margin itself",
}
_MARKS = {True: "yes", False: "no", None: "-"}


def inspect_text(found: Mapping[str, Any]) -> str:
    about = found["metadata"]
    parts = ["\n".join(map(folded, _head(found)))]
    if about is None:
        parts.append("Not written by mlbkg: it does not name its features.")
    else:
        parts.append(_features(about))
        if found["raw_inputs"]:
            parts.append(_raw_inputs(found["raw_inputs"]))
        if about["working_points"]:
            parts.append(_working_points(about))
    parts.append(_checks(found))
    return "\n\n".join(parts)


def _head(found: Mapping[str, Any]) -> Iterator[str]:
    about = found["metadata"]
    yield found["model"]
    if about is not None:
        yield from _origin(about)
    yield f"{found['trees']:,} trees, {found['nodes']:,} nodes, at most {found['depth']} comparisons deep"
    yield f"{found['bytes']:,} bytes, sha256 {found['sha256'][:16]}…"
    if found["cost_ns"] is not None:
        yield f"about {found['cost_ns'] / 1e3:.2g} µs a candidate in ONNX Runtime, on one thread"
    yield f"in:  {_columns(found['inputs'])}"
    yield f"out: {_columns(found['outputs'])}"
    if about is not None:
        yield f"output is {_ANSWERS[about['output']]}"
    if found["selected_at"] is not None:
        yield f"selected is output >= {found['selected_at']:.6g}"


def _origin(about: Mapping[str, Any]) -> Iterator[str]:
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    if about["origin"]:
        yield f"imported from {about['origin']}, with {versions}"
        return
    yield f"{about['title']} ({about['analysis']})" if about["title"] else about["analysis"]
    yield f"trained: {about['backend']}, {about['n_folds']} folds by {', '.join(about['event_id'])} (salt '{about['salt']}')"
    yield f"on {', '.join(about['data_fingerprints'])}; signal is {100 * about['class_prior']:.3g} % of the training weights"
    yield f"with {versions}; config sha256 {about['config_sha256'][:16]}…"


def _columns(columns: list[Mapping[str, Any]]) -> str:
    shown = [f"{one['name']} {one['type']} {_shape(one['shape'])}" for one in columns[:6]]
    return ", ".join(shown) + (f", … {len(columns)} in all" if len(columns) > len(shown) else "")


def _shape(shape: list[int | None]) -> str:
    return f"[{', '.join('None' if size is None else str(size) for size in shape)}]"


def _features(about: Mapping[str, Any]) -> str:
    rows = [
        (i, entry["name"], entry["unit"], entry["basf2"] or entry["column"] or "")
        for i, entry in enumerate(about["features"], 1)
    ]
    return listing("Features, in the order of the input", ("", "name", "unit", "basf2"), rows)


def _raw_inputs(inputs: list[Mapping[str, Any]]) -> str:
    rows = [(one["name"], one["unit"], f"feature, needs {one['reason']}" if one["feature"] else "branch") for one in inputs]
    return listing("Inputs, by name, float32 [None, 1] each", ("name", "unit", "is"), rows)


def _working_points(about: Mapping[str, Any]) -> str:
    rows = [
        (
            point["name"],
            f"t({point['curve']['variable']})" if point["curve"] else f"{point['threshold']:.6g}",
            f"{100 * point['signal_efficiency']:.2f} %",
            f"{100 * point['background_efficiency']:.3g} %",
        )
        for point in about["working_points"]
    ]
    return table("Working points, out of fold", ("rule", "score >=", "signal kept", "background kept"), rows)


def _checks(found: Mapping[str, Any]) -> str:
    rows = [(check["name"], _MARKS[check["passed"]], check["finding"]) for check in found["checks"]]
    return listing("Checks", ("of", "", "finding"), rows)
