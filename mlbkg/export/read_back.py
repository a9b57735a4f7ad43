"""The forests inside an ONNX file that mlbkg wrote, for other forms of the same model."""

from __future__ import annotations

from mlbkg.export.forest import Forest
from mlbkg.export.layout import forests_in
from mlbkg.export.load import LoadedModel


def forests_of(model: LoadedModel) -> tuple[Forest, ...]:
    """One for each fold, in order; what the base margin adds is in the first tree's leaves.

    Raises :class:`mlbkg.errors.MlbkgError` for a model that is not laid out as mlbkg lays them out: its answer may be
    anything.
    """
    import onnx

    graph = onnx.load_model_from_string(model.content).graph
    return forests_in(graph, n_features=model.n_features, takes_fold=model.takes_fold, where=str(model.path))
