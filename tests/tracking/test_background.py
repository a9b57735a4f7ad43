"""Waiting ends when nothing gets done any more, and not when much is to be done."""

from __future__ import annotations

import threading
import time

import pytest

from mlbkg.tracking.background import Background


def nothing() -> None:
    pass


def test_a_long_queue_is_no_failure_while_it_moves() -> None:
    background, done = Background("test", timeout_s=0.4), []
    for number in range(20):
        background.submit(lambda number=number: (time.sleep(0.06), done.append(number))[0])
    begin = time.monotonic()
    background.finish(last=nothing)
    assert (background.failure, done) == (None, list(range(20)))
    assert time.monotonic() - begin > 3 * 0.3


def test_a_long_work_is_no_failure_while_it_tells_of_progress() -> None:
    background = Background("test", timeout_s=0.3)

    def work() -> None:
        for _ in range(10):
            time.sleep(0.08)
            background.tick()

    background.submit(work)
    background.finish(last=nothing)
    assert background.failure is None


@pytest.mark.parametrize("waits", [1, 3])
def test_all_waiting_for_a_work_that_hangs_takes_the_time_once(waits: int) -> None:
    background, never = Background("test", timeout_s=0.5), threading.Event()
    for _ in range(5):
        background.submit(nothing)
    background.submit(lambda: never.wait(20) and None)
    begin = time.monotonic()
    for _ in range(waits):
        background.wait(never)
    background.finish(last=nothing)
    assert 0.4 < time.monotonic() - begin < 1.2
    assert background.failure == "TimeoutError: no answer within 0.5 s"
    never.set()


def test_after_ctrl_c_progress_buys_no_time() -> None:
    background = Background("test", timeout_s=5)
    for _ in range(100):
        background.submit(lambda: time.sleep(0.05))
    begin = time.monotonic()
    background.finish(last=nothing, at_most_s=0.3)
    assert time.monotonic() - begin < 0.8
    assert background.failure is not None


def test_only_the_first_failure_is_told(caplog: pytest.LogCaptureFixture) -> None:
    background, last = Background("Tracking to x", timeout_s=5, then="Kept in y."), threading.Event()

    def fail() -> None:
        raise ValueError("no\nmore")

    with caplog.at_level("WARNING", logger="mlbkg"):
        background.submit(fail)
        background.submit(fail)
        background.finish(last=last.set)
    (record,) = caplog.records
    assert record.getMessage().startswith("Tracking to x failed")
    assert record.getMessage().endswith("ValueError: no\nKept in y.")
    assert last.is_set()
