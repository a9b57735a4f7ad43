"""ONNX files in MLflow's form, with a signature."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

from mlbkg.errors import MlbkgError
from mlbkg.export.load import read_safely
from mlbkg.export.metadata import ModelMetadata

_DTYPES = {1: "float32", 6: "int32", 7: "int64", 11: "float64"}
"""Numbers of ONNX's ``TensorProto.DataType``, those that inputs and outputs of forests have."""


def save_onnx(path: Path, folder: Path, *, run_id: str, model_id: str) -> Path:
    """Write MLflow's ONNX flavour of ``path``, the file byte by byte, with its signature. Answer ``folder``.

    MLflow would read whatever files the model asks for: it gets the bytes that were checked.
    """
    import mlflow.onnx
    from mlflow.models import Model

    content = read_safely(path)
    model = _parsed(content, folder.with_name("parsed"))
    mlflow.onnx.save_model(
        model,
        str(folder),
        mlflow_model=Model(run_id=run_id, model_id=model_id),
        signature=_signature(model),
        # Given, because MLflow would start a second Python for seconds to find out.
        pip_requirements=[f"{name}=={version(name)}" for name in ("mlflow", "onnx", "onnxruntime")],
        onnx_execution_providers=["CPUExecutionProvider"],
        save_as_external_data=False,
    )
    (folder / "model.onnx").write_bytes(content)
    return folder


def _parsed(content: bytes, folder: Path) -> Any:
    """The model as MLflow itself loads it, checked by it."""
    import mlflow.onnx
    from mlflow.models import Model

    folder.mkdir()
    (folder / "model.onnx").write_bytes(content)
    bare = Model()
    bare.add_flavor("onnx", onnx_version=version("onnx"), data="model.onnx", code=None)
    bare.save(str(folder / "MLmodel"))
    return mlflow.onnx.load_model(str(folder))


def _signature(model: Any) -> Any:
    """Named float columns where the model has one input and its metadata name them; tensors otherwise."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    inputs = [_tensor(value) for value in model.graph.input]
    outputs = Schema([_tensor(value) for value in model.graph.output])
    names = _feature_names(model)
    if len(inputs) == 1 and names and inputs[0].shape == (-1, len(names)):
        return ModelSignature(Schema([ColSpec(DataType.float, name) for name in names]), outputs)
    return ModelSignature(Schema(inputs), outputs)


def _tensor(value: Any) -> Any:
    import numpy as np
    from mlflow.types import TensorSpec

    tensor = value.type.tensor_type
    shape = tuple(int(size.dim_value) if size.HasField("dim_value") else -1 for size in tensor.shape.dim)
    return TensorSpec(np.dtype(_DTYPES[tensor.elem_type]), shape, value.name)


def _feature_names(model: Any) -> tuple[str, ...]:
    """Nothing for a model that mlbkg did not write."""
    try:
        return ModelMetadata.from_props(
            {entry.key: entry.value for entry in model.metadata_props}, where="model"
        ).feature_names
    except MlbkgError:
        return ()
