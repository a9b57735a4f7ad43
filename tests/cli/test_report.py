"""``mlbkg report`` tells of what a run has done, and names the commands of what it has not."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from mlbkg.ntuples.write import AtomicRootWriter

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


FIT = """\
fit: {variable: mass, window: [0, 1], bins: 20, signal: gaussian, background: {shape: chebyshev, order: 1}}
systematics: [{name: tracking, mean: 0.01}]
limit: {symbol: "N<b>", methods: [cls], beside: [{name: "<i>paper</i>", value: 30}]}
"""


def test_page_of_fit_and_limit(tiny, mlbkg):
    rng = np.random.default_rng(1)
    with AtomicRootWriter("signal.root", tree="t") as writer:
        columns = {name: rng.normal(1, 1, 400) for name in ("x", "y")}
        writer.extend({**columns, "mass": rng.normal(0.5, 0.05, 400), "event": np.arange(400)})
    tiny.write_text(tiny.read_text() + FIT, encoding="utf-8")
    for command in ("train", "select"):
        assert mlbkg(command, str(tiny), "-q").code == 0
    assert mlbkg("report", str(tiny), "--json", "-q").json["missing"] == ["fit", "limit"]
    figures = [
        Path(file) for command in ("fit", "limit") for file in mlbkg(command, str(tiny), "--json", "-q").json["figures"]
    ]
    assert mlbkg("study", str(tiny), "--toys", "10", "-q").code == 0
    told = mlbkg("report", str(tiny), "--json", "-q").json
    assert told["missing"] == []
    page = Path(told["report"]).read_text(encoding="utf-8")
    sections = [_section(page, title) for title in ("Signal fit", "Limit", "Bias and coverage")]
    assert sum(section.count("<img ") for section in sections) == len(figures) + 1
    assert "The binned fit" in sections[0] or "The unbinned fit" in sections[0]
    assert "90 % upper limits on N&lt;b&gt;" in sections[1]
    assert "&lt;i&gt;paper&lt;/i&gt;" in sections[1]
    assert "tracking" in sections[1]
    assert "Toy experiments" in sections[2]
    assert "Expected 90 % limit" in page
    assert not {"<b>", "<i>"} & set(re.findall(r"<[bi]>", page))
