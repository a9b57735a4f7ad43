"""One self-contained HTML page: text, tables and figures in, a string out. It asks for nothing from anywhere."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from mlbkg.report.style import DPI
from mlbkg.report.tables import Table

TEMPLATE = "page.html"
SCRIPT = "sort.js"
PIXELS_PER_INCH = 82


@dataclass(frozen=True)
class Paragraph:
    """``kind``: "missing" for what is not there yet; ``command``: what makes it, or what comes next."""

    text: str
    kind: Literal["plain", "note", "missing"] = "plain"
    command: str = ""


@dataclass(frozen=True)
class Picture:
    """``png``: the file's bytes. ``title``: what it shows, above it and for those who cannot see it."""

    title: str
    png: bytes

    @property
    def width(self) -> int:
        """On the page, so that letters are of one size in all figures. A PNG states its width at a fixed place."""
        return round(int.from_bytes(self.png[16:20], "big") * PIXELS_PER_INCH / DPI)

    @property
    def address(self) -> str:
        return f"data:image/png;base64,{base64.b64encode(self.png).decode('ascii')}"


@dataclass(frozen=True)
class Listing:
    """Text as it is in a file."""

    text: str


@dataclass(frozen=True)
class Fact:
    """A number worth reading first. ``about``: in small print below it."""

    name: str
    value: str
    about: str = ""


@dataclass(frozen=True)
class Folded:
    """Shown when it is clicked on, and in print."""

    title: str
    blocks: Sequence[Block]


Block = Paragraph | Picture | Listing | Table | Folded


@dataclass(frozen=True)
class Section:
    """``title`` is unique on its page."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Page:
    """``about``: lines below the title. ``sortable``: whether a click on a heading sorts its table."""

    title: str
    about: Sequence[str]
    sections: Sequence[Section]
    facts: Sequence[Fact] = field(default=())
    sortable: bool = False


def render(page: Page) -> str:
    """The whole document. All text is escaped; no script, font, style sheet or picture is loaded from elsewhere.

    A page that is not sortable has no script at all; the browser runs none but :data:`SCRIPT` on one that is.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("mlbkg.report", package_path="."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.tests["of"] = lambda block, kind: type(block).__name__ == kind
    script = environment.get_template(SCRIPT).render() if page.sortable else ""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return environment.get_template(TEMPLATE).render(page=page, script=SCRIPT, digest=digest)
