"""A walk over the bytes of an ONNX file before anything parses them.

Two bytes of a protobuf message can become a hundred in memory, and what a reader does not know it keeps for the next one.
Here only those fields pass that a model of trees needs: no functions, no graphs within nodes, no data in other files, and
none that this version of ONNX does not know.
"""

from __future__ import annotations

import re
from typing import Any

from mlbkg.errors import MlbkgError
from mlbkg.export.safety.refusal import damaged, refused

MAX_BYTES = 128 * 2**20
MAX_MESSAGES = 500_000
"""Nodes, attributes, tensors, dimensions and entries together."""
MAX_STRINGS = 500_000
"""Of attributes, but for the modes of trees' nodes."""
_ALLOWED: dict[str, frozenset[str]] = {
    name: frozenset(fields.split())
    for name, fields in {
        "ModelProto": "ir_version opset_import producer_name producer_version domain model_version doc_string graph "
        "metadata_props",
        "OperatorSetIdProto": "domain version",
        "StringStringEntryProto": "key value",
        "GraphProto": "node name initializer doc_string input output",
        "NodeProto": "input output name op_type domain attribute doc_string",
        "AttributeProto": "name doc_string type f i s t floats ints strings",
        "TensorProto": "dims data_type float_data int32_data int64_data double_data name doc_string raw_data data_location",
        "ValueInfoProto": "name type doc_string",
        "TypeProto": "tensor_type denotation",
        "Tensor": "elem_type shape",
        "TensorShapeProto": "dim",
        "Dimension": "dim_value dim_param denotation",
    }.items()
}
_REASONS = {
    "functions": "it defines functions of its own",
    "g": "it has control flow: a graph within a node",
    "graphs": "it has control flow: graphs within a node",
    "external_data": "it keeps data in other files",
    "sparse_initializer": "it has sparse tensors",
    "sparse_tensor": "it has sparse tensors",
    "sparse_tensors": "it has sparse tensors",
    "training_info": "it has training steps",
}
_LISTS = ("dims", "floats", "ints", "float_data", "int32_data", "int64_data", "double_data")
# The numbers and modes of a tree ensemble, millions of which must not be walked over one by one.
_NUMBERS = re.compile(rb"(?:\x40[\x80-\xff]{0,9}[\x00-\x7f]|\x3d.{4})*+", re.DOTALL)
_MODES = re.compile(rb"(?:\x4a(?:\x04LEAF|\x09BRANCH_LT|\x0aBRANCH_LEQ|\x09BRANCH_GT|\x0aBRANCH_GTE))*+")
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5


def scan(content: bytes, where: str) -> None:
    """Raises :class:`MlbkgError` for what is no ONNX file, and for one that holds more than it may."""
    from onnx import ModelProto

    waiting = [(ModelProto.DESCRIPTOR, 0, len(content))]
    messages = strings = 0
    while waiting:
        kind, position, end = waiting.pop()
        is_attribute = kind.name == "AttributeProto"
        while position < end:
            if is_attribute:
                position = _after_bulk(content, position, end)
                if position == end:
                    break
            field, wire, position = _field(content, position, end, kind, where)
            start, position = _contents(content, position, end, wire, where)
            if field.type == field.TYPE_STRING:
                _require_text(content[start:position], field.name, where)
            if field.message_type is not None:
                waiting.append((field.message_type, start, position))
                messages += 1
            strings += is_attribute and field.name == "strings"
            if messages > MAX_MESSAGES or strings > MAX_STRINGS:
                raise refused(where, f"it has more than {MAX_MESSAGES:,} parts")


def _require_text(content: bytes, name: str, where: str) -> None:
    """Python hands out bytes for text that is none, and ONNX Runtime takes it."""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise damaged(where, f"its {name} is not UTF-8") from error


def _after_bulk(content: bytes, position: int, end: int) -> int:
    for pattern in (_NUMBERS, _MODES):
        match = pattern.match(content, position, end)
        position = match.end() if match else position
    return position


def _field(content: bytes, position: int, end: int, kind: Any, where: str) -> tuple[Any, int, int]:
    """The field's description, how it is written, and where it begins."""
    tag, after = _varint(content, position, end, where)
    field, wire = kind.fields_by_number.get(tag >> 3), tag & 7
    if field is None and (wire not in (_VARINT, _EIGHT, _BYTES, _FOUR) or kind.name == "ModelProto"):
        raise _cut_off(where, position)
    if field is None or field.name not in _ALLOWED.get(kind.name, ()):
        name = f"a field {tag >> 3} of {kind.name}, which nobody knows" if field is None else f"the field '{field.name}'"
        raise refused(where, _REASONS.get("" if field is None else field.name, f"it has {name}"))
    if wire not in _wires(field):
        raise _cut_off(where, position)
    return field, wire, after


def _wires(field: Any) -> tuple[int, ...]:
    """How the field may be written; lists of numbers also as one run of bytes."""
    if field.type in (field.TYPE_MESSAGE, field.TYPE_STRING, field.TYPE_BYTES):
        return (_BYTES,)
    number = {field.TYPE_FLOAT: _FOUR, field.TYPE_DOUBLE: _EIGHT}.get(field.type, _VARINT)
    return (number, _BYTES) if field.name in _LISTS else (number,)


def _contents(content: bytes, position: int, end: int, wire: int, where: str) -> tuple[int, int]:
    """From where to where the field's value goes."""
    begin = position
    if wire == _VARINT:
        _, position = _varint(content, position, end, where)
    elif wire == _BYTES:
        length, begin = _varint(content, position, end, where)
        position = begin + length
    else:
        position += 8 if wire == _EIGHT else 4
    if position > end:
        raise _cut_off(where, begin)
    return begin, position


def _varint(content: bytes, position: int, end: int, where: str) -> tuple[int, int]:
    """A number of 7 bits a byte, and what comes after it."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= end:
            break
        byte = content[position]
        value, position = value | (byte & 0x7F) << shift, position + 1
        if byte < 0x80:
            return value, position
    raise _cut_off(where, position)


def _cut_off(where: str, position: int) -> MlbkgError:
    return damaged(where, f"it makes no sense from byte {position} on")
