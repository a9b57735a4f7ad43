"""``mlbkg report`` tells of what a run has done, and names the commands of what it has not."""

from __future__ import annotations

import re
from pathlib import Path

TITLE = "<script>alert(1)</script> & more"


def _section(page: str, title: str) -> str:
    found = re.search(rf"<h2>{title}</h2>(.*?)</section>", page, flags=re.DOTALL)
    assert found
    return found[1]


def test_page_of_a_run(tiny, mlbkg):
    tiny.write_text(f"{tiny.read_text()}title: '{TITLE}'\n", encoding="utf-8")
    trained = mlbkg("train", str(tiny), "--json", "-q").json
    first = mlbkg("report", str(tiny), "--json", "-q").json
    assert first["stages"] == ["train"]
    assert first["missing"] == ["select"]  # the config has no section fit
    page = Path(first["report"]).read_text(encoding="utf-8")
    assert first["bytes"] == len(page.encode())
    assert Path(first["report"]).parent == Path(trained["run_dir"])
    assert TITLE not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in page
    assert "<script" not in page
    assert not re.search(r'(src|href)="(?!data:image/png;base64,|#section)', page)
    assert f"mlbkg select {tiny}" in _section(page, "Selection")
    assert "xgboost" in _section(page, "Training")
    assert _section(page, "Training").count("<img ") == len(list(Path(trained["figures"]).glob("*.png")))
    assert "xgboost-cpu==" in _section(page, "Provenance")

    mlbkg("select", str(tiny), "-q")
    second = mlbkg("report", str(tiny), "--json", "-q").json
    assert second["stages"] == ["train", "select"]
    page = Path(second["report"]).read_text(encoding="utf-8")
    assert f"mlbkg select {tiny}" not in _section(page, "Selection")
    assert "score &gt;=" in _section(page, "Selection")
    assert "as it is now" in _section(page, "Provenance")

    tiny.write_text(f"{tiny.read_text()}seed: 7\n", encoding="utf-8")
    again = mlbkg("report", str(tiny), "--run", trained["run_dir"], "--json", "-q").json
    assert "changed since" in _section(Path(again["report"]).read_text(encoding="utf-8"), "Provenance")


def test_without_a_run(tiny, mlbkg):
    ran = mlbkg("report", str(tiny))
    assert ran.code == 1
    assert f"Make one: mlbkg train {tiny}" in ran.err


def test_a_folder_that_is_no_run(tiny, mlbkg):
    ran = mlbkg("report", str(tiny), "--run", ".")
    assert ran.code == 2
    assert "holds no finished stage of a run" in ran.err


def test_an_evaluation_of_another_version(tiny, mlbkg):
    trained = mlbkg("train", str(tiny), "--json", "-q").json
    (Path(trained["run_dir"]) / "01-train" / "evaluation.json").write_text("[]", encoding="utf-8")
    ran = mlbkg("report", str(tiny))
    assert ran.code == 1
    assert "was not written by this version of mlbkg" in ran.err
    assert "mlbkg train" in ran.err
