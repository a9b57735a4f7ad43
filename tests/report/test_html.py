"""The page stands alone, escapes all text, and holds what it is given."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from mlbkg.report.html import Fact, Folded, Listing, Page, Paragraph, Picture, Section, render
from mlbkg.report.tables import Table

PNG = b"\x89PNG\r\n\x1a\n" + b"\x00\x00\x00\rIHDR" + (1500).to_bytes(4, "big") + (750).to_bytes(4, "big")
ATTACK = "<script>alert('x')</script>\"><img src=https://example.org/a.png onerror=alert(1)>&amp;"
VOID = {"meta", "img", "link", "br", "hr", "input"}


class _Reader(HTMLParser):
    """Tags with their attributes, text outside of style, and whether tags close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.well_nested = True

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self.well_nested = self.well_nested and bool(self.open) and self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text += data


def page(text: str) -> Page:
    table = Table(text, (text, "events"), ((text, "12 ± 3"), ("qq", "1,234")))
    blocks = (
        Paragraph(text, kind="missing", command=text),
        table,
        Picture(text, PNG),
        Folded(text, (Listing(text), table)),
    )
    return Page(text, (text,), (Section(text, blocks), Section("Selection", ())), facts=(Fact(text, text, text),))


def read(document: str) -> _Reader:
    reader = _Reader()
    reader.feed(document)
    reader.close()
    return reader


def test_names_cannot_inject_anything():
    reader = read(render(page(ATTACK)))
    names = [tag for tag, _ in reader.tags]
    assert "script" not in names
    assert names.count("img") == 1
    assert not any(key.startswith("on") for _, attributes in reader.tags for key in attributes)
    # title, heading, line below, contents, fact (3), section, paragraph (2), picture, fold, listing, two tables (3 each)
    assert reader.text.count(ATTACK) == 19
    harmless = [tag for tag, _ in read(render(page("x"))).tags]
    assert names == harmless


def test_nothing_is_loaded_from_elsewhere():
    document = render(page("x"))
    for tag, attributes in read(document).tags:
        assert tag not in ("script", "link", "iframe", "object")
        for key in ("src", "href", "srcset", "data"):
            assert re.match(r"data:image/png;base64,|#section-\d+$", attributes.get(key) or "#section-1")
    assert "url(" not in document
    assert "@import" not in document
    policy = next(a["content"] for tag, a in read(document).tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_the_document_is_well_formed():
    reader = read(render(page("x")))
    assert reader.well_nested
    assert reader.open == []
    ids = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
    links = [attributes["href"] for tag, attributes in reader.tags if tag == "a"]
    assert links == [f"#{name}" for name in ids] == ["#section-1", "#section-2"]


def test_numbers_stand_at_the_right_and_letters_are_of_one_size():
    reader = read(render(page("x")))
    cells = [attributes.get("class") for tag, attributes in reader.tags if tag == "td"]
    assert cells[:4] == [None, "number", None, "number"]
    (picture,) = (attributes for tag, attributes in reader.tags if tag == "img")
    assert picture["width"] == "820"  # 1500 pixels at 150 per inch, 82 on the page
    assert picture["alt"] == "x"


def test_the_same_page_gives_the_same_text():
    assert render(page("x")) == render(page("x"))
