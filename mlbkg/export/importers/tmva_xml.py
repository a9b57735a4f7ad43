"""TMVA weight files as they are: options, variables and the nodes of all trees.

The XML is what ``TMVA::MethodBase::WriteStateToXML`` of ROOT 5 and 6 writes: ``<MethodSetup Method="BDT::BDTG">`` with the
sections GeneralInfo, Options, Variables, Classes, Transformations and Weights; the last holds one ``<BinaryTree>`` a tree,
whose nodes are nested as the tree is. It is read in one pass without recursion, and nodes that TMVA never visits, below one
whose ``nType`` is not 0, are left out. A document type declaration is refused before anything it could define is expanded.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

import numpy as np
from numpy.typing import NDArray

from mlbkg.errors import MlbkgError
from mlbkg.export.forest import MAX_FEATURES, refused
from mlbkg.export.importers.tmva_words import decimal, decoded, flag, integer, shown, unreadable

MAX_NESTING = 512
MAX_NODES = 2_000_000
MAX_OTHER_ELEMENTS = 200_000
"""Trees, variables, options and all else that is no node."""
MAX_TAG_BYTES = 8 * 2**20
MAX_NAMES = 100_000
"""Different names of elements and attributes, which expat remembers."""
_MAX_TEXT = 1000
"""Letters of an option, or of a variable's name."""
_INFO = ("TMVA Release", "ROOT Release", "AnalysisType")
_OPTIONS = ("BoostType", "UseYesNoLeaf", "UseWeightedTrees", "DoPreselection", "VarTransform", "Normalise", "D")
_VARIABLE = ("VarIndex", "Expression", "Label", "Internal")
_CHUNK = 2**20
_ROOT = "MethodSetup"
_BEFORE_XML = b"#GEN"
_BEFORE_TAG = re.compile(rb"(\xef\xbb\xbf)?\s*")
_SKIPPED = -1


@dataclass(frozen=True, eq=False)
class Nodes:
    """The trees' nodes, one tree after the other, each from its root on.

    tree_offset: ``(n_trees + 1,)``; tree ``t`` has nodes ``tree_offset[t]`` to ``tree_offset[t + 1] - 1``. boost_weight:
    ``(n_trees,)``. Per node: node_type, 0 where ``variable`` is compared with ``cut``; left, right, the child's index within
    its tree, 0 at a leaf; is_signal_cut, TMVA's ``cType``. Floats are as TMVA keeps them, in 32 bits.
    """

    tree_offset: NDArray[np.int64]
    boost_weight: NDArray[np.float32]
    node_type: NDArray[np.int32]
    variable: NDArray[np.int32]
    cut: NDArray[np.float32]
    is_signal_cut: NDArray[np.bool_]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    response: NDArray[np.float32]
    purity: NDArray[np.float32]

    @property
    def n_trees(self) -> int:
        return len(self.boost_weight)


@dataclass(frozen=True, eq=False)
class WeightFile:
    """The words of a weight file that matter.

    variables: the attributes of each ``<Variable>``; weights: those of ``<Weights>``. transformations:
    the names of those that change the variables before the trees see them.
    """

    method: str
    info: Mapping[str, str]
    options: Mapping[str, str]
    variables: tuple[Mapping[str, str], ...]
    n_classes: int
    n_targets: int
    transformations: tuple[str, ...]
    weights: Mapping[str, str]
    nodes: Nodes


def parse(content: bytes, where: str) -> WeightFile:
    """Raises :class:`MlbkgError` for everything that is not the XML of a BDT, and for trees that are none."""
    if content[:100].lstrip().startswith(_BEFORE_XML):
        raise unreadable(where, "it is in the text format of TMVA before version 4; only XML is read")
    reader = _Reader(where)
    # TMVA writes bytes and declares no encoding: each byte is taken for a character, and names are decoded later
    parser = expat.ParserCreate("iso-8859-1")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = reader.doctype
    try:
        _feed(parser, memoryview(content)[_first_byte(content) :], where)
    except expat.ExpatError as error:
        raise unreadable(where, f"it is not XML, or damaged ({error})") from error
    return reader.result()


def _first_byte(content: bytes) -> int:
    """Behind a byte order mark and the white space that some converters of other models begin with."""
    before = _BEFORE_TAG.match(content)
    assert before is not None
    return before.end()


def _feed(parser: expat.XMLParserType, content: memoryview, where: str) -> None:
    """In pieces, because expat needs a multiple of a tag's length in memory, and long for it."""
    for first in range(0, len(content), _CHUNK):
        parser.Parse(content[first : first + _CHUNK], False)
        if first + _CHUNK - parser.CurrentByteIndex > MAX_TAG_BYTES:
            raise unreadable(where, f"it has a tag longer than {MAX_TAG_BYTES // 2**20} MiB")
        if len(parser.intern) > MAX_NAMES:
            raise unreadable(where, f"it has elements and attributes of more than {MAX_NAMES:,} names")
    parser.Parse(b"", True)


@dataclass
class _Columns:
    """The nodes so far; in arrays, because a Python object for each number of a large forest would fill the memory."""

    first: array[int] = field(default_factory=lambda: array("q"))
    boost_weight: array[float] = field(default_factory=lambda: array("d"))
    node_type: array[int] = field(default_factory=lambda: array("i"))
    variable: array[int] = field(default_factory=lambda: array("i"))
    cut: array[float] = field(default_factory=lambda: array("d"))
    is_signal_cut: array[int] = field(default_factory=lambda: array("b"))
    left: array[int] = field(default_factory=lambda: array("i"))
    right: array[int] = field(default_factory=lambda: array("i"))
    response: array[float] = field(default_factory=lambda: array("d"))
    purity: array[float] = field(default_factory=lambda: array("d"))

    def nodes(self) -> Nodes:
        with np.errstate(over="ignore", under="ignore"):
            return Nodes(
                tree_offset=np.array([*self.first, len(self.node_type)], dtype=np.int64),
                boost_weight=np.array(self.boost_weight, dtype=np.float32),
                node_type=np.array(self.node_type, dtype=np.int32),
                variable=np.array(self.variable, dtype=np.int32),
                cut=np.array(self.cut, dtype=np.float32),
                is_signal_cut=np.array(self.is_signal_cut, dtype=bool),
                left=np.array(self.left, dtype=np.int32),
                right=np.array(self.right, dtype=np.int32),
                response=np.array(self.response, dtype=np.float32),
                purity=np.array(self.purity, dtype=np.float32),
            )


class _Reader:
    """What expat calls."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._path: list[str] = []
        self._n_nodes = self._n_others = 0
        self._parents: list[int] | None = None
        self._columns = _Columns()
        self._method = ""
        self._info: dict[str, str] = {}
        self._options: dict[str, str] = {}
        self._option: str | None = None
        self._variables: list[dict[str, str]] = []
        self._declared = {"NVar": 0, "NClass": 0, "NTrgt": 0}
        self._transformations: list[str] = []
        self._weights: dict[str, str] | None = None

    def doctype(self, *_: object) -> None:
        raise unreadable(self._where, "it has a document type declaration, which TMVA never writes")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        try:
            self._start(name, attributes)
        except ValueError as error:
            raise unreadable(self._where, f"{error}, in {self._here()}") from None

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._path.append(name)
        if len(self._path) > MAX_NESTING:
            raise unreadable(self._where, f"its elements are nested more than {MAX_NESTING} deep")
        self._count()
        if self._parents is not None:
            self._start_node(name, attributes)
        elif len(self._path) == 1:
            self._start_method(name, attributes)
        elif len(self._path) == 2:
            self._start_section(name, attributes)
        elif len(self._path) == 3:
            self._start_entry(name, attributes)

    def _count(self) -> None:
        if self._parents is None:
            self._n_others += 1
        else:
            self._n_nodes += 1
        if self._n_nodes > MAX_NODES or self._n_others > MAX_OTHER_ELEMENTS:
            raise unreadable(
                self._where, f"it has more than {MAX_NODES:,} nodes or {MAX_OTHER_ELEMENTS:,} trees and other elements"
            )

    def end(self, _: str) -> None:
        self._path.pop()
        self._option = None
        if self._parents:
            self._parents.pop()
        elif self._parents is not None and len(self._path) == 2:
            self._end_tree()

    def text(self, text: str) -> None:
        if self._option is not None and len(self._options[self._option]) < _MAX_TEXT:
            self._options[self._option] += text[:_MAX_TEXT]

    def result(self) -> WeightFile:
        if self._weights is None:
            raise unreadable(self._where, "it has no section of weights")
        if self._declared["NVar"] != len(self._variables):
            raise unreadable(
                self._where, f"it announces {self._declared['NVar']} variables and lists {len(self._variables)}"
            )
        if (announced := self._weights.get("NTrees")) != str(len(self._columns.first)):
            raise unreadable(self._where, f"it announces {shown(announced)} trees and holds {len(self._columns.first)}")
        return WeightFile(
            method=self._method,
            info=self._info,
            options=self._options,
            variables=tuple(self._variables),
            n_classes=self._declared["NClass"],
            n_targets=self._declared["NTrgt"],
            transformations=tuple(self._transformations),
            weights=self._weights,
            nodes=self._columns.nodes(),
        )

    def _start_method(self, name: str, attributes: dict[str, str]) -> None:
        if name != _ROOT or "Method" not in attributes:
            raise unreadable(self._where, f"it begins with <{decoded(name)[:60]}>, not with <{_ROOT} Method=...>")
        self._method = decoded(attributes["Method"])
        kind = self._method.partition("::")[0]
        if kind != "BDT":
            raise MlbkgError(
                f"{self._where} holds a TMVA method '{kind[:60]}'; only BDT is made of trees that can become ONNX",
                where=self._where,
            )

    def _start_section(self, name: str, attributes: dict[str, str]) -> None:
        counts = {"Variables": "NVar", "Classes": "NClass", "Targets": "NTrgt"}
        if name in counts:
            self._declared[counts[name]] = integer(attributes, counts[name])
        elif name == "Weights":
            if self._weights is not None:
                raise unreadable(self._where, "it has two sections of weights")
            self._weights = attributes

    def _start_entry(self, name: str, attributes: dict[str, str]) -> None:
        section = self._path[1]
        own_name = attributes.get("name", "")
        if section == "GeneralInfo" and own_name in _INFO:
            self._info[own_name] = decoded(attributes.get("value", "")[:_MAX_TEXT])
        elif section == "Options" and own_name in _OPTIONS:
            self._option = own_name
            self._options[own_name] = ""
        elif section == "Variables":
            self._add_variable(attributes)
        elif section == "Transformations":
            self._transformations.append(decoded(attributes.get("Name", name)[:100]))
        elif section == "Weights":
            self._start_tree(name, attributes)

    def _add_variable(self, attributes: dict[str, str]) -> None:
        if len(self._variables) >= MAX_FEATURES:
            raise refused(self._where, f"it takes more than the {MAX_FEATURES:,} variables that are supported")
        variable = {name: attributes[name] for name in _VARIABLE if name in attributes}
        if any(len(text) > _MAX_TEXT for text in variable.values()):
            raise unreadable(self._where, f"variable {len(self._variables)} has a name of more than {_MAX_TEXT:,} letters")
        self._variables.append(variable)

    def _start_tree(self, name: str, attributes: dict[str, str]) -> None:
        if name != "BinaryTree":
            raise unreadable(self._where, f"its weights hold <{decoded(name)[:60]}>, not <BinaryTree>")
        self._parents = []
        self._columns.first.append(len(self._columns.node_type))
        self._columns.boost_weight.append(decimal(attributes, "boostWeight"))

    def _end_tree(self) -> None:
        self._parents = None
        columns = self._columns
        first = columns.first[-1]
        if first == len(columns.node_type):
            raise unreadable(self._where, f"{self._here()} has no node")
        for node in range(first, len(columns.node_type)):
            if columns.node_type[node] == 0 and 0 in (columns.left[node], columns.right[node]):
                raise unreadable(self._where, f"{self._here()} has a cut with one branch only")

    def _start_node(self, name: str, attributes: dict[str, str]) -> None:
        assert self._parents is not None
        if name != "Node":
            raise unreadable(self._where, f"{self._here()} holds <{decoded(name)[:60]}>, not <Node>")
        columns, node = self._columns, len(self._columns.node_type)
        index = node - columns.first[-1]
        if self._parents:
            parent = self._parents[-1]
            if parent == _SKIPPED or columns.node_type[parent] != 0:
                self._parents.append(_SKIPPED)
                return
            side = {"l": columns.left, "r": columns.right}.get(attributes.get("pos", ""))
            if side is None or side[parent]:
                raise unreadable(self._where, f"{self._here()} has a node that is not one left or right branch of a cut")
            side[parent] = index
        elif index:
            raise unreadable(self._where, f"{self._here()} has two roots")
        self._parents.append(node)
        self._add_node(attributes)

    def _add_node(self, attributes: dict[str, str]) -> None:
        columns = self._columns
        node_type = integer(attributes, "nType")
        columns.node_type.append(node_type)
        columns.left.append(0)
        columns.right.append(0)
        if node_type:
            columns.variable.append(-1)
            columns.cut.append(0)
            columns.is_signal_cut.append(True)
            columns.response.append(decimal(attributes, "res") if "res" in attributes else np.nan)
            columns.purity.append(self._purity(attributes))
            return
        if "NCoef" in attributes and integer(attributes, "NCoef") != 0:
            raise refused(self._where, "it cuts on combinations of variables; train with UseFisherCuts=False")
        columns.variable.append(integer(attributes, "IVar"))
        columns.cut.append(decimal(attributes, "Cut"))
        columns.is_signal_cut.append(flag(attributes, "cType"))
        columns.response.append(0)
        columns.purity.append(0)

    def _purity(self, attributes: dict[str, str]) -> float:
        """TMVA 4.0 wrote what it is the quotient of, in 32 bits."""
        if "purity" in attributes:
            return decimal(attributes, "purity")
        if "nS" not in attributes or "nB" not in attributes:
            return np.nan
        with np.errstate(all="ignore"):
            signal, background = (np.float32(decimal(attributes, name)) for name in ("nS", "nB"))
            return float(signal / (signal + background))

    def _here(self) -> str:
        return f"tree {len(self._columns.first) - 1}" if self._columns.first else "its head"
