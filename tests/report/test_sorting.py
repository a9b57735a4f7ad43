"""A click on a heading sorts the table, in a real browser; on pages that do not sort, nothing runs at all."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlbkg.report.html import Page, Section, render
from mlbkg.report.tables import Table

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
ROWS = (
    ("#2 b", "0.85 ± 0.01", "(1.2 ± 0.1) × 10⁻⁵", "1,200"),
    ("#10 c", "-", "0.3", "-∞"),
    ("#1 a", "> 0.999999", "(9.7 ± 0.1) × 10⁻⁶", "30"),
)


def page(*, sortable: bool) -> str:
    table = Table("", ("run", "AUC", "limit", "number"), ROWS)
    return render(Page("<x>", (), (Section("Runs", (table,)),), sortable=sortable))


def test_the_browser_runs_this_script_and_no_other():
    text = page(sortable=True)
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    assert f"script-src 'sha256-{digest}'" in text
    assert "script" not in page(sortable=False)


@pytest.fixture
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright, which drives the browser, is not installed")
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    with sync_api.sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path).is_file()
        if found is None and not own:
            pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed, nor Playwright's own")
        chromium = playwright.chromium.launch(executable_path=None if own else found, args=OPTIONS)
        try:
            yield chromium.new_page()
        finally:
            chromium.close()


@pytest.mark.slow
def test_headings_sort_by_what_stands_below_them(browser: Any, tmp_path: Path):
    path = tmp_path / "page.html"
    path.write_text(page(sortable=True), encoding="utf-8")
    problems: list[str] = []
    browser.on("console", lambda message: problems.append(message.text))
    browser.on("pageerror", lambda error: problems.append(str(error)))
    browser.goto(path.as_uri())

    def order() -> list[str]:
        return [text.split()[0] for text in browser.locator("tbody tr").all_inner_texts()]

    def click(heading: str) -> list[str]:
        browser.get_by_role("columnheader", name=heading).click()
        return order()

    assert order() == ["#2", "#10", "#1"]
    assert click("run") == ["#1", "#2", "#10"]
    assert click("run") == ["#10", "#2", "#1"]
    # what is missing stays below
    assert click("AUC") == ["#2", "#1", "#10"]
    assert click("AUC") == ["#1", "#2", "#10"]
    assert click("limit") == ["#1", "#2", "#10"]
    assert click("number") == ["#10", "#1", "#2"]
    browser.get_by_role("columnheader", name="run").press("Enter")
    assert order() == ["#1", "#2", "#10"]
    assert browser.locator("th[aria-sort=ascending]").all_inner_texts() == ["run"]
    assert problems == []
