"""LightGBM's model files in text."""

from __future__ import annotations

import logging
from functools import partial

from mlbkg.errors import MlbkgError
from mlbkg.export.importers.base import IMPORTERS, Imported, Importer
from mlbkg.export.importers.library_trees import names_of, refuse_packed
from mlbkg.export.importers.lightgbm_model import answer, forest_of, model_of
from mlbkg.export.importers.lightgbm_text import parse

log = logging.getLogger(__name__)
_SAVE = "booster.save_model('model.txt')"


def read(content: bytes, where: str) -> Imported:
    """The answer is what ``predict`` returns for a matrix of numbers where NaN is missing."""
    refuse_packed(content, where, program="LightGBM", save=_SAVE)
    if content.lstrip()[:1] == b"{":
        raise MlbkgError(f"{where} is JSON, which LightGBM itself does not read either", where=where, hint=f"Use {_SAVE}")
    text = parse(content, where)
    model = model_of(text, where)
    about = [f"LightGBM (text, {model.version})", model.objective]
    if text.pandas_categorical not in (b"", b"null", b"[]"):
        about.append("categories as pandas numbered them")
        log.warning("%s was trained on pandas categories: the model's input are their codes, not the categories", where)
    if model.is_mean:
        about.append("mean of the trees")
    names = names_of(model.feature_names)
    return Imported(
        forest=forest_of(model, where),
        program=", ".join(about),
        feature_names=names if names and len(names) == model.n_features else None,
        answer=partial(answer, model),
    )


IMPORTERS.add("lightgbm", Importer("lightgbm", "LightGBM models saved as text", read))
