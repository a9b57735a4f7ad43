"""How busy the machine and this program are, while a run goes on.

MLflow has a monitor of its own, which asks the server for the run at every sample, and ends when it does not answer. Its
names are taken over: MLflow has a page for what begins with ``system/``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

import psutil

INTERVAL_S = 10.0
MEGABYTE = 1e6


class SystemMetrics:
    """Tells ``tell`` every ``interval_s``, and once more when it is stopped."""

    def __init__(self, tell: Callable[[Mapping[str, float]], None], *, interval_s: float = INTERVAL_S) -> None:
        self._tell = tell
        self._interval_s = interval_s
        self._stopping = threading.Event()
        self._begin = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="mlbkg-system-metrics", daemon=True)

    def start(self) -> None:
        self._begin = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        usage = Usage()
        while not self._stopping.wait(self._interval_s):
            self._tell(usage.since_last())
        self._tell({**usage.since_last(), "system/wall_seconds": time.monotonic() - self._begin})


class Usage:
    """Of the machine, and of this process with its children; shares of processors are since the last look, in percent.

    ``process_memory_megabytes`` counts pages that processes share once for each.
    """

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._seen = (time.monotonic(), self._cpu_seconds())
        psutil.cpu_percent()

    def since_last(self) -> dict[str, float]:
        (before, used_before), now, used = self._seen, time.monotonic(), self._cpu_seconds()
        self._seen = (now, used)
        memory = psutil.virtual_memory()
        return {
            "system/cpu_utilization_percentage": psutil.cpu_percent(),
            "system/system_memory_usage_megabytes": memory.used / MEGABYTE,
            "system/system_memory_usage_percentage": memory.percent,
            "system/process_cpu_percentage": 100 * max(0.0, used - used_before) / max(now - before, 1e-3),
            "system/process_cpu_seconds": used,
            "system/process_memory_megabytes": self._memory() / MEGABYTE,
        }

    def _family(self) -> list[psutil.Process]:
        return [self._process, *self._process.children(recursive=True)]

    def _cpu_seconds(self) -> float:
        """Those that have ended count, once they were waited for."""
        own = self._process.cpu_times()
        total = own.user + own.system + getattr(own, "children_user", 0.0) + getattr(own, "children_system", 0.0)
        for child in self._family()[1:]:
            try:
                times = child.cpu_times()
            except psutil.Error:
                continue
            total += times.user + times.system
        return float(total)

    def _memory(self) -> float:
        total = 0
        for process in self._family():
            try:
                total += process.memory_info().rss
            except psutil.Error:
                continue
        return total
