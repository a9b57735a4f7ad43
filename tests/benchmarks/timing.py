"""Times of several ways to do one thing, taken in turns, so that what else the machine does falls on all of them alike."""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psutil

SAMPLING_SECONDS = 0.05


@dataclass(frozen=True)
class Usage:
    """``peak_mb``: largest sum of the resident memory of a process and its children, which counts shared pages twice."""

    seconds: float
    peak_mb: float
    stdout: str


def in_turns(jobs: dict[str, Callable[[], object]], *, turns: int) -> dict[str, list[float]]:
    """Wall seconds of each job in each turn."""
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(turns):
        for name, job in jobs.items():
            begin = time.perf_counter()
            job()
            taken[name].append(time.perf_counter() - begin)
    return taken


def ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """Median of the turns' ratios: the two of one turn saw the same machine."""
    return statistics.median(a / b for a, b in zip(over, under, strict=True))


def compared(jobs: dict[str, Callable[[], object]], *, turns: int) -> dict[str, float]:
    """``bare_s`` and ``mlbkg_s`` (medians) and their ``ratio``, for the jobs ``bare`` and ``mlbkg``."""
    taken = in_turns(jobs, turns=turns)
    return {
        "bare_s": statistics.median(taken["bare"]),
        "mlbkg_s": statistics.median(taken["mlbkg"]),
        "ratio": ratio(taken["mlbkg"], taken["bare"]),
    }


def run_watched(command: Sequence[str], *, cwd: str) -> Usage:
    """Run a program to its end. Raises ``CalledProcessError`` where it fails."""
    begin, peak = time.perf_counter(), 0
    with tempfile.TemporaryFile("w+", encoding="utf-8") as stdout:
        process = psutil.Popen(command, cwd=cwd, stdout=stdout)
        while process.poll() is None:
            peak = max(peak, _resident(process))
            time.sleep(SAMPLING_SECONDS)
        seconds = time.perf_counter() - begin
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
        stdout.seek(0)
        return Usage(seconds, peak / 1e6, stdout.read())


def _resident(process: psutil.Process) -> int:
    total = 0
    try:
        for one in (process, *process.children(recursive=True)):
            total += one.memory_info().rss
    except psutil.NoSuchProcess:
        pass
    return total
