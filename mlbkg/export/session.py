"""The one way to ONNX Runtime: bytes that were checked, one thread, and nothing from anywhere else."""

from __future__ import annotations

from typing import Any

from mlbkg.errors import MlbkgError
from mlbkg.export.safety.contents import check_contents
from mlbkg.export.safety.refusal import shown


def open_session(model: bytes) -> Any:
    """``model``: bytes that this program has just built, or :attr:`mlbkg.export.load.LoadedModel.content`.

    One thread: with more, ONNX Runtime may add the trees of a small batch in another order. No file is opened: libraries
    of further operators are not registered, the format is not guessed, and data outside the bytes were refused before.
    Raises :class:`MlbkgError` where ONNX Runtime does not take the model.
    """
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4  # what it says of a model comes with what it raises, and may hold the model's own words
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except runtime_errors() as error:
        raise MlbkgError(
            f"ONNX Runtime {onnxruntime.__version__} does not take the model: {shown(str(error).partition(chr(10))[0])}",
            hint="Update it (pip install --upgrade onnxruntime), or make the model anew.",
        ) from error


def open_checked_session(model: bytes, where: str) -> Any:
    """As :func:`open_session`, of bytes that nobody has looked at yet."""
    check_contents(model, where)
    return open_session(model)


def runtime_errors() -> tuple[type[Exception], ...]:
    """All that ONNX Runtime raises; they have no common base."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    found = (getattr(state, name) for name in dir(state))
    return tuple(kind for kind in found if isinstance(kind, type) and issubclass(kind, Exception))
