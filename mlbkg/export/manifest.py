"""``manifest.json``: which files a folder holds, and the sha256 of each."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlbkg.errors import MlbkgError, is_plain
from mlbkg.export.safety.refusal import shown

MANIFEST = "manifest.json"
MAX_BYTES = 16 * 2**20
_SHA256 = re.compile(r"[0-9a-f]{64}")
_HINT = "Copy the whole folder again, or remove the manifest to go on without its checks."


def sha256_of_files(manifest: Path) -> dict[str, str]:
    """File name, relative to the manifest's folder -> sha256; empty where there is no manifest.

    Raises :class:`MlbkgError` for one that names files elsewhere, and for what is no manifest.
    """
    if not os.path.lexists(manifest):
        return {}
    try:
        content: Any = json.loads(read_file(manifest, MAX_BYTES).decode("utf-8"))
        files = content.get("files", {})
        if not isinstance(files, Mapping):
            raise ValueError("'files' is no table")
        hashes = {name: told["sha256"] for name, told in files.items()}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise _refused(manifest, f"{type(error).__name__}: {shown(error)}") from error
    for name, sha256 in hashes.items():
        if not is_inside(name):
            raise _refused(manifest, f"it names the file '{shown(name)}', which is not in its folder")
        if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
            raise _refused(manifest, f"it has no sha256 of '{shown(name)}'")
    return hashes


def is_inside(name: str) -> bool:
    """Whether ``name`` is a file of the folder that it is relative to, on every system."""
    return is_plain(name) and not set(name) & set("\\:") and not set(name.split("/")) & {"", ".", ".."}


def read_file(path: Path, max_bytes: int) -> bytes:
    """The bytes of a regular file, read once. Raises :class:`MlbkgError` for larger ones, pipes and devices."""
    try:
        # without O_NONBLOCK a pipe would wait for its writer before it can be asked what it is
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise MlbkgError(f"{path} is not a file", where=str(path), hint="Give the path of a file.")
            content = file.read(max_bytes + 1)
    except OSError as error:
        raise MlbkgError(f"{path} cannot be read: {error.strerror}", where=str(path)) from error
    if len(content) > max_bytes:
        raise MlbkgError(
            f"{path} has more than {max_bytes / 2**20:.0f} MiB",
            where=str(path),
            hint="No model or manifest of mlbkg is that large; is it the right file?",
        )
    return content


def _refused(manifest: Path, reason: str) -> MlbkgError:
    return MlbkgError(f"{manifest} is not a manifest of mlbkg's: {reason}", where=str(manifest), hint=_HINT)
