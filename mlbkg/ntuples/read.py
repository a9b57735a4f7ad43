"""Reading: what files hold, and chunks of their columns in memory that does not grow with the files."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlbkg.errors import NtupleError, nearest
from mlbkg.ntuples.belle2_names import escape, unescape
from mlbkg.ntuples.files import (
    BranchInfo,
    Ntuple,
    describe,
    describe_open,
    find,
    is_rntuple,
    metadata,
    opened,
    quiet,
    reason,
)

__all__ = [
    "BranchInfo",
    "Chunk",
    "Ntuple",
    "column_error",
    "describe",
    "find",
    "iterate",
    "metadata",
    "read_all",
    "require",
]

Source = str | os.PathLike[str] | Ntuple

CHUNK_BYTES = 32_000_000
"""Uncompressed size that a chunk aims at: large enough that uproot's cost per chunk vanishes, small beside any model."""

_NO_COLUMNS_ROWS = 1_000_000


@dataclass(frozen=True)
class Chunk:
    """Rows ``start`` to ``stop`` of the tree in ``path``.

    ``columns``: each name as it was asked for -> flat numpy ``(n_rows,)``, or awkward ``(n_rows, var)`` where it is jagged.
    """

    columns: Mapping[str, Any]
    path: str
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


def iterate(
    sources: Source | Iterable[Source],
    columns: Iterable[str] | Mapping[str, str],
    *,
    tree: str | None = None,
    scalars: Collection[str] = (),
    allow_empty: bool = False,
    rows_per_chunk: int | None = None,
    threads: int = 2,
) -> Iterator[Chunk]:
    """The ``columns`` of every source, file after file, in order.

    columns: names in either basf2 spelling; as a mapping, name -> who needs it, for the error.
    tree: for sources that are paths; see :func:`~mlbkg.ntuples.files.describe`.
    scalars: those of ``columns`` that must not be jagged.
    allow_empty: whether a tree without rows is passed over instead of being an error.
    rows_per_chunk: at most so many rows a chunk; by default what takes about 32 MB.
    threads: decompress so many baskets at a time.

    Raises :class:`NtupleError` when a file's turn comes; :func:`require` finds what is wrong with columns beforehand.
    """
    import uproot

    executor = uproot.ThreadPoolExecutor(threads) if threads > 1 else None
    try:
        for source in [sources] if isinstance(sources, str | os.PathLike | Ntuple) else sources:
            yield from _iterate_file(source, columns, tree, scalars, allow_empty, rows_per_chunk, executor)
    finally:
        if executor is not None:
            executor.shutdown()


def read_all(
    sources: Source | Iterable[Source],
    columns: Iterable[str] | Mapping[str, str],
    *,
    tree: str | None = None,
    scalars: Collection[str] = (),
    threads: int = 2,
) -> dict[str, Any]:
    """:func:`iterate`, joined: for what is known to fit into memory. Raises :class:`NtupleError`, also without any row."""
    import awkward as ak

    names = list(columns)
    parts: dict[str, list[Any]] = {name: [] for name in names}
    for chunk in iterate(sources, columns, tree=tree, scalars=scalars, threads=threads):
        for name in names:
            parts[name].append(chunk.columns[name])
    return {
        name: np.concatenate(values) if isinstance(values[0], np.ndarray) else ak.concatenate(values)
        for name, values in parts.items()
        if values
    }


def require(
    ntuple: Ntuple,
    columns: Iterable[str] | Mapping[str, str],
    *,
    scalars: Collection[str] = (),
    allow_empty: bool = False,
) -> list[str]:
    """One line per reason why ``columns`` cannot be read; no event is read. Arguments as in :func:`iterate`."""
    error = column_error(ntuple, columns, scalars=scalars, allow_empty=allow_empty)
    if error is None:
        return []
    return list(error.details) or [error.what]


def column_error(
    ntuple: Ntuple,
    columns: Iterable[str] | Mapping[str, str],
    *,
    scalars: Collection[str] = (),
    allow_empty: bool = False,
    context: str = "",
) -> NtupleError | None:
    """The error that :func:`iterate` would raise, or None. ``context`` ("sample 'qqbar'") is named beside the file."""
    where = f"tree '{ntuple.tree}' in {ntuple.path}" + (f" ({context})" if context else "")
    reasons = columns if isinstance(columns, Mapping) else dict.fromkeys(columns, "")
    unescaped = {unescape(branch): branch for branch in ntuple.branches}
    missing, jagged, other = {}, {}, {}
    for name, why in reasons.items():
        branch = ntuple.resolve(name)
        if branch is None:
            missing[name] = _joined(why, _spelling_hint(name, unescaped))
        elif ntuple.branches[branch].kind == "other":
            other[name] = _joined(why, f"holds {ntuple.branches[branch].dtype}")
        elif ntuple.branches[branch].kind == "jagged" and name in scalars:
            jagged[name] = _joined(why, f"holds a list of {ntuple.branches[branch].dtype} a row")
    groups = [
        (missing, f"missing from {where}"),
        (other, f"of {where} hold no numbers"),
        (jagged, f"of {where} are jagged where one number a row is needed"),
    ]
    wrong = [(lines, text) for lines, text in groups if lines]
    if not wrong and ntuple.entries == 0 and not allow_empty:
        return NtupleError(f"{where} is empty: it holds no rows", where=ntuple.path)
    if not wrong:
        return None
    if len(wrong) > 1:
        missing = {name: _joined("missing", line) for name, line in missing.items()}
    lines = {**missing, **other, **jagged}
    width = max(len(name) for name in lines)
    return NtupleError(
        _headline(len(lines), wrong[0][1] if len(wrong) == 1 else f"of {where} cannot be used"),
        details=[f"{name:<{width}}  {line}".rstrip() for name, line in lines.items()],
        where=ntuple.path,
        hint=f"List them: mlbkg branches {ntuple.path}",
    )


def _headline(count: int, text: str) -> str:
    if count > 1:
        return f"{count} branches {text}"
    return f"1 branch {text.replace(' hold no numbers', ' holds no numbers').replace(' are jagged', ' is jagged')}"


def _spelling_hint(name: str, unescaped: Mapping[str, str]) -> str:
    plain = unescape(name)
    near = nearest(plain, unescaped) or min(
        (n for n in unescaped if plain.casefold() in n.casefold()), key=len, default=None
    )
    return _joined(
        f"nearest: '{unescaped[near]}'" if near else "",
        f"also tried '{escape(name)}'" if escape(name) != name else "",
    )


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def _iterate_file(
    source: Source,
    columns: Iterable[str] | Mapping[str, str],
    tree: str | None,
    scalars: Collection[str],
    allow_empty: bool,
    rows_per_chunk: int | None,
    executor: Any,
) -> Iterator[Chunk]:
    path = source.path if isinstance(source, Ntuple) else os.fspath(source)
    with opened(path) as file:
        ntuple = source if isinstance(source, Ntuple) else describe_open(file, path, tree=tree)
        error = column_error(ntuple, columns, scalars=scalars, allow_empty=allow_empty)
        if error is not None:
            raise error
        names = {name: str(ntuple.resolve(name)) for name in columns}
        opened_tree = file[ntuple.tree]
        branches = dict.fromkeys(names.values())
        rows = _rows_per_chunk(opened_tree, ntuple, branches, rows_per_chunk)
        for start, arrays in _steps(opened_tree, ntuple, branches, rows, executor):
            stop = min(start + rows, ntuple.entries)
            yield Chunk({name: arrays[branch] for name, branch in names.items()}, path, start, stop)


def _steps(tree: Any, ntuple: Ntuple, branches: Collection[str], rows: int, executor: Any) -> Iterator[tuple[int, Any]]:
    """Pairs of first row and branch -> array. uproot keeps a basket that reaches into the next step, so that none is
    decompressed twice."""
    starts = range(0, ntuple.entries, rows)
    if not branches:
        yield from ((start, {}) for start in starts)
        return
    flat = all(ntuple.branches[branch].kind == "number" for branch in branches)
    options: dict[str, Any] = {"step_size": rows, "library": "np" if flat else "ak", "how": dict}
    if is_rntuple(tree):
        options.update(filter_name=list(branches), library="ak", how=None)
    else:
        options.update(filter_branch=_by_identity(tree, branches), decompression_executor=executor)
    steps = tree.iterate(**options)
    for start in starts:
        try:
            with quiet():
                arrays = next(steps)
        except Exception as error:
            raise _damaged(tree, ntuple, branches, start, min(start + rows, ntuple.entries), error) from error
        yield start, {branch: _native(arrays[branch], ntuple.branches[branch].kind) for branch in branches}


def _by_identity(tree: Any, branches: Collection[str]) -> Any:
    """uproot takes a name with ``*``, ``?`` or ``[`` for a pattern; a branch object is what it is."""
    wanted = {tree[name].cache_key for name in branches}
    return lambda branch: branch.cache_key in wanted


def _native(values: Any, kind: str) -> Any:
    import awkward as ak

    if kind == "number" and not isinstance(values, np.ndarray):
        return ak.to_numpy(values)
    return values


def _rows_per_chunk(tree: Any, ntuple: Ntuple, branches: Collection[str], asked: int | None) -> int:
    """Whole clusters (RNTuple) or baskets of the first branch (TTree) where they fit into the wanted size."""
    if asked is not None:
        return max(1, asked)
    if not branches or ntuple.entries == 0:
        return _NO_COLUMNS_ROWS
    if is_rntuple(tree):
        # Lists are taken to hold ten values: the sizes of pages are not worth reading for a target.
        size = sum(
            np.dtype(info.dtype).itemsize * (10 if info.kind == "jagged" else 1)
            for info in (ntuple.branches[branch] for branch in branches)
        )
        step = int(tree.cluster_summaries[0].num_entries)
    else:
        size = sum(tree[branch].uncompressed_bytes for branch in branches) / ntuple.entries
        offsets = tree[next(iter(branches))].entry_offsets
        step = int(offsets[1]) if len(offsets) > 1 else 0
    rows = max(1, int(CHUNK_BYTES / max(size, 1)))
    return rows // step * step if 0 < step <= rows else rows


def _damaged(tree: Any, ntuple: Ntuple, branches: Collection[str], start: int, stop: int, error: Exception) -> NtupleError:
    bad = [branch for branch in branches if not _readable(tree, branch, start, stop)]
    return NtupleError(
        f"{ntuple.path} is damaged: tree '{ntuple.tree}' cannot be read in rows {start} to {stop}",
        details=[*(f"branch '{branch}' fails" for branch in bad), reason(error)],
        where=ntuple.path,
        hint="Copy or make the file again",
    )


def _readable(tree: Any, branch: str, start: int, stop: int) -> bool:
    try:
        with quiet():
            tree[branch].array(entry_start=start, entry_stop=stop)
    except Exception:
        return False
    return True
