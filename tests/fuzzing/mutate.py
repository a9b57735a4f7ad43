"""Changes to files: to any bytes, to the numbers and words of a text, and to the fields of an ONNX message."""

from __future__ import annotations

import base64
import gzip
import re
import zlib
from collections.abc import Callable
from random import Random
from typing import Any

from mlbkg.export.seal import SEAL, sealed

Mutator = Callable[[bytes, bytes, Random], bytes]
LARGEST = 2 * 2**20
_NUMBER = re.compile(rb"(?<![\w.])[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?")
_WORD = re.compile(rb"[A-Za-z_][\w:.\-]*")
_INTERESTING = [
    *b"0 1 -1 2 3 7 255 256 65536 1048576 2147483647 2147483648 4294967296".split(),
    *b"9223372036854775808 18446744073709551616 -2 -2147483649 0.5 -0.0 1e-320 1e38".split(),
    *b"-3.5e38 1e308 1e999 nan inf -inf NaN Infinity 1_0 0x10 007 1e5 +1 .5 1.".split(),
    *(b"", b" ", b"9" * 400, b"9" * 5000, b"1e99999999", "１".encode(), b"true", b"null", b"[]", b"{}", b'"1"'),
]
_WIDTHS = (1, 2, 4, 8)
_INTEGERS = (0, 1, 2, 3, 7, 127, 128, 255, 2**15, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63, 2**64 - 1)
_BLOCK = re.compile(rb"<(\w+)[^<>]*(?:/>|>.{0,4000}?</\1>)|\{[^{}]*\}|\[[^\[\]]*\]|[^\n]*\n", re.DOTALL)


def mutated(kind: str, seeds: list[bytes], rng: Random) -> bytes:
    """One to four changes to one of the seeds; the others are what is spliced in."""
    content, other = rng.choice(seeds), rng.choice(seeds)
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4))):
        content = rng.choice(_MUTATORS[kind])(content, other, rng)[:LARGEST]
    return content


def flip_bits(content: bytes, _: bytes, rng: Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8, 64)) if changed else 0):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def overwrite_integer(content: bytes, _: bytes, rng: Random) -> bytes:
    width, order = rng.choice(_WIDTHS), rng.choice(("little", "big"))
    value = (rng.choice(_INTEGERS) % 256**width).to_bytes(width, order)  # type: ignore[arg-type]
    place = rng.randrange(len(content) + 1)
    return content[:place] + value + content[place + width :]


def truncate(content: bytes, _: bytes, rng: Random) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def drop(content: bytes, _: bytes, rng: Random) -> bytes:
    first, last = sorted((rng.randrange(len(content) + 1), rng.randrange(len(content) + 1)))
    return content[:first] + content[min(last, first + rng.choice((1, 4, 100, 10**6))) :]


def insert(content: bytes, _: bytes, rng: Random) -> bytes:
    place = rng.randrange(len(content) + 1)
    return content[:place] + rng.randbytes(rng.choice((1, 4, 100))) + content[place:]


def splice(content: bytes, other: bytes, rng: Random) -> bytes:
    return content[: rng.randrange(len(content) + 1)] + other[rng.randrange(len(other) + 1) :]


def repeat_bytes(content: bytes, _: bytes, rng: Random) -> bytes:
    first, last = sorted((rng.randrange(len(content) + 1), rng.randrange(len(content) + 1)))
    return content[:first] + _times(content[first:last], rng.choice((2, 2, 3, 50))) + content[last:]


def _times(block: bytes, times: int) -> bytes:
    return block * min(times, 1 + LARGEST // max(1, len(block)))


def _places(pattern: re.Pattern[bytes], content: bytes) -> list[tuple[int, int]]:
    return [match.span() for match in pattern.finditer(content)]


def _put(content: bytes, place: tuple[int, int], new: bytes) -> bytes:
    return content[: place[0]] + new + content[place[1] :]


def set_number(content: bytes, _: bytes, rng: Random) -> bytes:
    places = _places(_NUMBER, content)
    return _put(content, rng.choice(places), rng.choice(_INTERESTING)) if places else content


def nudge_number(content: bytes, _: bytes, rng: Random) -> bytes:
    places = _places(_NUMBER, content)
    if not places:
        return content
    place = rng.choice(places)
    text = content[slice(*place)]
    try:
        new = b"%d" % (int(text) + rng.choice((-1, 1, 2)))
    except ValueError:
        new = repr(float(text) * rng.choice((-1, 0.5, 1.0000001, 10, 1e30))).encode()
    return _put(content, place, new)


def _swap(pattern: re.Pattern[bytes]) -> Mutator:
    def swap(content: bytes, _: bytes, rng: Random) -> bytes:
        places = _places(pattern, content)
        if len(places) < 2:
            return content
        first, second = sorted(rng.sample(places, 2))
        if first[1] > second[0]:
            return content
        return _put(_put(content, second, content[slice(*first)]), first, content[slice(*second)])

    return swap


def borrow_word(content: bytes, other: bytes, rng: Random) -> bytes:
    places, words = _places(_WORD, content), _places(_WORD, other)
    return _put(content, rng.choice(places), other[slice(*rng.choice(words))]) if places and words else content


def repeat_block(content: bytes, _: bytes, rng: Random) -> bytes:
    """A line, an element, an object, again and again."""
    places = _places(_BLOCK, content)
    place = rng.choice(places) if places else (0, len(content))
    return _put(content, place, _times(content[slice(*place)], rng.choice((2, 2, 2, 3, 100, 10_000))))


def drop_block(content: bytes, _: bytes, rng: Random) -> bytes:
    places = _places(_BLOCK, content)
    return _put(content, rng.choice(places), b"") if places else content


def nest(content: bytes, _: bytes, rng: Random) -> bytes:
    """Brackets and elements that open without end."""
    opening, closing = rng.choice(((b"[", b"]"), (b'{"a":', b"}"), (b"<Node>", b"</Node>"), (b"<a>", b""), (b"[", b"")))
    times, places = rng.choice((10, 1000, 100_000)), _places(_NUMBER, content)
    place = rng.choice(places) if places else (0, 0)
    return _put(content, place, opening * times + content[slice(*place)] + closing * times)


BYTES: list[Mutator] = [flip_bits, overwrite_integer, truncate, drop, insert, splice, repeat_bytes]
TEXT: list[Mutator] = [
    *(set_number, set_number, set_number, nudge_number, nudge_number, _swap(_NUMBER), _swap(_NUMBER), _swap(_WORD)),
    *(borrow_word, repeat_block, drop_block, nest),
]


def _inside(unpack: Callable[[bytes], bytes], pack: Callable[[bytes], bytes], mutators: list[Mutator]) -> Mutator:
    """What is packed in another format is changed before it is packed again."""

    def inside(content: bytes, other: bytes, rng: Random) -> bytes:
        try:
            return pack(rng.choice(mutators)(unpack(content), unpack(other), rng))
        except (OSError, EOFError, ValueError, zlib.error):
            return flip_bits(content, other, rng)

    return inside


def _in_weightfile(content: bytes, other: bytes, rng: Random) -> bytes:
    """FastBDT's own text, in base64 inside basf2's XML."""
    tag = re.compile(rb"(<FastBDT_Weightfile>)([\w+/=\s]*)(</FastBDT_Weightfile>)")
    match = tag.search(content)
    if match is None:
        return flip_bits(content, other, rng)
    letters = b"".join(match[2].split())
    try:
        text = base64.b64decode(letters + b"=" * (-len(letters) % 4))
    except ValueError:
        return flip_bits(content, other, rng)
    return _put(content, match.span(2), base64.b64encode(rng.choice(TEXT)(text, text, rng)).rstrip(b"="))


def message_field(content: bytes, other: bytes, rng: Random) -> bytes:
    """One field of one message within an ONNX file; at times with a new seal, at times without any."""
    import onnx
    from google.protobuf.message import DecodeError, EncodeError

    try:
        model, donor = onnx.load_model_from_string(content), onnx.load_model_from_string(other)
        messages = list(_messages(model))
        message = rng.choice(messages)
        _change(message, [found for found in _messages(donor) if type(found) is type(message)], rng)
        if rng.random() < 0.2:
            return sealed(model)
        kept = [entry for entry in model.metadata_props if entry.key != SEAL]
        del model.metadata_props[:]
        model.metadata_props.extend(kept if rng.random() < 0.9 else [])
        return bytes(model.SerializeToString())
    except (DecodeError, EncodeError, ValueError, UnicodeDecodeError):
        return flip_bits(content, other, rng)


def _messages(message: Any) -> list[Any]:
    found = [message]
    for field, value in message.ListFields():
        if field.message_type is not None:
            for child in value if _is_list(value) else [value]:
                found += _messages(child)
    return found


def _is_list(value: Any) -> bool:
    return hasattr(value, "append") or hasattr(value, "add")


def _change(message: Any, donors: list[Any], rng: Random) -> None:
    fields = message.ListFields()
    field, value = rng.choice(fields) if fields else (rng.choice(message.DESCRIPTOR.fields), None)
    if rng.random() < 0.1:
        field = rng.choice(message.DESCRIPTOR.fields)
        value = getattr(message, field.name)
    how = rng.randrange(6)
    if how == 0 and donors:
        message.CopyFrom(rng.choice(donors))
    elif how == 1:
        message.ClearField(field.name)
    elif value is not None and _is_list(value):
        _change_list(value, field, rng)
    elif field.message_type is None and value is not None:
        setattr(message, field.name, _other(value, field, rng))


def _change_list(values: Any, field: Any, rng: Random) -> None:
    if not len(values):
        return
    place, how = rng.randrange(len(values)), rng.randrange(6)
    if how == 0:
        values.append(values[place])
    elif how == 1:
        del values[place]
    elif how == 2:
        values.extend(list(values) * rng.choice((1, 10)) if len(values) < 10_000 else [])
    elif field.message_type is not None:
        values[place].CopyFrom(rng.choice(values))
    elif how == 3:
        values[place] = rng.choice(list(values))
    else:
        values[place] = _other(values[place], field, rng)


def _other(value: Any, field: Any, rng: Random) -> Any:
    if isinstance(value, float):
        return rng.choice((0.0, -value, value * 2, 1e-40, 3e38, float("inf"), float("-inf"), float("nan"), 0.1))
    if isinstance(value, int):
        choice = rng.choice((value + 1, value - 1, 0, 1, -1, 2, 7, 2**31 - 1, 2**31, 2**62, -(2**63)))
        return choice if field.cpp_type != field.CPPTYPE_INT32 and field.type != field.TYPE_ENUM else choice % 2**31
    if isinstance(value, bytes):
        return rng.choice((flip_bits(value, b"", rng), value[:-1], value * 3, b"LEAF", b"BRANCH_LEQ", b"BRANCH_GT", b""))
    names = (
        "",
        "input",
        "output",
        "margin",
        "fold",
        "If",
        "Loop",
        "Sum",
        "Concat",
        "com.microsoft",
        "\x1b[2J",
        "x" * 10_000,
    )
    return rng.choice((*names, value + "0", value[:-1], re.sub(r"\d", "9", value)))


_PACKED = _inside(gzip.decompress, lambda content: gzip.compress(content, mtime=0), [*TEXT, *BYTES])
_MUTATORS: dict[str, list[Mutator]] = {
    "fastbdt": [*TEXT, *TEXT, *BYTES],
    "basf2-xml": [*TEXT, *BYTES, *[_in_weightfile] * 12],
    "basf2-root": BYTES,
    "tmva": [*TEXT, *TEXT, *BYTES],
    "tmva-gz": [*BYTES, *[_PACKED] * 12],
    "xgboost-json": [*TEXT, *TEXT, *BYTES],
    "xgboost-ubj": [*BYTES, *[overwrite_integer, flip_bits] * 8],
    "lightgbm": [*TEXT, *TEXT, *BYTES],
    "onnx": [*BYTES, *[message_field] * 24],
}
