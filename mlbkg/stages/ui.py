"""``mlbkg ui``: the MLflow dashboard on the store that a config names."""

from __future__ import annotations

import logging
from pathlib import Path

from mlbkg.config.load import load
from mlbkg.config.schema import Tracking
from mlbkg.errors import MlbkgError
from mlbkg.tracking.background import without_password
from mlbkg.tracking.dashboard import HOST, serve
from mlbkg.tracking.views import address_of

log = logging.getLogger(__name__)


def ui(config_path: Path | None, *, port: int) -> str:
    """Serve until interrupted, on the loopback address only; the answer is the address it had.

    Raises :class:`MlbkgError` where the dashboard does not start.
    """
    config = load(config_path).config if config_path else None
    uri = config.tracking.uri if config else Tracking().uri
    address = f"http://{HOST}:{port}"
    page = address_of(uri, config.tracking.experiment or config.analysis if config else None)
    log.info(
        "MLflow dashboard of %s; Ctrl-C ends it. In a moment it answers at\n  %s%s", without_password(uri), address, page
    )
    status = serve(uri, port=port)
    if status != 0:
        raise MlbkgError(
            f"the MLflow dashboard ended with status {status}",
            where=uri,
            hint=f"Try another port: mlbkg ui --port {port + 1}",
        )
    return address
