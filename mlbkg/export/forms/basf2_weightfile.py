"""A weightfile for the method ``ONNX`` of basf2's MVA package, written without basf2.

Laid out as ``Weightfile::saveToXMLFile``, ``GeneralOptions::save`` and ``ONNXOptions::save`` of belle2/basf2 write it, and
as its test file ``mva/methods/tests/ONNX.xml``: an XML element for each option, and the model in base64 without padding.
Compared with that file only: no basf2 has read a weightfile of this module yet.
"""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from mlbkg.errors import MlbkgError
from mlbkg.export.forms.base import FORMS, Form, Request
from mlbkg.export.metadata import FeatureInfo
from mlbkg.ntuples.belle2_names import escape, unescape

OUTPUT = "output"
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;"})
_NOT_XML = re.compile("[\x00-\x1f\x7f\ufffe\uffff]")
_log = logging.getLogger(__name__)


def write(request: Request) -> bytes:
    """The XML. Raises :class:`MlbkgError` where the model does not say what basf2 is to feed it with."""
    variables = variables_of(request)
    lines = ['<?xml version="1.0" encoding="utf-8"?>']
    lines += [f"<{tag}>{text.translate(_ENTITIES)}</{tag}>" for tag, text in _options(request.name, variables)]
    model = base64.b64encode(request.model.content).rstrip(b"=")
    return "\n".join([*lines, "<ONNX_Modelfile>"]).encode() + model + b"</ONNX_Modelfile>\n"


def variables_of(request: Request) -> tuple[str, ...]:
    """What basf2 calls the features, in the order of the input; a feature that it has no variable for keeps its own name."""
    path = request.model.path
    if request.model.metadata is None:
        raise _refused(path, "it does not name its features")
    features = request.model.metadata.features
    variables = tuple(map(_variable, features))
    if twice := sorted({name for name in variables if variables.count(name) > 1}):
        raise _refused(path, f"two features are the same variable of basf2: {', '.join(twice)}")
    if bad := [name for name in variables if _NOT_XML.search(name) or name != name.strip()]:
        raise _refused(path, f"a variable has a name that does not survive XML: {bad[0]!r}")
    if own := [feature.name for feature in features if not feature.basf2 and feature.column is None]:
        _log.warning(
            "basf2 has no variables for %s: define them as aliases (variables.addAlias), or apply the weightfile to ntuples "
            "with branches of these names",
            ", ".join(own),
        )
    return variables


def _variable(feature: FeatureInfo) -> str:
    name = feature.basf2 or feature.column or feature.name
    readable = unescape(name)
    return readable if escape(readable) == name else name


def _options(identifier: str, variables: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Those that say how it was trained have basf2's defaults: nothing but a training reads them."""
    yield from {
        "method": "ONNX",
        "weightfile": identifier,
        "treename": "tree",
        "target_variable": "isSignal",
        "weight_variable": "__weight__",
        "signal_class": "1",
        "max_events": "0",
        "nClasses": "2",
        "number_feature_variables": str(len(variables)),
        **{f"variable{place}": name for place, name in enumerate(variables)},
        "number_spectator_variables": "0",
        "number_data_files": "0",
        "ONNX_outputName": OUTPUT,
        "ONNX_modelFilename": "model.onnx",
    }.items()


def _refused(path: Path, reason: str) -> MlbkgError:
    return MlbkgError(
        f"{path} cannot be a basf2 weightfile: {reason}",
        where=str(path),
        hint="In basf2, give the names yourself: basf2_mva_util.create_onnx_mva_weightfile(FILE, variables=[...])",
    )


FORMS.add("basf2", Form("basf2", ".xml", "weightfile for basf2's MVA package, method ONNX (light-2507 and newer)", write))
