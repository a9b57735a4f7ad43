"""XGBoost's model files since version 1.0, in JSON and UBJSON."""

from __future__ import annotations

import logging
import math
from functools import partial

from mlbkg.errors import MlbkgError
from mlbkg.export.importers.base import IMPORTERS, Imported, Importer
from mlbkg.export.importers.library_trees import names_of, refuse_packed
from mlbkg.export.importers.xgboost_document import read_document
from mlbkg.export.importers.xgboost_model import answer, forest_of, model_of

log = logging.getLogger(__name__)
_SAVE = "model.save_model('model.json')"


def read(content: bytes, where: str) -> Imported:
    """The answer is what ``predict`` returns for a matrix of numbers where NaN is missing."""
    refuse_packed(content, where, program="XGBoost", save=_SAVE)
    if content.lstrip()[:1] != b"{":
        raise MlbkgError(
            f"{where} is no XGBoost model in JSON or UBJSON; the binary format of old versions is not read",
            where=where,
            hint=f"Load it in the version that wrote it and save it anew: {_SAVE}",
        )
    document, form = read_document(content.lstrip(), where)
    model = model_of(document, where)
    about = [f"XGBoost {model.version} ({form}), {model.objective}"]
    if model.best_iteration is not None:
        about.append(f"up to its best iteration {model.best_iteration}")
    if not math.isnan(model.missing):
        about.append(f"NaN for what is missing, not {model.missing:g}")
        log.warning("%s was trained with missing=%g: the model's input must be NaN there instead", where, model.missing)
    if model.has_category_names:
        about.append("categories by number")
        log.warning("%s was trained on named categories: the model's input are their numbers, not the categories", where)
    names = names_of(model.feature_names)
    return Imported(
        forest=forest_of(model, where),
        program=", ".join(about),
        feature_names=names if names and len(names) == model.n_features else None,
        answer=partial(answer, model),
    )


IMPORTERS.add("xgboost", Importer("xgboost", "XGBoost models saved as JSON or UBJSON", read))
