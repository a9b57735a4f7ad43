"""The words of a text file, one after the other, each checked for what it should be."""

from __future__ import annotations

import re
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from mlbkg.errors import MlbkgError

MAX_WORD = 64
MAX_SINGLE = 17
"""Letters of a number that was a float32: it is written with at most 9 decimals, a float64 with 17."""
_WORD = re.compile(rb"\S{1,%d}" % (MAX_WORD + 1))


class Tokens:
    """Reads words of ``content`` without making a list of them: a file may hold millions.

    Every method raises :class:`MlbkgError` where the next word is not what is asked for, or the file ends.
    """

    def __init__(self, content: bytes, where: str) -> None:
        self._found = _WORD.finditer(content)
        self._where = where
        self._position = 0

    def error(self, reason: str) -> MlbkgError:
        return MlbkgError(f"{self._where} is not a FastBDT weight file: {reason}", where=self._where)

    def whole(self, largest: int, what: str) -> int:
        """A whole number of 0 to ``largest``."""
        word = self._word(what)
        if not (word.isdigit() and len(word) < 12 and int(word) <= largest):
            raise self._unexpected(word, f"{what}, a whole number of at most {largest},")
        return int(word)

    def flag(self, what: str) -> bool:
        return self.whole(1, what) == 1

    def number(self, what: str) -> float:
        """As it is written, also infinite or not a number."""
        return self._parsed(self._word(what), what)

    def single(self, what: str) -> float:
        """A number that was a float32, as which it is read again, or a float64: its length tells."""
        return float(self._rounded([self._word(what)], what)[0])

    def singles(self, size: int, what: str) -> NDArray[np.float64]:
        """``(size,)``: :meth:`single`, of a list that must begin with its own length."""
        if (length := self.whole(2**31, f"the length of {what}")) != size:
            raise self.error(f"it has {length} {what} where {size} are needed")
        words = [match.group() for match in islice(self._found, size)]
        self._position += len(words)
        if len(words) < size:
            raise self.error(f"it ends within its {what}")
        return self._rounded(words, what)

    def is_empty(self) -> bool:
        """Whether no word is left. A word that is left is not lost."""
        match = next(self._found, None)
        if match is not None:
            self._found = _WORD.finditer(match.string, match.start())
        return match is None

    def must_be_empty(self) -> None:
        if not self.is_empty():
            raise self.error(f"it goes on after its end, word {self._position + 1}")

    def _word(self, what: str) -> bytes:
        match = next(self._found, None)
        if match is None:
            raise self.error(f"it ends where {what} should be")
        self._position += 1
        return match.group()

    def _rounded(self, words: list[bytes], what: str) -> NDArray[np.float64]:
        values = np.array([self._parsed(word, what) for word in words], dtype=np.float64)
        is_single = np.array([len(word) <= MAX_SINGLE for word in words], dtype=bool)
        with np.errstate(over="ignore"):
            return np.where(is_single, values.astype(np.float32), values)

    def _parsed(self, word: bytes, what: str) -> float:
        try:
            # Python reads 1_000 as a number
            return float(word) if b"_" not in word and len(word) <= MAX_WORD else float("")
        except ValueError:
            raise self._unexpected(word, f"{what}, a number,") from None

    def _unexpected(self, word: bytes, what: str) -> MlbkgError:
        shown = repr(word[:20])[2:-1] + ("…" if len(word) > 20 else "")
        return self.error(f"word {self._position} is '{shown}' where {what} should be")
