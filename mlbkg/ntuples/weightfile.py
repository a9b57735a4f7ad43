"""The one string inside a ROOT file that basf2 or its conditions database keeps a weightfile in.

Only the list of the file's objects is left to uproot. The object itself is read as bytes: to read it as what the file says
that it is means to make Python code out of what the file says, and to unpack blocks of any size.
"""

from __future__ import annotations

import io
import lzma
import zlib
from collections.abc import Callable

from mlbkg.errors import NtupleError
from mlbkg.ntuples.files import quiet, reason

CLASS = "DatabaseRepresentationOfWeightfile"
"""In ``Belle2``: a TObject with a ``std::string``. basf2 calls the object ``Weightfile``, the database as the payload."""
MAX_BYTES = 2**29
_OBJECT = 6 + 10
"""Length and version of the object, and the TObject in it. The string may have a length and version of its own."""
_MEMORY = 2**27


def read_weightfile(content: bytes, where: str) -> bytes:
    """The XML. ``content``: the ROOT file, which may be anything.

    Raises :class:`NtupleError`.
    """
    import uproot

    try:
        with quiet(), uproot.open(io.BytesIO(content)) as file:
            names = [name for name, kind in file.classnames(recursive=False).items() if kind.split("::")[-1] == CLASS]
            if len(names) != 1:
                raise NtupleError(f"it holds {len(names)} objects of the class {CLASS}, not one", where=where)
            key = file.key(names[0])
            start, size = key.data_cursor.index, key.data_uncompressed_bytes
            data = content[start : start + key.data_compressed_bytes]
        if not 0 < size <= MAX_BYTES:
            raise NtupleError(f"its object {names[0]} claims to have {size} bytes", where=where)
        return _string(data if size == key.data_compressed_bytes else _unpacked(data, size))
    except NtupleError:
        raise
    except Exception as error:
        raise NtupleError("it cannot be read as a ROOT file", details=[reason(error)], where=where) from error


def _string(data: bytes) -> bytes:
    """Its length stands before it: in one byte, or after 255 in four."""
    rest = data[_OBJECT:]
    if rest[:1] == b"\x40" and int.from_bytes(rest[:4]) & 0x3FFFFFFF == len(rest) - 4:
        rest = rest[6:]
    start, length = (5, int.from_bytes(rest[1:5])) if rest[:1] == b"\xff" else (1, rest[0])
    if len(rest) != start + length:
        raise ValueError(f"a string of {length} letters has {len(rest) - start}")
    return rest[start:]


def _unpacked(data: bytes, size: int) -> bytes:
    """Blocks: two letters that say how, a byte, three of the packed and three of the unpacked length, and the contents."""
    blocks, left = [], size
    while data:
        how, packed, unpacked = data[:2], int.from_bytes(data[3:6], "little"), int.from_bytes(data[6:9], "little")
        if how not in _UNPACK or len(data) < 9 + packed or not 0 < unpacked <= left:
            raise ValueError(f"a block says {data[:9]!r}")
        blocks.append(_UNPACK[how](data[9 : 9 + packed], unpacked))
        if len(blocks[-1]) != unpacked:
            raise ValueError(f"a block has not the {unpacked} bytes that it claims")
        data, left = data[9 + packed :], left - unpacked
    return b"".join(blocks)


def _zlib(block: bytes, size: int) -> bytes:
    return zlib.decompressobj().decompress(block, size + 1)


def _lzma(block: bytes, size: int) -> bytes:
    return lzma.LZMADecompressor(memlimit=_MEMORY).decompress(block, size + 1)


def _lz4(block: bytes, size: int) -> bytes:
    """Behind a checksum of 8 bytes."""
    import cramjam

    unpacked = bytearray(size)
    written = cramjam.lz4.decompress_block_into(block[8:], unpacked, output_len=size)
    return bytes(unpacked[:written])


def _zstd(block: bytes, size: int) -> bytes:
    import cramjam

    unpacked = bytearray(size)
    written = cramjam.zstd.decompress_into(block, unpacked)
    return bytes(unpacked[:written])


_UNPACK: dict[bytes, Callable[[bytes, int], bytes]] = {b"ZL": _zlib, b"XZ": _lzma, b"L4": _lz4, b"ZS": _zstd}
