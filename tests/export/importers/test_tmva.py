"""TMVA's weight files against TMVA's own answers (data/tmva/README.md says where these are from)."""

from __future__ import annotations

import gzip
import re
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mlbkg.errors import MlbkgError
from mlbkg.export.forest import MAX_FEATURES
from mlbkg.export.importers.base import IMPORTERS, Imported
from mlbkg.export.importers.compare import compare
from mlbkg.export.importers.tmva import MAX_UNPACKED_BYTES, read
from mlbkg.export.importers.tmva_xml import MAX_NAMES, MAX_NESTING, MAX_NODES, MAX_OTHER_ELEMENTS
from mlbkg.export.load import open_model
from mlbkg.export.metadata import FeatureInfo, ModelMetadata
from mlbkg.export.onnx import build_model
from mlbkg.export.session import open_session
from mlbkg.stages.import_model import import_model

DATA = Path(__file__).parent / "data" / "tmva"
NAMES = sorted(path.stem for path in DATA.glob("*.xml"))
FEATURES = ("pt", "abs(eta)<1.5", "log(dE/0.1)", "R2")
NAN, INF = np.nan, np.inf

Rows = NDArray[np.float32]
Build = Callable[[Imported], bytes]


@pytest.fixture(scope="module")
def build(make_metadata: Callable[..., ModelMetadata]) -> Build:
    def build(imported: Imported) -> bytes:
        features = [FeatureInfo(f"f{i}") for i in range(imported.forest.n_features)]
        about = make_metadata("tmva", features, 1)
        return build_model([imported.forest], replace(about, output=imported.forest.output))

    return build


def answers(content: bytes, X: Rows) -> NDArray[np.float64]:
    (output,) = open_session(content).run(["output"], {"input": X})
    return output[:, 0].astype(np.float64)


def table(name: str) -> tuple[Rows, NDArray[np.float64]]:
    values = np.loadtxt(DATA / f"{name}.csv", delimiter=",", skiprows=1)
    return values[:, :-1].astype(np.float32), values[:, -1]


def content_of(name: str) -> bytes:
    return (DATA / f"{name}.xml").read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_own_path_is_the_program(name: str) -> None:
    imported = read(content_of(name), name)
    X, expected = table(name)
    np.testing.assert_allclose(imported.answer(X), expected, rtol=0, atol=1e-15)
    assert imported.forest.output == ("symmetric" if name.startswith("gradient") else "identity")
    assert imported.feature_names == FEATURES
    assert imported.has_width


@pytest.mark.parametrize("name", NAMES)
def test_onnx_is_the_program(name: str, build: Build) -> None:
    imported = read(content_of(name), name)
    X, expected = table(name)
    content = build(imported)
    np.testing.assert_allclose(answers(content, X), expected, rtol=0, atol=1.2e-7)  # a float32 next to 1
    rows, difference = compare(imported, content)
    assert rows > 5000
    assert difference < 1.2e-7


def test_the_tables_hold_what_is_hard() -> None:
    for name in NAMES:
        X, expected = table(name)
        assert np.isnan(X).any()
        assert np.isinf(X).any()
        assert len(np.unique(expected)) >= 5
        assert b'cType="0"' in content_of(name)
        order = re.findall(rb'VarIndex="(\d)"', content_of(name))
        assert sorted(order) == [b"0", b"1", b"2", b"3"]
    assert any(re.findall(rb'VarIndex="(\d)"', content_of(name)) != sorted(order) for name in NAMES)


def test_the_order_of_the_variables_in_the_file_means_nothing() -> None:
    text = content_of("adaboost").decode()
    variables = re.findall(r" *<Variable .*\n", text)
    turned = text.replace("".join(variables), "".join(reversed(variables)))
    assert turned != text
    X, expected = table("adaboost")
    imported = read(turned.encode(), "turned.xml")
    assert imported.feature_names == FEATURES
    np.testing.assert_allclose(imported.answer(X), expected, rtol=0, atol=1e-15)


def test_compressed() -> None:
    X, expected = table("gradient")
    np.testing.assert_allclose(
        read(gzip.compress(content_of("gradient"), mtime=0), "g.xml.gz").answer(X), expected, atol=1e-15
    )


def test_the_whole_way(tmp_path: Path) -> None:
    (tmp_path / "Bdt.weights.xml.gz").write_bytes(gzip.compress(content_of("gradient_preselection"), mtime=0))
    result = import_model("tmva", tmp_path / "Bdt.weights.xml.gz", tmp_path / "bdt.onnx")
    X, expected = table("gradient_preselection")
    model = open_model(tmp_path / "bdt.onnx")
    assert model.metadata.feature_names == FEATURES == result.features
    assert model.metadata.backend == "tmva"
    assert model.metadata.origin == result.program == "TMVA 4.2.1 (ROOT 6.26/10), BDT 'BDTG' with BoostType=Grad"
    assert result.max_difference < 1.2e-7
    np.testing.assert_allclose(answers((tmp_path / "bdt.onnx").read_bytes(), X), expected, rtol=0, atol=1.2e-7)


def test_registered() -> None:
    assert IMPORTERS["tmva"].read is read


def leaf(node_type: int = 1, purity: str = "0.75", response: str = "0.5", pos: str = "s", inside: str = "") -> str:
    return (
        f'<Node pos="{pos}" depth="0" NCoef="0" IVar="-1" Cut="0" cType="1" res="{response}" rms="0" purity="{purity}" '
        f'nType="{node_type}">{inside}</Node>'
    )


def cut(value: str, left: str, right: str, variable: int = 0, kind: str = "1", pos: str = "s") -> str:
    return (
        f'<Node pos="{pos}" depth="0" NCoef="0" IVar="{variable}" Cut="{value}" cType="{kind}" res="-99" rms="0" '
        f'purity="0.5" nType="0">{left}{right}</Node>'
    )


LEFT, RIGHT = leaf(-1, "0.25", "-0.5", "l"), leaf(1, "0.75", "0.5", "r")
STUMP = cut("1.5", LEFT, RIGHT)
INVERTED = cut("1.5", LEFT, RIGHT, kind="0")
PRUNED = cut("1.5", leaf(-1, "0.25", "-0.5", "l", STUMP), RIGHT)


def weights(
    *trees: str,
    boost: str = "AdaBoost",
    weight: float = 1.0,
    kind: int = 0,
    options: str = "",
    weights: str = "",
    head: str = "",
) -> bytes:
    """Of one variable, unless ``head`` says otherwise."""
    head = head or '<Variables NVar="1"><Variable VarIndex="0" Expression="x"/></Variables>'
    forest = "".join(f'<BinaryTree type="DecisionTree" boostWeight="{weight}">{tree}</BinaryTree>' for tree in trees)
    return (
        '<?xml version="1.0"?>\n<MethodSetup Method="BDT::BDT">'
        '<GeneralInfo><Info name="AnalysisType" value="Classification"/></GeneralInfo>'
        f'<Options><Option name="BoostType">{boost}</Option>{options}</Options>{head}'
        f'<Weights {weights} NTrees="{len(trees)}" AnalysisType="{kind}">{forest}</Weights></MethodSetup>'
    ).encode()


def option(name: str, value: str) -> str:
    return f'<Option name="{name}" modified="Yes">{value}</Option>'


PURITY = option("UseYesNoLeaf", "False")
PRESELECTION = option("DoPreselection", "True")


def preselection(**cuts: float) -> str:
    """As ``LowBkg=-2``."""
    kinds = ("LowBkg", "LowSig", "HighBkg", "HighSig")
    return " ".join(
        f'Preselection{kind}Var0="{int(kind in cuts)}" Preselection{kind}Var0Value="{cuts.get(kind, 0)!r}"' for kind in kinds
    )


@pytest.mark.parametrize(
    ("content", "x", "expected"),
    [
        # "goes right: value >= cut" with cType 1, the contrary with cType 0; no comparison with NaN is true
        (weights(STUMP), [1.4999999, 1.5, NAN, -INF, INF], [-1, 1, -1, -1, 1]),
        (weights(INVERTED), [1.4999999, 1.5, NAN, -INF, INF], [1, -1, 1, 1, -1]),
        (weights(STUMP, options=PURITY), [1, 2], [0.25, 0.75]),
        (weights(STUMP, boost="RealAdaBoost"), [1, 2], [0.25, 0.75]),
        (weights(STUMP, kind=1), [1, 2], [-0.5, 0.5]),
        (weights(PRUNED), [1, 2], [-1, 1]),
        # the mean, also where it is of nothing
        (weights(STUMP, INVERTED), [1, 2], [0, 0]),
        (weights(STUMP, STUMP, weight=0), [1, 2], [0, 0]),
        (weights(STUMP, STUMP, weight=-1), [1, 2], [0, 0]),
        # tanh(sum)
        (weights(STUMP, STUMP, boost="Grad", kind=1), [1, 2], [np.tanh(-1.0), np.tanh(1.0)]),
        (weights(leaf(1, response="99"), boost="Grad", kind=1), [1, NAN], [1, 1]),
        (weights(leaf(1, response="-999"), boost="Grad", kind=1), [1, NAN], [-1, -1]),
        # -1 or +1 outside of the cuts, which are doubles; the last that holds counts
        (weights(STUMP, options=PRESELECTION, weights=preselection(LowSig=0.1)), [0.1, 0.0999999, NAN], [-1, 1, -1]),
        (weights(STUMP, options=PRESELECTION, weights=preselection(HighBkg=2.7)), [2.7, 2.6999998, NAN], [-1, 1, -1]),
        (weights(STUMP, options=PRESELECTION, weights=preselection(LowBkg=9, LowSig=0)), [-1, 5, 10], [1, -1, 1]),
        (weights(STUMP, options=PRESELECTION, weights=preselection(HighSig=1e300)), [INF, 3e38, 0], [1, 1, -1]),
        (weights(INVERTED, options=PRESELECTION, weights=preselection(LowBkg=-1e300)), [-INF, -3e38, 2], [-1, 1, -1]),
        (
            weights(STUMP, boost="Grad", kind=1, options=PRESELECTION, weights=preselection(HighSig=2)),
            [3, 2],
            [1, np.tanh(0.5)],
        ),
        # without the option the cuts are not asked
        (weights(STUMP, weights=preselection(LowSig=0.1)), [0, 2], [-1, 1]),
    ],
)
def test_by_hand(content: bytes, x: list[float], expected: list[float], build: Build) -> None:
    imported = read(content, "model.xml")
    X = np.array(x, dtype=np.float32)[:, None]
    np.testing.assert_allclose(imported.answer(X), expected, rtol=0, atol=1e-15)
    np.testing.assert_allclose(answers(build(imported), X), expected, rtol=0, atol=6e-8)


@pytest.mark.parametrize(
    ("variables", "names"),
    [
        ('<Variable VarIndex="0" Expression="a+b" Label="c"/>', ("a+b",)),
        ('<Variable VarIndex="0" Expression="" Label="c"/>', ("c",)),
        ('<Variable VarIndex="0"/>', None),
        ('<Variable VarIndex="0" Expression="&#x20AC;&#xB5;"/>', ("€µ",)),
        ('<Variable VarIndex="0" Expression="µ"/>', ("µ",)),
    ],
)
def test_names(variables: str, names: tuple[str, ...] | None) -> None:
    content = weights(STUMP, head=f'<Variables NVar="1">{variables}</Variables>')
    assert read(content, "model.xml").feature_names == names
    assert read(b"\xef\xbb\xbf\n  " + content, "with a byte order mark").feature_names == names


def test_names_that_do_not_tell_apart_are_none() -> None:
    twice = '<Variable VarIndex="{}" Expression="a" Label="a{}" Internal="b"/>'
    head = f'<Variables NVar="2">{twice.format(1, 1)}{twice.format(0, 0)}</Variables>'
    assert read(weights(STUMP, head=head), "model.xml").feature_names == ("a0", "a1")


def test_byte_of_latin_1_is_a_letter() -> None:
    content = weights(STUMP, head='<Variables NVar="1"><Variable VarIndex="0" Expression="µ"/></Variables>')
    assert read(content.decode().encode("latin-1"), "model.xml").feature_names == ("µ",)


def edited(old: str, new: str, name: str = "adaboost") -> bytes:
    text = content_of(name).decode()
    assert old in text
    return text.replace(old, new).encode()


NO_ONNX = "model.xml has no exact ONNX form: "
NO_TMVA = "model.xml cannot be read as a TMVA weight file: "


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (edited('value="Classification"', 'value="Multiclass"'), NO_ONNX + "its AnalysisType is 'Multiclass'"),
        (edited('value="Classification"', 'value="Regression"'), NO_ONNX + "its AnalysisType is 'Regression'"),
        (edited('NClass="2"', 'NClass="3"'), NO_ONNX + "it has 3 classes and 0 regression targets"),
        (edited("<MVAPdfs/>", '<Targets NTrgt="1"/>'), NO_ONNX + "it has 2 classes and 1 regression targets"),
        (edited(">AdaBoost<", ">AdaBoostR2<"), NO_ONNX + "BoostType 'AdaBoostR2' is none of AdaBoost, Bagging, Grad"),
        (edited('NCoef="0"', 'NCoef="3" fC0="1" fC1="1" fC2="0"'), NO_ONNX + "it cuts on combinations of variables"),
        (
            edited(">None<", ">N,D<"),
            NO_ONNX + r"it transforms its variables first \(N,D\); train a BDT with VarTransform=None",
        ),
        (
            edited(
                '<Transformations NTransformations="0"/>', '<Transformations><Transform Name="Normalize"/></Transformations>'
            ),
            NO_ONNX + r"it transforms its variables first \(Normalize\)",
        ),
        (
            edited("</Options>", option("UseWeightedTrees", "False") + "</Options>"),
            NO_ONNX + "with UseWeightedTrees=False versions of ROOT disagree",
        ),
        (weights(STUMP, weight=NAN), NO_ONNX + "it has a boostWeight that is not a finite number"),
        (weights(cut("nan", LEFT, RIGHT)), NO_ONNX + "it has cuts that are not finite numbers of 32 bits"),
        (weights(cut("1e39", LEFT, RIGHT)), NO_ONNX + "it has cuts that are not finite numbers of 32 bits"),
        (weights(cut("1.5", leaf(1, "inf", pos="l"), RIGHT), options=PURITY), NO_ONNX + "it has leaves without a value"),
        (weights(), NO_ONNX + "it has no trees"),
        (weights(STUMP, head='<Variables NVar="0"/>'), NO_ONNX + "it has no variables"),
        (
            weights(STUMP, options=PRESELECTION, weights=preselection(LowBkg=NAN)),
            NO_ONNX + "PreselectionLowBkgVar0 is not a fin",
        ),
        (edited("BDT::BDT", "Cuts::Cuts"), "model.xml holds a TMVA method 'Cuts'; only BDT"),
        (b"", NO_TMVA + "it is not XML, or damaged"),
        (b"\x80\x04\x95pickle", NO_TMVA + "it is not XML, or damaged"),
        (b"#GEN -*-*- general info", NO_TMVA + "it is in the text format of TMVA before version 4"),
        (b"<html/>", NO_TMVA + "it begins with <html>"),
        (b'<MethodSetup Method="BDT::BDT"/>', NO_TMVA + "it has no section of weights"),
        ("<MethodSetup/>".encode("utf-16"), NO_TMVA + "it begins with <MethodSetup>, not with <MethodSetup Method=...>"),
        (
            weights(STUMP, options=PRESELECTION),
            NO_TMVA + "PreselectionLowBkgVar0 is missing, though it was trained with DoPre",
        ),
        (weights(cut("1.5", LEFT, RIGHT, variable=1)), NO_TMVA + "it cuts on variable 1 of 1"),
        (weights(cut("1.5", LEFT, RIGHT, variable=-1)), NO_TMVA + "it cuts on variable -1 of 1"),
        (weights(cut("1.5", LEFT, RIGHT, kind="2")), NO_TMVA + "cType is '2', in tree 0"),
        (weights(cut("1_5", LEFT, RIGHT)), NO_TMVA + "Cut is '1_5', in tree 0"),
        (weights(STUMP, cut("1.5", LEFT, "")), NO_TMVA + "tree 1 has a cut with one branch only"),
        (weights(cut("1.5", LEFT, LEFT + RIGHT)), NO_TMVA + "tree 0 has a node that is not one left or right branch"),
        (weights(STUMP + STUMP), NO_TMVA + "tree 0 has two roots"),
        (weights(STUMP, ""), NO_TMVA + "tree 1 has no node"),
        (edited("<Node ", "<Nod ").replace(b"</Node>", b"</Nod>"), NO_TMVA + "tree 0 holds <Nod>, not <Node>"),
        (edited('NTrees="7"', 'NTrees="8"'), NO_TMVA + "it announces '8' trees and holds 7"),
        (edited('NTrees="7"', 'NTrees="4000000000"'), NO_TMVA + "it announces '4000000000' trees and holds 7"),
        (edited('NVar="4"', 'NVar="5"'), NO_TMVA + "it announces 5 variables and lists 4"),
        (edited('NVar="4"', 'NVar="99999999999999999999"'), NO_TMVA + "NVar is '9{20}', in its head"),
        (edited('VarIndex="3"', 'VarIndex="2"'), NO_TMVA + "its variables are not numbered from 0 on"),
        (edited('VarIndex="3"', ""), NO_TMVA + "VarIndex is missing, in its variables"),
        (edited('AnalysisType="0"', 'AnalysisType="x"'), NO_TMVA + "AnalysisType is 'x', in its weights"),
        (edited("</Weights>", "</Weights><Weights/>"), NO_TMVA + "it has two sections of weights"),
        (gzip.compress(content_of("adaboost"), mtime=0)[:-9], NO_TMVA + "its compression with gzip is damaged"),
        (gzip.compress(b"<" * 10, mtime=0)[:12], NO_TMVA + "its compression with gzip is damaged"),
    ],
)
def test_refused(content: bytes, reason: str) -> None:
    with pytest.raises(MlbkgError, match=reason) as caught:
        read(content, "model.xml")
    assert caught.value.where == "model.xml"


HEAD = b'<MethodSetup Method="BDT::BDT">'
ENTITIES = b'<!DOCTYPE m [<!ENTITY a "aaaaaaaaaa">' + b"".join(
    f'<!ENTITY {new} "{f"&{old};" * 10}">'.encode() for old, new in pairwise("abcdefghij")
)
VARIABLES = b'<Variables NVar="1">'
MIB = 2**20


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (ENTITIES + b']><MethodSetup Method="&j;"/>', "a document type declaration, which TMVA never writes"),
        (b'<!DOCTYPE m SYSTEM "file:///etc/passwd"><MethodSetup/>', "a document type declaration"),
        (HEAD + b"<a>" * 10**6, f"nested more than {MAX_NESTING} deep"),
        (
            HEAD + b'<Weights><BinaryTree boostWeight="1">' + cut("1", "", "")[:-7].encode() * 10**4,
            "has a node that is not one",
        ),
        (HEAD + b"<a/>" * 10**6, f"or {MAX_OTHER_ELEMENTS:,} trees and other elements"),
        (HEAD + VARIABLES + b"<V/>" * 10**5, f"takes more than the {MAX_FEATURES:,} variables"),
        (HEAD + VARIABLES + b'<V Label="' + b"a" * MIB, "damaged"),
        (HEAD + VARIABLES + b'<V Label="' + b"a" * MIB + b'"/>', "variable 0 has a name of more than 1,000 letters"),
        (HEAD + b'<Info name="' + b"a" * 20 * MIB, "a tag longer than 8 MiB"),
        (HEAD + b"".join(b'<a b%d=""/>' % i for i in range(2 * MAX_NAMES)), f"names|{MAX_OTHER_ELEMENTS:,}"),
        (HEAD + b"".join(b'<a b%d="" c%d=""/>' % (i, i) for i in range(MAX_NAMES)), f"of more than {MAX_NAMES:,} names"),
        (HEAD + b'<Options><Option name="BoostType">' + b"ab\n" * 10**6, "damaged"),
        (gzip.compress(gzip.compress(b"\0" * 10 * MIB, mtime=0), mtime=0), "it is not XML, or damaged"),
        (gzip.compress(b" " * (MAX_UNPACKED_BYTES + 1), 1, mtime=0), "it unpacks to more than 256 MiB"),
    ],
)
def test_bombs_are_refused_in_no_time(content: bytes, reason: str) -> None:
    start = time.perf_counter()
    with pytest.raises(MlbkgError, match=reason):
        read(content, "model.xml")
    assert time.perf_counter() - start < 5


def test_nodes_are_counted_before_memory_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_NODES <= 2_000_000
    monkeypatch.setattr("mlbkg.export.importers.tmva_xml.MAX_NODES", 1000)
    for inside in (b'<Node pos="l"/>' * 1001, LEFT.encode() * 1001):
        content = HEAD + b'<Weights><BinaryTree boostWeight="1">' + leaf()[:-7].encode() + inside
        with pytest.raises(MlbkgError, match="more than 1,000 nodes"):
            read(content, "model.xml")


def test_what_is_not_used_is_not_kept() -> None:
    filling = b"".join(b'<Option name="%d">%s</Option>' % (i, b"a" * 1000) for i in range(20_000))
    content = weights(STUMP, options="@").replace(b"@", filling)
    tracemalloc.start()
    try:
        read(content, "model.xml")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < len(content) / 4


def test_preselection_before_many_trees_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlbkg.export.importers.tmva_forest.MAX_NODES", 40)
    content = weights(*[STUMP] * 10, options=PRESELECTION, weights=preselection(LowBkg=0))
    with pytest.raises(MlbkgError, match="with its preselection in front of every tree it would have more than 40 nodes"):
        read(content, "model.xml")


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    words = [b"nan", b"-1", b"99999999999", b"1e400", b"&a;", b"<Node>", b"</Node>", b"\xff\x00", b"'", b"", b"2"]
    damage = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        at = int(rng.integers(len(damage)))
        kind = rng.integers(5)
        if kind == 0:
            damage[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            damage[at : at + int(rng.integers(0, 6))] = words[rng.integers(len(words))]
        elif kind == 2:
            damage[at:at] = damage[at : at + int(rng.integers(300))]
        elif kind == 3 and (digits := [i for i in range(at, min(at + 200, len(damage))) if 48 <= damage[i] < 58]):
            damage[digits[rng.integers(len(digits))]] = 48 + int(rng.integers(10))
        elif rng.random() < 0.2:
            del damage[at + 1 :]
    return bytes(damage)


def test_any_bytes_give_an_error_or_a_model() -> None:
    rng = np.random.default_rng(7)
    sources = [content_of(name) for name in NAMES]
    sources.append(gzip.compress(content_of("adaboost"), mtime=0))
    outcomes = {"error": 0, "model": 0}
    for _ in range(600):
        try:
            imported = read(damaged(sources[rng.integers(len(sources))], rng), "damaged.xml")
        except MlbkgError:
            outcomes["error"] += 1
        else:
            outcomes["model"] += 1
            found = imported.answer(rng.normal(size=(3, imported.forest.n_features)).astype(np.float32))
            assert np.isfinite(found).all()
    assert min(outcomes.values()) > 40


def test_every_truncation_is_an_error() -> None:
    content = content_of("adaboost").rstrip()
    for length in range(0, len(content), 97):
        with pytest.raises(MlbkgError):
            read(content[:length], "cut.xml")
