"""MLflow's own dashboard on a tracking store, for this machine only."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

HOST = "127.0.0.1"


def serve(uri: str, *, port: int) -> int:
    """Run the dashboard until it is interrupted or terminated; the answer is its exit status."""
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", uri, "--host", HOST, "--port", str(port)]
    settings = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1"}
    environment = {**os.environ, **settings}
    process = subprocess.Popen([*command, "--workers", "1"], env=environment, stdout=sys.stderr)  # noqa: S603
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return process.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        process.terminate()
        process.wait()
        signal.signal(signal.SIGTERM, before)
