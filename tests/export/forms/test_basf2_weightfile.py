"""Weightfiles for basf2: the elements that basf2 itself writes, the names that it knows, and the model byte for byte."""

from __future__ import annotations

import base64
import html
import logging
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.parsers import expat

import numpy as np
import pytest

from mlbkg.errors import MlbkgError
from mlbkg.export.forest import Forest
from mlbkg.export.forms.base import FORMS, Request
from mlbkg.export.load import open_model
from mlbkg.export.metadata import FeatureInfo, ModelMetadata
from mlbkg.export.onnx import build_model
from mlbkg.export.read_back import forests_of

Make = Callable[..., Request]
OPTIONS = """\
<method>ONNX</method>
<weightfile>Simple</weightfile>
<treename>tree</treename>
<target_variable>isSignal</target_variable>
<weight_variable>__weight__</weight_variable>
<signal_class>1</signal_class>
<max_events>0</max_events>
<nClasses>2</nClasses>
<number_feature_variables>3</number_feature_variables>
<variable0>p</variable0>
<variable1>daughter(0, pz)</variable1>
<variable2>chiProb</variable2>
<number_spectator_variables>0</number_spectator_variables>
"""
"""As belle2/basf2 has them in mva/methods/tests/ONNX.xml (commit 4419a6b), with 3 of the 16 variables."""


@pytest.fixture
def make(tmp_path: Path, make_metadata: Callable[..., ModelMetadata]) -> Make:
    def make(*features: FeatureInfo, title: str = "") -> Request:
        width = len(features)
        forest = Forest(
            n_features=width,
            op="<",
            base_margin=0.0,
            precision="float32",
            tree_offset=np.array([0, 3]),
            feature=np.array([width - 1, -1, -1], dtype=np.int32),
            threshold=np.array([0.5, 0, 0], dtype=np.float32),
            left=np.array([1, -1, -1], dtype=np.int32),
            right=np.array([2, -1, -1], dtype=np.int32),
            missing_left=np.array([True, False, False]),
            value=np.array([0, -1.25, 2.5]),
        )
        metadata = replace(make_metadata(features=features, n_folds=1), title=title)
        (tmp_path / "model.onnx").write_bytes(build_model([forest], metadata))
        model = open_model(tmp_path / "model.onnx")
        return Request(model, forests_of(model), None, "Simple")

    return make


def _texts(content: bytes) -> dict[str, str]:
    return {tag: html.unescape(text) for tag, text in re.findall(r"<(\w+)>(.*)</\1>", content.decode())}


def _with_basf2(*names: str) -> list[FeatureInfo]:
    return [FeatureInfo(f"feature{place}", basf2=name) for place, name in enumerate(names)]


def test_the_elements_are_those_of_basf2(make: Make) -> None:
    lines = FORMS["basf2"].write(make(*_with_basf2("p", "daughter(0, pz)", "chiProb"))).decode().splitlines()
    assert lines[0] == '<?xml version="1.0" encoding="utf-8"?>'
    assert lines[1:14] == OPTIONS.splitlines()
    tags = ["number_data_files", "ONNX_outputName", "ONNX_modelFilename", "ONNX_Modelfile"]
    assert [line[1 : line.index(">")] for line in lines[14:]] == tags


def test_the_model_is_in_it_byte_for_byte(make: Make) -> None:
    """Three lengths: base64 pads with nothing, one or two signs, of which basf2 writes none."""
    rests = set()
    for title in ("", "a", "ab"):
        request = make(*_with_basf2("p"), title=title)
        text = _texts(FORMS["basf2"].write(request))["ONNX_Modelfile"]
        assert re.fullmatch("[A-Za-z0-9+/]+", text)
        assert base64.b64decode(text + "=" * (-len(text) % 4)) == request.model.content
        rests.add(len(text) % 4)
    assert rests == {0, 2, 3}


def test_names_survive_xml(make: Make) -> None:
    names = ("p<2&\"pt\">'1'", "µ daughter(0,  pz)", "formula(a - b)")
    content = FORMS["basf2"].write(make(*_with_basf2(*names)))
    parser = expat.ParserCreate("utf-8")
    parser.Parse(b"<root>" + content.split(b"\n", 1)[1] + b"</root>", True)
    assert tuple(_texts(content)[f"variable{place}"] for place in range(3)) == names


def test_a_feature_has_its_basf2_name_or_that_of_its_branch_or_its_own(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    features = [
        FeatureInfo("EGammaMax", basf2="getVariableByRank(gamma:roe,E,E,1)"),
        FeatureInfo("pT", basf2="daughter__bo0__cmpt__bc", column="daughter__bo0__cmpt__bc"),
        FeatureInfo("experiment", column="__experiment__"),
        FeatureInfo("CosGammaNormal"),
    ]
    with caplog.at_level(logging.WARNING):
        texts = _texts(FORMS["basf2"].write(make(*features)))
    named = [texts[f"variable{place}"] for place in range(4)]
    assert named == ["getVariableByRank(gamma:roe,E,E,1)", "daughter(0,pt)", "__experiment__", "CosGammaNormal"]
    assert "basf2 has no variables for CosGammaNormal: define them as aliases" in caplog.text
    assert "experiment" not in caplog.text


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (("InvM", "pt", "InvM"), "two features are the same variable of basf2: InvM"),
        (("p", "line\nbreak"), "does not survive XML"),
        (("p", " pt"), "does not survive XML"),
    ],
)
def test_names_that_basf2_would_take_for_others_are_refused(names: tuple[str, ...], reason: str, make: Make) -> None:
    with pytest.raises(MlbkgError, match=reason) as caught:
        FORMS["basf2"].write(make(*_with_basf2(*names)))
    assert "create_onnx_mva_weightfile" in str(caught.value)


def test_a_model_without_names_is_refused(make: Make) -> None:
    request = make(*_with_basf2("p"))
    with pytest.raises(MlbkgError, match="does not name its features"):
        FORMS["basf2"].write(replace(request, model=replace(request.model, metadata=None)))
