"""A sha256 inside the file: whether it is as mlbkg wrote it, also where no manifest lies beside it.

It is of all bytes of the file, with zeros in its own place. It finds files that were damaged; who changes one on purpose can
write a new one, and only a manifest from elsewhere tells.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from mlbkg.errors import MlbkgError

SEAL = "mlbkg.sha256"
_BLANK = "0" * 64


def sealed(model: Any) -> bytes:
    """The bytes of a model, a protobuf message, which gets a new seal."""
    for place in reversed(range(len(model.metadata_props))):
        if model.metadata_props[place].key == SEAL:
            del model.metadata_props[place]
    model.metadata_props.add(key=SEAL, value=_BLANK)
    content = bytes(model.SerializeToString(deterministic=True))
    where = content.rindex(_BLANK.encode())
    return _with(content, where, hashlib.sha256(content).hexdigest())


def is_sealed(content: bytes, props: Mapping[str, str], where: str) -> bool:
    """Whether there is a seal. Raises :class:`MlbkgError` where the bytes are not those that it was made for."""
    if SEAL not in props:
        return False
    place = content.rfind(props[SEAL].encode()) if len(props[SEAL].encode()) == len(_BLANK) else -1
    if place < 0 or hashlib.sha256(_with(content, place, _BLANK)).hexdigest() != props[SEAL]:
        raise MlbkgError(
            f"{where} is not as mlbkg wrote it: its sha256 is not the one that it says",
            where=where,
            hint="Copy it again, or make it anew. Who changed it on purpose: remove its metadata property mlbkg.sha256.",
        )
    return True


def _with(content: bytes, place: int, digits: str) -> bytes:
    return content[:place] + digits.encode() + content[place + len(_BLANK) :]
