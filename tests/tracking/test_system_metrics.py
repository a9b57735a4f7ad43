"""A long run tells how busy it keeps the machine."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping

import psutil
import pytest
from mlflow.tracking import MlflowClient

from mlbkg.tracking.base import RunLog
from mlbkg.tracking.system_metrics import SystemMetrics, Usage

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


def test_a_busy_second_counts_as_such() -> None:
    usage, end = Usage(), time.process_time() + 0.5
    begin = time.monotonic()
    while time.process_time() < end:
        pass
    wall = time.monotonic() - begin
    seen = usage.since_last()
    assert seen["system/process_cpu_percentage"] == pytest.approx(100 * 0.5 / wall, rel=0.25)
    rss = psutil.Process().memory_info().rss / 1e6
    assert seen["system/process_memory_megabytes"] == pytest.approx(rss, rel=0.2)
    assert 0 < seen["system/system_memory_usage_percentage"] < 100


def test_children_count() -> None:
    child = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        usage = Usage()
        time.sleep(1)
        assert usage.since_last()["system/process_cpu_percentage"] > 10
    finally:
        child.kill()
        child.wait()


def test_there_is_a_sample_at_each_interval_and_at_the_end() -> None:
    told: list[Mapping[str, float]] = []
    sampler = SystemMetrics(told.append, interval_s=0.1)
    sampler.start()
    time.sleep(0.55)
    sampler.stop()
    assert 3 <= len(told) <= 6
    assert told[-1]["system/wall_seconds"] == pytest.approx(0.55, abs=0.3)


def test_they_are_logged_at_the_second_of_the_run(log_to: Callable[..., RunLog], uri: str) -> None:
    client = MlflowClient(tracking_uri=uri)
    with log_to(uri) as log:
        first = log.run_id
    assert first is not None
    time.sleep(1.1)
    with log_to(uri, run_id=first, system_metrics=True) as log:
        assert log.run_id == first
    assert log.failure is None
    (metric,) = client.get_metric_history(first, "system/cpu_utilization_percentage")
    run = client.get_run(first)
    assert metric.step == (metric.timestamp - run.info.start_time) // 1000 >= 1
    assert set(run.data.metrics) > {"system/process_memory_megabytes", "system/wall_seconds"}
