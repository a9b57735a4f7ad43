"""Weight files of FastBDT, as text or inside a weightfile of basf2, whatever version wrote them."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial

from mlbkg.errors import MlbkgError
from mlbkg.export.importers.base import IMPORTERS, Imported, Importer
from mlbkg.export.importers.basf2_weightfile import Weightfile, is_weightfile, unpack
from mlbkg.export.importers.fastbdt_forest import evaluate, moves_bins, to_forest
from mlbkg.export.importers.fastbdt_text import Column, TextModel, parse_text

log = logging.getLogger(__name__)


def read(content: bytes, where: str) -> Imported:
    """``answer`` is FastBDT's own way through the numbers of the file, in its precision; see :class:`Importer`."""
    if not is_weightfile(content):
        return _imported(parse_text(content, where), None, where)
    weightfile = unpack(content, where)
    model = parse_text(weightfile.text, where)
    return _imported(_with_variables(model, weightfile, where), weightfile, where)


def _with_variables(model: TextModel, weightfile: Weightfile, where: str) -> TextModel:
    """A forest alone does not say how many features there are; binnings of FastBDT 1 and 2 count the spectators, too."""
    n_features, used = len(weightfile.variables), {int(f) for t in model.forest.trees for f in t.feature[t.is_valid]}
    may_differ = not model.has_width or (model.program in ("FastBDT 1", "FastBDT 2") and n_features < model.n_features)
    if n_features != model.n_features and not (may_differ and max(used, default=0) < n_features):
        raise MlbkgError(
            f"{where} contradicts itself: it names {n_features} variables, and its forest has {model.n_features}",
            where=where,
        )
    if not may_differ:
        return model
    return replace(model, n_features=n_features, has_width=True, columns=tuple(map(Column, range(n_features))))


def _imported(model: TextModel, weightfile: Weightfile | None, where: str) -> Imported:
    forest = to_forest(model, where)
    program = f"{model.program} in a basf2 weightfile" if weightfile else model.program
    if moves_bins(model):
        log.warning(
            "%s: FastBDT up to 5.4 moves some of its bins when it reads it; they are kept as they were trained", where
        )
        program += ", bins as they were trained"
    return Imported(
        forest=forest,
        program=program,
        feature_names=weightfile.variables if weightfile else None,
        answer=partial(evaluate, model),
        has_width=model.has_width,
    )


IMPORTERS.add(
    "fastbdt", Importer("fastbdt", "FastBDT weight files (1.x to 5.x), also inside basf2 weightfiles (XML, ROOT)", read)
)
