"""Finding ROOT files and saying what is in them, without reading events."""

from __future__ import annotations

import glob
import json
import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mlbkg.errors import NtupleError, did_you_mean, nearest
from mlbkg.ntuples.belle2_names import resolve
from mlbkg.ntuples.write import METADATA_KEY

Kind = Literal["number", "jagged", "other"]

log = logging.getLogger(__name__)

_TREES = ("TTree", "TNtuple", "TNtupleD", "ROOT::RNTuple", "ROOT::Experimental::RNTuple")


@dataclass(frozen=True)
class BranchInfo:
    """``number``: one a row; ``jagged``: a list of numbers a row; ``other``: anything else (``dtype`` is its C++ type)."""

    kind: Kind
    dtype: str


@dataclass(frozen=True)
class Ntuple:
    """A tree in a file. ``trees`` are all trees of the file, ``entries`` the rows of this one."""

    path: str
    tree: str
    trees: tuple[str, ...]
    entries: int
    branches: Mapping[str, BranchInfo]

    def resolve(self, name: str) -> str | None:
        """The branch that ``name`` means (either basf2 spelling), or None."""
        return resolve(name, self.branches)


def find(patterns: Sequence[str]) -> list[str]:
    """The files that paths, globs and URLs name, sorted, each once.

    URLs go through fsspec (``https://``, ``root://`` with the ``fsspec-xrootd`` package, ``memory://``, ...). Raises
    :class:`NtupleError` that lists every pattern without a file.
    """
    found: dict[str, str] = {}
    problems = []
    for pattern in patterns:
        matches = _find_remote(pattern) if is_url(pattern) else _find_local(pattern)
        for path in matches:
            found.setdefault(path if is_url(path) else os.path.realpath(path), path)
        if not matches:
            problems.append((pattern, _nothing(pattern)))
    if len(problems) == 1:
        pattern, text = problems[0]
        raise NtupleError(text, where=pattern)
    if problems:
        raise NtupleError(
            f"{len(problems)} of {len(patterns)} file patterns name no file", details=[text for _, text in problems]
        )
    return sorted(found.values())


def describe(path: str | os.PathLike[str], *, tree: str | None = None) -> Ntuple:
    """What ``tree`` of the file holds; left out, the file's only tree. Raises :class:`NtupleError`."""
    with opened(path) as file:
        return describe_open(file, os.fspath(path), tree=tree)


def metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What :class:`~mlbkg.ntuples.write.AtomicRootWriter` stored beside the tree; empty for files of other programs."""
    name = os.fspath(path)
    with opened(name) as file:
        if METADATA_KEY not in file or file.classname_of(METADATA_KEY) != "TObjString":
            return {}
        text = str(file[METADATA_KEY])
    try:
        stored = json.loads(text)
    except ValueError as error:
        raise _unreadable(name, error, what=f"the metadata in {name} are not JSON") from error
    return dict(stored)


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[Any]:
    """The open uproot directory. Raises :class:`NtupleError` for a file that is missing, not ROOT, or truncated."""
    import uproot

    name = os.fspath(path)
    if not is_url(name):
        _check_local(name)
    try:
        with quiet():
            # A dict keeps uproot from taking what follows a colon for the name of an object.
            file = uproot.open({_seekable(name): None})
    except Exception as error:
        raise _cannot_open(name, error) from error
    with file:
        _check_length(file, name)
        yield file


@contextmanager
def quiet() -> Iterator[None]:
    """uproot and fsspec announce their own deprecations to our users otherwise."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def describe_open(file: Any, path: str, *, tree: str | None) -> Ntuple:
    """:func:`describe` for a file that is open."""
    with quiet():
        trees = tuple(sorted(name for name, kind in file.classnames(cycle=False).items() if kind in _TREES))
    name = _choose_tree(path, trees, tree)
    try:
        with quiet():
            opened_tree = file[name]
            branches = _rntuple_branches(opened_tree) if is_rntuple(opened_tree) else _ttree_branches(opened_tree)
            entries = int(opened_tree.num_entries)
    except Exception as error:
        raise _unreadable(path, error, what=f"tree '{name}' in {path} cannot be read") from error
    return Ntuple(path=path, tree=name, trees=trees, entries=entries, branches=branches)


def reason(error: BaseException) -> str:
    """Kind and first line of what another library raised; uproot's messages go on for a screen."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0].rstrip(' ,:')}" if lines else type(error).__name__


def is_rntuple(tree: Any) -> bool:
    return hasattr(tree, "cluster_summaries")


def is_url(path: str) -> bool:
    return "://" in path


def _find_local(pattern: str) -> list[str]:
    expanded = os.path.normpath(os.path.expanduser(pattern))
    if os.path.isfile(expanded):
        return [expanded]
    return [path for path in glob.glob(expanded, recursive=True) if os.path.isfile(path)]


def _find_remote(pattern: str) -> list[str]:
    import fsspec

    try:
        with quiet():
            system, path = fsspec.core.url_to_fs(pattern)
            if glob.has_magic(path):
                return [str(system.unstrip_protocol(found)) for found in system.glob(path)]
            system.info(path)
            return [pattern]
    except (ImportError, ValueError, OSError) as error:
        if _is_absent(error):
            return []
        raise _cannot_open(pattern, error) from error


def _nothing(pattern: str) -> str:
    what = f"no file matches '{pattern}'" if glob.has_magic(pattern) else f"no such file: '{pattern}'"
    if is_url(pattern):
        return what
    path = Path(os.path.expanduser(pattern))
    if path.is_dir():
        return f"'{pattern}' is a folder, not a file; write '{path / '*.root'}'"
    folder = path.parent
    while not folder.is_dir() and not glob.has_magic(str(folder)) and folder != folder.parent:
        folder = folder.parent
    if folder != path.parent:
        return f"{what}; there is no folder '{path.parent}'"
    near = nearest(path.name, sorted(os.listdir(folder)))
    return what + (f"; did you mean '{path.with_name(near)}'?" if near else "")


def _check_local(path: str) -> None:
    if not os.path.isfile(path):
        raise NtupleError(_nothing(path), where=path)
    if os.path.getsize(path) == 0:
        raise NtupleError(f"{path} is empty (0 bytes), not a ROOT file", where=path)
    try:
        with open(path, "rb") as file:
            start = file.read(4)
    except OSError as error:
        raise NtupleError(f"cannot read {path}: {error.strerror}", where=path) from error
    if start != b"root":
        raise NtupleError(f"{path} is not a ROOT file: it starts with {start!r}", where=path)


def _check_length(file: Any, path: str) -> None:
    """A file cut short may still open, and would fail only at the first basket that is gone."""
    expected, actual = file.file.fEND, file.file.source.num_bytes
    if actual is not None and actual < expected:
        raise NtupleError(
            f"{path} is truncated: {actual} of {expected} bytes are there",
            where=path,
            hint="Copy or make the file again",
        )


def _seekable(path: str) -> str:
    """A web server that only sends whole files cannot be read in parts: such a file is fetched first."""
    if not path.startswith(("http://", "https://")):
        return path
    import fsspec

    system, location = fsspec.core.url_to_fs(path)
    if system.info(location).get("partial"):
        return path
    log.info("%s: the server cannot send parts of it; fetching all of it", path)
    return str(fsspec.open_local(f"simplecache::{path}"))


def _cannot_open(path: str, error: Exception) -> NtupleError:
    if not is_url(path) or "not a ROOT file" in str(error):
        return _unreadable(path, error)
    if _is_absent(error):
        return NtupleError(f"no such file: '{path}'", where=path)
    xrootd = isinstance(error, ImportError) and path.startswith("root:")
    hint = "Install it: pip install fsspec-xrootd xrootd" if xrootd else ""
    return NtupleError(f"cannot open {path}", details=[reason(error.__cause__ or error)], where=path, hint=hint)


def _is_absent(error: Exception) -> bool:
    """fsspec calls a server that does not answer a missing file, too; the cause tells."""
    return isinstance(error, FileNotFoundError) and not isinstance(error.__cause__, OSError)


def _unreadable(path: str, error: Exception, *, what: str = "") -> NtupleError:
    return NtupleError(
        what or f"{path} cannot be read as a ROOT file; it may be truncated or damaged",
        details=[reason(error)],
        where=path,
        hint="Copy or make the file again",
    )


def _choose_tree(path: str, trees: tuple[str, ...], tree: str | None) -> str:
    if tree is not None:
        name = tree.split(";")[0]
        if name in trees:
            return name
        what = f"no tree '{name}' in {path}{did_you_mean(name, trees)}"
    elif len(trees) == 1:
        return trees[0]
    else:
        what = f"{path} holds {len(trees)} trees: which one?"
    there = f"Trees in the file: {', '.join(trees)}" if trees else "The file holds no trees"
    raise NtupleError(what if trees or tree else f"{path} holds no tree", where=path, hint=there if trees or tree else "")


def _ttree_branches(tree: Any) -> dict[str, BranchInfo]:
    from uproot.interpretation.jagged import AsJagged
    from uproot.interpretation.numerical import Numerical

    branches = {}
    for name, branch in tree.iteritems(recursive=True, full_paths=False):
        interpretation = branch.interpretation
        jagged = isinstance(interpretation, AsJagged)
        content = interpretation.content if jagged else interpretation
        dtype = getattr(content, "to_dtype", None)
        if not isinstance(content, Numerical) or dtype is None or dtype.base.kind not in "biuf":
            branches[name] = BranchInfo("other", str(branch.typename))
        else:
            branches[name] = BranchInfo("jagged" if jagged or dtype.shape else "number", dtype.base.name)
    return branches


def _rntuple_branches(tree: Any) -> dict[str, BranchInfo]:
    form, _ = tree.to_akform()
    return {name: _form_info(content, tree[name].typename) for name, content in zip(form.fields, form.contents, strict=True)}


def _form_info(form: Any, typename: str) -> BranchInfo:
    jagged = form.is_list and form.parameter("__array__") is None
    content = form.content if jagged else form
    if not content.is_numpy or content.inner_shape or content.parameters:
        return BranchInfo("other", str(typename))
    return BranchInfo("jagged" if jagged else "number", content.primitive)
