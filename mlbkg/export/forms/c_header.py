"""A header of C and C++ that needs nothing but ``exp``: tables, and one function that walks through them.

The function adds what ONNX Runtime adds in one thread, in the same order and precision, and makes its answer of it by the
same steps. They need ``exp`` in float64, whose last bit decides on the float32 answer for less than one margin in a million.
Of all margins from 2**-60 on, glibc 2.36 and ONNX Runtime 1.32 on x86-64 agree on 1 / (1 + exp(-m)) for each, and on 2 p - 1
for each but 1.67e-16.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.export.forest import Forest, Output, refused
from mlbkg.export.forms.base import FORMS, Form, Request
from mlbkg.export.metadata import FeatureInfo
from mlbkg.export.node_order import preorder

_WIDTH = 120
_MAX_NODES = 2**24
_ANSWERS: dict[Output, str] = {
    "logistic": "(float)(1.0 / (1.0 + exp(-(double)margin)))",
    "symmetric": "(float)(2.0 * (1.0 / (1.0 + exp(-(double)margin))) - 1.0)",
    "identity": "margin",
}
_GUARDS = """\
#if defined(__FAST_MATH__)
#error "compile without -ffast-math: NaN and the order of sums matter"
#endif
#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD != 0
#error "float must be computed in 32 bits, on x86 with -mfpmath=sse -msse2"
#endif
"""
_LOOKUP = """\
/* A step function of one feature. */
static inline float {name}_step(int lookup, const float *x) {{
  const float value = x[{name}_step_feature[lookup]];
  int low = {name}_step_begin[lookup], high = {name}_step_begin[lookup + 1];
  if (value != value) return {name}_step_missing[lookup];
  while (low < high) {{
    const int middle = low + (high - low) / 2;
    if ({name}_step_edge[middle] <= value) low = middle + 1; else high = middle;
  }}
  return {name}_step_value[low + lookup];
}}

"""
_COLUMNS = """\
  float x[{NAME}_N_FEATURES + {n_lookups}];
  int i;
  for (i = 0; i < {NAME}_N_FEATURES; ++i) x[i] = row[i];
  for (i = 0; i < {n_lookups}; ++i) x[{NAME}_N_FEATURES + i] = {name}_step(i, row);
"""
_FOREST = """\
/* One comparison further down. A node is 4 * column + 2 where NaN goes left + 1 where it splits; the left child comes next,
   the right one `jump` nodes later. A leaf stays where it is. */
static inline int {name}_next(const float *x, int node) {{
  const float value = x[{name}_node[node].split >> 2];
  const int split = {name}_node[node].split, jump = {name}_node[node].jump;
  const int left = (value {op} {name}_node[node].threshold) | ((value != value) & (split >> 1));
  return node + (jump ^ ((jump ^ (split & 1)) & -left));
}}

/* The sum of the leaves that a row reaches in the trees begin to end - 1: eight trees at a time, added in their order. */
static inline float {name}_sum(const float *x, int begin, int end) {{
  {real} sum = 0;
  int tree = begin;
  for (; tree + 8 <= end; tree += 8) {{
    const int *root = {name}_root + tree;
    {starts}
    do {{
      {steps}
    }} while (({splits}) & 1);
    {sums}
  }}
  for (; tree < end; ++tree) {{
    int node = {name}_root[tree];
    while ({name}_node[node].split & 1) node = {name}_next(x, node);
    sum += {leaf};
  }}
  return (float)sum;
}}

/* The margin of one row x[{NAME}_N_FEATURES]. */
static inline float {name}_margin(const float *{row}) {{
{columns}  float margin = {name}_sum(x, {name}_fold[0], {name}_fold[1]);
{folds}  return margin / {n_folds}.0f;
}}

/* What the model answers for one row x[{NAME}_N_FEATURES]. */
static inline float {name}(const float *x) {{
  const float margin = {name}_margin(x);
  return {answer};
}}
"""
_DECISION = """
/* Whether the row is selected. */
static inline int {name}_selected(const float *x) {{ return {name}(x) >= {NAME}_THRESHOLD; }}
"""
_FOLDS = """\
  int fold;
  for (fold = 1; fold < {n_folds}; ++fold) margin += {name}_sum(x, {name}_fold[fold], {name}_fold[fold + 1]);
"""


def write(request: Request) -> bytes:
    """The header, with ``name(x)``, ``name_margin(x)`` and, with a threshold, ``name_selected(x)``.

    Raises :class:`mlbkg.errors.MlbkgError` for more nodes than a float counts.
    """
    forest = _joined(request.forests)
    names = {"name": request.name, "NAME": request.name.upper()}
    is_double = forest.precision == "float64"
    if is_double and forest.n_nodes > _MAX_NODES:
        raise refused(str(request.model.path), f"it has more than {_MAX_NODES:,} nodes, which a float cannot count")
    n_folds = len(request.forests)
    function = _FOREST.format(
        **names,
        real="double" if is_double else "float",
        op=forest.op,
        **_lockstep(request.name, is_double=is_double),
        row="row" if forest.lookups else "x",
        columns=_COLUMNS.format(**names, n_lookups=len(forest.lookups)) if forest.lookups else "",
        folds=_FOLDS.format(**names, n_folds=n_folds) if n_folds > 1 else "",
        n_folds=n_folds,
        answer=_ANSWERS[forest.output],
    )
    parts = [
        _about(request),
        f"#ifndef MLBKG_{names['NAME']}_H\n#define MLBKG_{names['NAME']}_H\n\n#include <float.h>\n#include <math.h>\n\n",
        _GUARDS,
        f"\n#define {names['NAME']}_N_FEATURES {forest.n_features}\n",
        *([] if request.threshold is None else [f"#define {names['NAME']}_THRESHOLD {_float(request.threshold)}\n"]),
        "\n",
        *_tables(forest, request.forests, request.name),
        _LOOKUP.format(**names) if forest.lookups else "",
        function,
        "" if request.threshold is None else _DECISION.format(**names),
        "\n#endif\n",
    ]
    return "".join(parts).encode()


def _joined(forests: Sequence[Forest]) -> Forest:
    """The trees of all folds one after the other, each from its root down with the left child next."""
    ordered = [preorder(forest) for forest in forests]
    n_lookups = np.cumsum([0, *(len(forest.lookups) for forest in ordered)])
    offsets = np.cumsum([0, *(forest.n_nodes for forest in ordered)])
    first, n_features = ordered[0], ordered[0].n_features
    features = [
        np.where(forest.feature < n_features, forest.feature, forest.feature + shift)
        for forest, shift in zip(ordered, n_lookups, strict=False)
    ]
    joined = {
        name: np.concatenate([getattr(forest, name) for forest in ordered])
        for name in ("threshold", "left", "right", "missing_left", "value")
    }
    return Forest(
        n_features=n_features,
        op=first.op,
        base_margin=0.0,
        precision=first.precision,
        tree_offset=np.concatenate(
            [[0], *(forest.tree_offset[1:] + at for forest, at in zip(ordered, offsets, strict=False))]
        ),
        feature=np.concatenate(features),
        **joined,
        lookups=tuple(lookup for forest in ordered for lookup in forest.lookups),
        output=first.output,
    )


def _lockstep(name: str, *, is_double: bool) -> dict[str, str]:
    """What is said once for each of eight trees."""
    leaf = f"{name}_leaf[(int){name}_node[node].threshold]" if is_double else f"{name}_node[node].threshold"
    nodes = [f"n{i}" for i in range(8)]
    return {
        "leaf": leaf,
        "starts": "int " + ", ".join(f"{node} = root[{i}]" for i, node in enumerate(nodes)) + ";",
        "steps": "\n      ".join(f"{node} = {name}_next(x, {node});" for node in nodes),
        "splits": " | ".join(f"{name}_node[{node}].split" for node in nodes),
        "sums": "\n    ".join(f"sum += {leaf.replace('[node]', f'[{node}]')};" for node in nodes),
    }


def _tables(forest: Forest, forests: Sequence[Forest], name: str) -> Iterator[str]:
    is_leaf = forest.feature < 0
    start = np.repeat(forest.tree_offset[:-1], np.diff(forest.tree_offset))
    split = np.where(is_leaf, 0, 4 * forest.feature.astype(np.int64) + 2 * forest.missing_left + 1)
    jump = np.where(is_leaf, 0, start + forest.right - np.arange(forest.n_nodes))
    is_double = forest.precision == "float64"
    at_leaf = np.cumsum(is_leaf) - 1 if is_double else forest.value
    cells = zip(_floats(np.where(is_leaf, at_leaf, forest.threshold)), split.tolist(), jump.tolist(), strict=True)
    kind = "unsigned short" if max(split.max(), jump.max()) < 2**16 else "int"
    yield _table("int", f"{name}_fold", map(str, np.cumsum([0, *(one.n_trees for one in forests)])))
    yield _table("int", f"{name}_root", map(str, forest.tree_offset[:-1]))
    nodes = (f"{{{threshold},{split},{jump}}}" for threshold, split, jump in cells)
    yield _table(f"struct {{\n  float threshold;\n  {kind} split, jump;\n}}", f"{name}_node", nodes)
    if is_double:
        yield _table("double", f"{name}_leaf", (f"{x:.17g}" for x in forest.value[is_leaf]))
    if forest.lookups:
        yield from _lookup_tables(forest, name)


def _lookup_tables(forest: Forest, name: str) -> Iterator[str]:
    lookups = forest.lookups
    yield _table("int", f"{name}_step_feature", (str(lookup.feature) for lookup in lookups))
    yield _table("int", f"{name}_step_begin", map(str, np.cumsum([0, *(len(lookup.edges) for lookup in lookups)])))
    edges = np.concatenate([*(lookup.edges for lookup in lookups), np.zeros(1)])
    yield _table("float", f"{name}_step_edge", _floats(edges))
    yield _table("float", f"{name}_step_value", _floats(np.concatenate([lookup.values for lookup in lookups])))
    yield _table("float", f"{name}_step_missing", _floats(np.array([lookup.missing for lookup in lookups])))


def _table(kind: str, name: str, entries: Iterable[str]) -> str:
    body = textwrap.fill(", ".join(entries), _WIDTH, initial_indent="  ", subsequent_indent="  ", break_long_words=False)
    return f"static const {kind} {name}[] = {{\n{body}}};\n\n"


def _floats(values: NDArray[Any]) -> Iterator[str]:
    return map(_float, values.tolist())


def _float(value: float) -> str:
    """The float32 nearest to ``value``: nine digits are enough to find it again."""
    single = np.float32(value)
    if not np.isfinite(single):
        return "NAN" if np.isnan(single) else f"{'-' if single < 0 else ''}INFINITY"
    digits = f"{single:.9g}"
    return digits + ("f" if "." in digits or "e" in digits else ".0f")


def _about(request: Request) -> str:
    """Everything that a file says of itself must not end the comment."""
    model, metadata = request.model, request.model.metadata
    features: Sequence[FeatureInfo] = metadata.features if metadata else ()
    names = [f"{i:4d}  {feature.name}{f' [{feature.unit}]' if feature.unit else ''}" for i, feature in enumerate(features)]
    lines = [
        f"{request.name}(x): the answer of {metadata.title or metadata.analysis if metadata else model.path.name}",
        f"sha256 of the ONNX model: {model.sha256}",
        "",
        "Compile as C99 or C++11, without -ffast-math: cc -O2 -std=c99 program.c -lm",
        "Its answers are those of the model in ONNX Runtime in one thread, bit by bit; NaN is a missing value.",
        *(["", "x, in this order:", *names] if names else []),
    ]
    text = "\n".join(f"   {line}".rstrip() for line in lines)
    return "/*" + text.replace("*/", "* /").replace("/*", "/ *")[2:] + "\n*/\n\n"


FORMS.add("c-header", Form("c-header", ".h", "C and C++ header without dependencies, one function", write))
