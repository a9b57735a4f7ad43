"""TMVA's boosted decision trees: the weight files of MethodBDT that ROOT 5 and 6 write, also compressed with gzip."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Mapping
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from mlbkg.export.forest import checked
from mlbkg.export.importers.base import IMPORTERS, Imported, Importer
from mlbkg.export.importers.tmva_forest import answer, forest_of, model_of
from mlbkg.export.importers.tmva_words import decoded, integer, unreadable
from mlbkg.export.importers.tmva_xml import WeightFile, parse

MAX_UNPACKED_BYTES = 256 * 2**20
_GZIP = b"\x1f\x8b"


def read(content: bytes, where: str) -> Imported:
    """The answer is ``TMVA::MethodBDT::GetMvaValue``: in [-1, 1], or a purity in [0, 1] with UseYesNoLeaf=False."""
    file = parse(_unpacked(content, where), where)
    variables = _in_order(file.variables, where)
    model = model_of(file, where)

    def answers(X: NDArray[np.float32]) -> NDArray[np.float64]:
        return answer(model, X)

    return Imported(
        forest=checked(forest_of(model), where),
        program=_program(file),
        feature_names=_names(variables),
        answer=answers,
    )


def _unpacked(content: bytes, where: str) -> bytes:
    if not content.startswith(_GZIP):
        return content
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
            unpacked = stream.read(MAX_UNPACKED_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise unreadable(where, f"its compression with gzip is damaged ({error})") from error
    if len(unpacked) > MAX_UNPACKED_BYTES:
        raise unreadable(where, f"it unpacks to more than {MAX_UNPACKED_BYTES // 2**20} MiB")
    return unpacked


def _in_order(variables: tuple[Mapping[str, str], ...], where: str) -> list[Mapping[str, str]]:
    """Sorted by their VarIndex, which is what the trees count by; the order in the file means nothing."""
    try:
        position = [integer(variable, "VarIndex") for variable in variables]
    except ValueError as error:
        raise unreadable(where, f"{error}, in its variables") from None
    if sorted(position) != list(range(len(variables))):
        raise unreadable(where, "its variables are not numbered from 0 on")
    return [variable for _, variable in sorted(zip(position, variables, strict=True), key=itemgetter(0))]


def _names(variables: list[Mapping[str, str]]) -> tuple[str, ...] | None:
    """The expressions that were given to TMVA; where these do not tell the variables apart, their labels."""
    for attribute in ("Expression", "Label", "Internal"):
        names = tuple(decoded(variable.get(attribute, "")) for variable in variables)
        if all(names) and len(set(names)) == len(names):
            return names
    return None


def _program(file: WeightFile) -> str:
    release = " ".join(file.info.get("TMVA Release", "").split()[:1]) or "of unknown release"
    root = " ".join(file.info.get("ROOT Release", "").split()[:1])
    boost = file.options.get("BoostType", "AdaBoost").strip()
    title = file.method.partition("::")[2] or file.method
    text = f"TMVA {release}{f' (ROOT {root})' if root else ''}, BDT '{title}' with BoostType={boost}"
    return "".join(character for character in text[:200] if character.isprintable())


IMPORTERS.add("tmva", Importer("tmva", "TMVA BDT weight file, .xml or .xml.gz", read))
