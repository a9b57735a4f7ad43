"""One process that opens what it is given, file after file, and says how each went and what it cost.

Protocol, on its standard input and output: a line ``KIND LENGTH``, then the bytes; the answer is one line of JSON.
"""

from __future__ import annotations

import contextlib
import json
import logging
import resource
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from corpus import about, importer_of

from mlbkg.errors import MlbkgError, ParityError, is_plain
from mlbkg.export.importers import compare
from mlbkg.export.importers.base import IMPORTERS
from mlbkg.export.load import open_model
from mlbkg.export.onnx import build_model
from mlbkg.export.read_back import forests_of
from mlbkg.export.session import open_session

ADDRESS_SPACE = 6 * 2**30
"""A last fence; what counts is the memory that is used (``LARGEST_MIB`` in run.py)."""
ROWS = 500
LONGEST = 5000


def main() -> None:
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    compare.RANDOM_ROWS = ROWS
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    with tempfile.TemporaryDirectory() as folder:
        while line := sys.stdin.buffer.readline():
            kind, length = line.split()
            content = sys.stdin.buffer.read(int(length))
            forget_peak()
            began = time.perf_counter()
            outcome, message = judged(kind.decode(), content, Path(folder))
            answer = {"outcome": outcome, "message": message, "seconds": time.perf_counter() - began, "mib": peak_mib()}
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()


def judged(kind: str, content: bytes, folder: Path) -> tuple[str, str]:
    """``refused`` and ``correct`` are right; all else is a failure, named by what went wrong."""
    try:
        return onnx_file(content, folder) if kind == "onnx" else weight_file(kind, content)
    except ParityError as error:
        return "differs", str(error)
    except MlbkgError as error:
        message = str(error)
        is_clear = is_plain(message, lines=True) and 20 < len(message) < LONGEST
        return "refused" if is_clear else "unclear", message
    except MemoryError:
        return "memory", traceback.format_exc()
    except Exception as error:
        return f"raised {type(error).__name__}", traceback.format_exc()


def weight_file(kind: str, content: bytes) -> tuple[str, str]:
    imported = IMPORTERS[importer_of(kind)].read(content, "file")
    model = build_model([imported.forest], about(imported.forest, 1))
    compare.compare(imported, model)
    return finite(open_session(model), imported.forest.n_features)


def onnx_file(content: bytes, folder: Path) -> tuple[str, str]:
    path = folder / "model.onnx"
    path.write_bytes(content)
    model = open_model(path)
    json.dumps(model.describe(), allow_nan=False)
    session = open_session(model.content)
    found = finite(session, model.n_features, takes_fold=model.takes_fold)
    if model.metadata is None:
        return "correct", f"not one of mlbkg's, which answers as it does: {found}"
    if found[0] != "correct" or model.takes_fold:
        return found
    try:
        forests = forests_of(model)
    except MlbkgError as error:
        return "correct", f"no other form: {error}"
    rebuilt = open_session(build_model(forests, about(forests[0], len(forests))))
    rows = {"input": np.random.default_rng(2).normal(size=(ROWS, model.n_features)).astype(np.float32)}
    (mine,), (theirs,) = rebuilt.run(["output"], rows), session.run(["output"], rows)
    same = np.array_equal(mine, theirs, equal_nan=True)
    return ("correct", "") if same else ("differs", "other forms of the model would answer otherwise")


def finite(session: Any, n_features: int, *, takes_fold: bool = False) -> tuple[str, str]:
    """Rows of finite numbers have finite scores."""
    rng = np.random.default_rng(1)
    rows = {"input": (rng.normal(size=(ROWS, n_features)) * 10.0 ** rng.integers(-3, 4, size=(ROWS, 1))).astype(np.float32)}
    if takes_fold:
        rows["fold"] = np.zeros(ROWS, dtype=np.int64)
    scores = session.run(["output"], rows)[0]
    if scores.shape != (ROWS, 1) or not np.isfinite(scores).all():
        return "not finite", f"{scores.shape}, {np.count_nonzero(~np.isfinite(scores))} scores are not finite"
    return "correct", ""


def forget_peak() -> None:
    """The kernel's high-water mark begins anew: memory is told of each file."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_mib() -> float:
    """Resident memory at its highest, without what was there before: the libraries."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
