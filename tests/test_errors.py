"""Messages are safe to print, whatever names out of files are in them."""

from __future__ import annotations

import pytest

from mlbkg.errors import MlbkgError, harmless, is_plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("μ⁺μ⁻ → Υ(1S) 中\u00a0GeV", "μ⁺μ⁻ → Υ(1S) 中\u00a0GeV"),
        ("two\n\tlines", "two\n\tlines"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),  # ECMA-48: erase in page
        ("\x9b31m", "\\x9b31m"),
        ("a\rb\x07\x08", "a\\x0db\\x07\\x08"),
        ("\u202etxt.exe", "\\x202etxt.exe"),  # right-to-left override
        ("\udc80\u2028\ufeff", "\\xdc80\\x2028\\xfeff"),
    ],
)
def test_harmless(text: str, shown: str) -> None:
    assert harmless(text) == shown
    assert is_plain(harmless(text), lines=True)


def test_a_message_cannot_steer_a_terminal() -> None:
    error = MlbkgError("no \x1b[31mred", details=["\x07"], where="\x1b", hint="\u2066")
    assert str(error) == "no \\x1b[31mred\n  \\x07\n\\x2066"
    assert (error.what, error.where) == ("no \\x1b[31mred", "\x1b")
