"""Weightfiles of basf2 as it lays them out (data/fastbdt/README.md says where these are from), sound and damaged."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest

from mlbkg.errors import MlbkgError
from mlbkg.export.importers.basf2_weightfile import is_weightfile, unpack
from mlbkg.export.importers.fastbdt import read

DATA = Path(__file__).parent / "data" / "fastbdt"
XML = (DATA / "basf2_v5.xml").read_bytes()
NAMES = ("M", "p<2", "useCMSFrame(p)", "daughter(0, pt)")
ROOT = (DATA / "basf2_v5.root").read_bytes()


@pytest.mark.parametrize(("content", "inside"), [(XML, "v5_purity"), (ROOT, "v5_margin")])
def test_holds_the_forest_and_its_features(content: bytes, inside: str) -> None:
    imported = read(content, "weightfile")
    alone = read((DATA / f"{inside}.txt").read_bytes(), "alone")
    X = np.loadtxt(DATA / f"{inside}.csv", delimiter=",", skiprows=1)[:, :-1].astype(np.float32)
    np.testing.assert_array_equal(imported.answer(X), alone.answer(X))
    assert imported.program == "FastBDT 5 in a basf2 weightfile"
    assert imported.feature_names == NAMES
    assert imported.has_width


def test_knows_what_is_a_weightfile() -> None:
    assert is_weightfile(XML)
    assert is_weightfile(ROOT)
    assert not is_weightfile((DATA / "v1.txt").read_bytes())


def edited(old: str, new: str) -> bytes:
    text = XML.decode()
    assert text.count(old) >= 1
    return text.replace(old, new, 1).encode()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (XML[: len(XML) // 2], "it is not XML"),
        (edited("<method>FastBDT</method>", "<method>TMVAClassification</method>"), "of the method 'TMVAClassification'"),
        (
            edited("<FastBDT_version>2</FastBDT_version>", "<FastBDT_version>7</FastBDT_version>"),
            "its FastBDT_version is '7'",
        ),
        (edited("FastBDT_Weightfile>", "Another>").replace(b"</FastBDT_Weightfile>", b"</Another>"), "it has no element"),
        (edited("<variable0>", "<variable9>").replace(b"</variable0>", b"</variable9>"), "and names"),
        (edited("<FastBDT_Weightfile>", "<FastBDT_Weightfile>*"), "is not base64"),
        (b'<!DOCTYPE b [<!ENTITY a "aaaa"><!ENTITY c "&a;&a;">]>' + XML, "document type|not XML"),
        (b"<a>" * 100_000, "elements within elements"),
        (ROOT[:200], "cannot be read as a ROOT file"),
        (b"root" + bytes(400), "no basf2 weightfile"),
    ],
)
def test_refused(content: bytes, reason: str) -> None:
    with pytest.raises(MlbkgError, match=reason) as caught:
        read(content, "weightfile.xml")
    assert caught.value.where == "weightfile.xml"


def test_a_damaged_root_file_gives_an_error_or_the_model() -> None:
    rng = np.random.default_rng(3)
    outcomes = set()
    for _ in range(100):
        content = bytearray(ROOT)
        content[rng.integers(len(content))] = rng.integers(256)
        try:
            outcomes.add(len(unpack(bytes(content), "damaged.root").variables))
        except MlbkgError as error:
            outcomes.add(error.where)
    assert outcomes == {4, "damaged.root"}


def test_base64_is_read_without_its_padding() -> None:
    text = unpack(XML, "a").text
    letters = base64.b64encode(text).rstrip(b"=")
    start, end = XML.index(b"<FastBDT_Weightfile>") + 20, XML.index(b"</FastBDT_Weightfile>")
    assert unpack(XML[:start] + letters + XML[end:], "b").text == text
