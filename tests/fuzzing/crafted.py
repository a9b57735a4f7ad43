"""Files that no accident makes: small ones that grow, go round in circles, or open something, where a reader trusts them."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterator

from corpus import TMVA_XML, Seeds

_HUGE = 2**31 - 1


def crafted(seeds: Seeds) -> Iterator[tuple[str, str, bytes]]:
    """Kind, what it does, the file. None of them is a model."""
    yield from _xml()
    yield from _fastbdt(seeds)
    yield from _xgboost()
    yield from _lightgbm(seeds)
    yield from _onnx()
    for kind in seeds:
        yield kind, "a pickle that would run a command", b"cos\nsystem\n(S'touch /tmp/mlbkg-was-here'\ntR."
        yield kind, "an old XGBoost binary", b"binf" + bytes(2000)
        yield kind, "nothing", b""
        yield kind, "zeros", bytes(2**20)


def _xml() -> Iterator[tuple[str, str, bytes]]:
    entities = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10 if i else "x" * 100}">' for i in range(12))
    laughs = f'<?xml version="1.0"?><!DOCTYPE a [{entities}]>'.encode()
    file = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/passwd">]>'
    head, _, rest = TMVA_XML.partition(b"<BinaryTree")
    for kind in ("tmva", "basf2-xml"):
        yield kind, "entities of entities", laughs + b"<MethodSetup Method='&e11;'/>"
        yield kind, "an entity that is a file", file + b"<MethodSetup Method='&f;'/>"
        yield kind, "elements without end", b"<MethodSetup Method='BDT::BDT'>" + b"<a>" * 300_000
        yield kind, "one long tag", b"<MethodSetup Method='" + b"x" * 2**21
        yield kind, "many attributes", b"<MethodSetup " + b" ".join(b'a%d="1"' % i for i in range(100_000)) + b"/>"
    deep = b'<BinaryTree type="DecisionTree" boostWeight="1" itree="0">'
    deep += b'<Node pos="s" depth="0" IVar="0" Cut="1" cType="1" purity="0.5" nType="0">' * 50_000
    yield "tmva", "a tree that is too deep", head + deep
    yield "tmva", "announced trees", TMVA_XML.replace(b'NTrees="2"', b'NTrees="2147483647"')
    yield "tmva", "announced variables", TMVA_XML.replace(b'NVar="2"', b'NVar="2147483647"')
    yield "tmva-gz", "blanks, packed", gzip.compress(b"<a>" + b" " * 2**28, mtime=0)
    yield "tmva-gz", "elements, packed", gzip.compress(head + b"<Node/>" * 2**23 + rest, mtime=0)
    yield "tmva-gz", "trees, packed", gzip.compress(head + (b"<BinaryTree" + rest.split(b"</Weights>")[0]) * 20_000, mtime=0)
    yield "tmva-gz", "packed twice", gzip.compress(gzip.compress(TMVA_XML, mtime=0), mtime=0)


def _fastbdt(seeds: Seeds) -> Iterator[tuple[str, str, bytes]]:
    for number in (_HUGE, 2**63, 10**30, -1):
        for text in seeds.get("fastbdt", [])[:1]:
            words = text.split()
            for place in (0, 1, 2, 3, 5):
                changed = [*words[:place], str(number).encode(), *words[place + 1 :]]
                yield "fastbdt", f"word {place} is {number}", b" ".join(changed)
    yield "fastbdt", "ones without end", b"1 " * 500_000
    yield "fastbdt", "a number of a million digits", b"1 " + b"9" * 10**6


def _xgboost() -> Iterator[tuple[str, str, bytes]]:
    yield "xgboost-json", "brackets without end", b'{"learner": ' + b"[" * 10**6
    yield "xgboost-json", "a number of a million digits", b'{"learner": ' + b"9" * 10**6 + b"}"
    yield "xgboost-json", "a key a million times", b'{"learner": {' + b'"a":{},' * 10**5 + b'"a":{}}}'
    for marker in b"ZTFNUD[{":
        typed = b"[$" + bytes([marker]) + b"#L"
        for count in (_HUGE, 2**62, -1):
            yield (
                "xgboost-ubj",
                f"{count} of {chr(marker)}",
                b"{L" + struct.pack(">q", 1) + b"a" + typed + struct.pack(">q", count),
            )
    yield "xgboost-ubj", "arrays without end", b"{L" + struct.pack(">q", 1) + b"a" + b"[" * 10**6
    yield "xgboost-ubj", "a long key", b"{L" + struct.pack(">q", 2**62)


def _lightgbm(seeds: Seeds) -> Iterator[tuple[str, str, bytes]]:
    for text in seeds.get("lightgbm", [])[:1]:
        for key in (b"num_leaves", b"max_feature_idx", b"num_cat", b"num_class", b"shrinkage"):
            lines = text.split(b"\n")
            for value in (b"2147483647", b"9" * 30, b"-1", b"1e300"):
                changed = [key + b"=" + value if line.startswith(key + b"=") else line for line in lines]
                yield "lightgbm", f"{key.decode()} is {value.decode()}", b"\n".join(changed)
        yield "lightgbm", "lines without end", b"tree\n" + b"a=1\n" * 500_000
        yield "lightgbm", "children in a circle", text.replace(b"left_child=1", b"left_child=0")


def _onnx() -> Iterator[tuple[str, str, bytes]]:
    yield "onnx", "a million empty nodes", b"\x3a\x80\x80\x80\x01" + b"\x0a\x00" * 2**20
    yield "onnx", "ONNX Runtime's own format", b"\x1c\x00\x00\x00ORTM" + bytes(1000)
    yield "onnx", "a length beyond the end", b"\x3a\xff\xff\xff\xff\x0f"
