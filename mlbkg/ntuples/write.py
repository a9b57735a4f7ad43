"""ROOT out: one TTree and its metadata per file, complete or absent."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

import numpy as np

from mlbkg.atomic import atomic_path
from mlbkg.errors import NtupleError
from mlbkg.ntuples.belle2_names import escape

METADATA_KEY = "mlbkg"

_OPTION = re.compile(r"\?|option\[")

ROWS_PER_BASKET = 50_000
"""Small baskets make a file slow to read, large ones make every chunk of a reader large: 0.2 MB per float32 branch."""


class AtomicRootWriter:
    """A context manager that writes ``tree`` of ``path``, and keeps nothing of it where the block fails.

    A jagged column ``track_px`` shares the counter ``n_track`` with the other jagged columns ``track_*`` where the flat
    columns hold ``n_track``; else it gets its own, ``n_track_px``. Names that ROOT cannot take are escaped as basf2 does.
    ``metadata`` (JSON) may be added to until the block ends.
    """

    def __init__(self, path: str | os.PathLike[str], *, tree: str, metadata: Mapping[str, Any] | None = None) -> None:
        if tree == METADATA_KEY:
            raise NtupleError(
                f"a tree cannot be called '{METADATA_KEY}': the metadata are stored under that name", where=tree
            )
        self.path = os.fspath(path)
        self.metadata = dict(metadata or {})
        self._tree_name = tree
        self._stack = ExitStack()
        self._file: Any = None
        self._tree: Any = None
        self._schema: dict[str, Any] = {}
        self._counters: dict[str, str] = {}
        self._buffer: list[dict[str, Any]] = []
        self._rows = 0

    def __enter__(self) -> Self:
        import uproot

        try:
            with ExitStack() as stack:
                temporary = stack.enter_context(atomic_path(self.path))
                self._file = stack.enter_context(uproot.recreate(temporary, compression=uproot.ZSTD(1)))
                self._stack = stack.pop_all()
        except OSError as error:
            raise self._cannot_write(error) from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None:
            self._stack.__exit__(kind, error, trace)
            return
        try:
            with self._stack:
                self._finish()
        except OSError as failure:
            raise self._cannot_write(failure) from failure

    def extend(self, columns: Mapping[str, Any]) -> None:
        """Append rows: flat numpy ``(n,)`` or awkward ``(n, var)`` columns.

        The first call fixes names and dtypes, also with no rows. Raises :class:`NtupleError` where a later one differs or a
        column is not made of numbers.
        """
        rows = {name: _regular(name, values) for name, values in columns.items()}
        lengths = {len(values) for values in rows.values()}
        if len(lengths) > 1:
            raise NtupleError(
                f"columns written to {self.path} have different lengths",
                details=[f"{name}: {len(values)} rows" for name, values in rows.items()],
                where=self.path,
            )
        if not rows:
            return
        written = self._escaped(rows)
        if not self._schema:
            self._fix_schema(written)
        self._buffer.append(self._conform(written))
        self._rows += lengths.pop()
        if self._rows >= ROWS_PER_BASKET:
            self._flush(everything=False)

    def _escaped(self, rows: dict[str, Any]) -> dict[str, Any]:
        written: dict[str, Any] = {}
        for name, values in rows.items():
            branch = escape(name)
            if not branch or branch in written:
                raise NtupleError(
                    f"column '{name}' cannot be written to {self.path}: as a branch it would be called '{branch}'"
                    + (", as another column is" if branch else ""),
                    where=name,
                )
            written[branch] = values
        return written

    def _fix_schema(self, rows: dict[str, Any]) -> None:
        import awkward as ak

        jagged = [name for name, values in rows.items() if values.ndim == 2]
        for name in jagged:
            self._counters[name] = next(
                (counter for counter in _possible_counters(name) if _counts(rows, counter, name)), f"n_{name}"
            )
        self._schema = {
            name: ak.flatten(values).layout.form.primitive if name in self._counters else values.dtype.name
            for name, values in rows.items()
        }
        counters = set(self._counters.values())
        self._tree = self._file.mktree(
            self._tree_name,
            {
                name: f"var * {dtype}" if name in self._counters else dtype
                for name, dtype in self._schema.items()
                if name not in counters
            },
            counter_name=lambda name: self._counters[name],
        )

    def _conform(self, rows: dict[str, Any]) -> dict[str, Any]:
        """``rows`` with the dtypes of the first ones, less the counters, which uproot writes itself."""
        import awkward as ak

        if rows.keys() != self._schema.keys():
            raise NtupleError(
                f"columns written to {self.path} changed",
                details=[
                    *(f"{name}: not in these rows" for name in self._schema if name not in rows),
                    *(f"{name}: not in the first rows" for name in rows if name not in self._schema),
                ],
                where=self.path,
            )
        conformed: dict[str, Any] = {}
        for name, values in rows.items():
            jagged = name in self._counters
            dtype = ak.flatten(values).layout.form.primitive if values.ndim == 2 else values.dtype.name
            if (values.ndim == 2) != jagged or not np.can_cast(dtype, self._schema[name], "same_kind"):
                raise NtupleError(
                    f"column '{name}' written to {self.path} changed its kind: first "
                    f"{_kind(self._schema[name], jagged)}, now {_kind(dtype, values.ndim == 2)}",
                    where=name,
                )
            counter = self._counters.get(name)
            if counter in rows and not np.array_equal(rows[counter], _lengths(values)):
                raise NtupleError(
                    f"column '{name}' written to {self.path} does not have '{counter}' values a row", where=name
                )
            conformed[name] = ak.values_astype(values, self._schema[name]) if jagged else values.astype(self._schema[name])
        counters = set(self._counters.values())
        return {name: values for name, values in conformed.items() if name not in counters}

    def _flush(self, *, everything: bool) -> None:
        """Write whole baskets, and the rest where ``everything`` is asked for."""
        if not self._buffer:
            return
        rows = {name: _joined([part[name] for part in self._buffer]) for name in self._buffer[0]}
        stop = self._rows if everything else self._rows - self._rows % ROWS_PER_BASKET
        for start in range(0, stop, ROWS_PER_BASKET):
            basket = {name: values[start : min(start + ROWS_PER_BASKET, stop)] for name, values in rows.items()}
            try:
                self._tree.extend(basket)
            except OSError as error:
                raise self._cannot_write(error) from error
        self._buffer = [{name: values[stop:] for name, values in rows.items()}] if stop < self._rows else []
        self._rows -= stop

    def _finish(self) -> None:
        if not self._schema:
            raise NtupleError(f"nothing was written to {self.path}: no columns were given", where=self.path)
        self._flush(everything=True)
        self._file[METADATA_KEY] = json.dumps(self.metadata, sort_keys=True)

    def _cannot_write(self, error: OSError) -> NtupleError:
        return NtupleError(f"cannot write {self.path}: {error.strerror or error}", where=self.path)


def _regular(name: str, values: Any) -> Any:
    """Flat values as numpy, jagged ones as awkward, both of a type that ROOT knows."""
    import awkward as ak

    if isinstance(values, ak.Array) and values.ndim == 1:
        values = _to_numpy(name, values)
    if isinstance(values, ak.Array):
        flat = ak.flatten(values, axis=None)
        if values.ndim != 2 or _OPTION.search(str(values.type)) or not _is_number(str(flat.type.content)):
            raise _not_numbers(name, str(values.type.content))
        return ak.from_regular(ak.values_astype(values, "float32") if str(flat.type.content) == "float16" else values)
    array = np.asarray(values)
    if array.ndim != 1 or not _is_number(array.dtype.name):
        raise _not_numbers(name, f"{array.dtype} of shape {array.shape}")
    return array.astype(np.float32) if array.dtype == np.float16 else array


def _to_numpy(name: str, values: Any) -> Any:
    import awkward as ak

    try:
        return ak.to_numpy(values, allow_missing=False)
    except ValueError as error:
        raise _not_numbers(name, str(values.type.content)) from error


def _not_numbers(name: str, seen: str) -> NtupleError:
    return NtupleError(f"column '{name}' cannot be written: one number or one list of numbers a row, got {seen}", where=name)


def _is_number(dtype: str) -> bool:
    return dtype == "bool" or (dtype.startswith(("int", "uint", "float")) and dtype != "float128")


def _possible_counters(name: str) -> list[str]:
    """``track_mc_pdg`` -> ``n_track_mc_pdg``, ``n_track_mc``, ``n_track``."""
    parts = name.split("_")
    return ["n_" + "_".join(parts[:stop]) for stop in range(len(parts), 0, -1)]


def _counts(rows: dict[str, Any], counter: str, name: str) -> bool:
    values = rows.get(counter)
    return isinstance(values, np.ndarray) and values.dtype.kind in "iu" and np.array_equal(values, _lengths(rows[name]))


def _lengths(values: Any) -> Any:
    import awkward as ak

    # As numpy: awkward's array_equal also compares dtypes.
    return ak.to_numpy(ak.num(values))


def _joined(parts: list[Any]) -> Any:
    import awkward as ak

    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if isinstance(parts[0], np.ndarray) else ak.concatenate(parts)


def _kind(dtype: str, jagged: bool) -> str:
    return f"lists of {dtype}" if jagged else dtype
