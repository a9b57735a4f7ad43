"""The dashboard answers on the loopback address, and leaves nothing behind when it is ended."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest

MLBKG = [sys.executable, "-c", "from mlbkg.cli.main import main; main()"]
START_SECONDS = 120


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as reply:
            return reply.status == 200
    except (urllib.error.URLError, OSError):
        return False


@pytest.mark.slow
def test_ui_serves_on_loopback_and_ends_with_its_children(tmp_path: Path) -> None:
    port = free_port()
    with (tmp_path / "log").open("wb") as log:
        program = subprocess.Popen([*MLBKG, "ui", "--port", str(port)], cwd=tmp_path, stdout=log, stderr=log, env=os.environ)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not answers(port) and time.monotonic() < deadline and program.poll() is None:
            time.sleep(0.5)
        assert answers(port), (tmp_path / "log").read_text(encoding="utf-8")
        family = [psutil.Process(program.pid), *psutil.Process(program.pid).children(recursive=True)]
        listening = {
            connection.laddr.ip
            for process in family
            for connection in process.net_connections(kind="inet")
            if connection.status == psutil.CONN_LISTEN
        }
        assert listening == {"127.0.0.1"}
    finally:
        program.send_signal(signal.SIGTERM)
        program.wait(timeout=30)
    assert not psutil.wait_procs(family, timeout=20)[1]
