"""The dashboard shows what an analyst looks for, as a person sees it: in a real browser, on MLflow's own pages."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mlbkg.config.load import load
from mlbkg.evaluation.estimates import Estimate
from mlbkg.report.tuning_result import Contestant, FigureOfMerit, Judged, SearchTold, TuningTold
from mlbkg.stages.train import train
from mlbkg.stages.tuning_log import SearchLog, TrackedSearch
from mlbkg.tracking.views import STUDIES, TRAININGS, TRIALS, address_of
from mlbkg.tuning.importance import Importance
from mlbkg.tuning.trial import Trial

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright, which drives the browser, is not installed")

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-quic", "--no-first-run"]
PROGRAM = [sys.executable, "-c", "from mlbkg.cli.main import main; main()"]
START_SECONDS = 90
PATIENCE_MS = 30_000
CLASSIFIERS = """\
    - {{backend: xgboost, n_estimators: {trees}, max_depth: {depth}}}
    - {{backend: xgboost, name: stump, n_estimators: 3, max_depth: 1}}
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@dataclass(frozen=True)
class Logged:
    """What is looked for: ids and names of two trainings, and what they reached."""

    experiment: str
    ids: tuple[str, ...]
    names: tuple[str, ...]
    auc: tuple[float, ...]
    study: str


def browser_path() -> str | None:
    """None where Playwright brought a browser of its own."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    with sync_api.sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path).is_file()
    if found is None and not own:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed, nor Playwright's own")
    return None if own else found


def trials() -> tuple[Trial, ...]:
    """Four of a search: two complete, one pruned, one failed."""
    now = time.time() - 100

    def trial(number: int, state: Any, auc: float | None, **more: Any) -> Trial:
        record = {"auc": {"value": auc, "error": 0.004, "by_fold": [auc - 0.01, auc + 0.01]}} if auc else {}
        given = {"start": None, "reason": None, **more}
        return Trial(
            number, state, "xgboost", {"max_depth": 2 + number, "learning_rate": 0.1}, given["start"],
            (auc,) if auc else None, (), record, {}, {}, now + number, now + number + 0.7, given["reason"],
        )  # fmt: skip

    return (
        trial(0, "complete", 0.8125, start="xgboost"),
        trial(1, "complete", 0.84375),
        trial(2, "pruned", None, reason="behind others after fold 1"),
        trial(3, "failed", None, reason="MlbkgError: out of memory"),
    )


def log_study(config: Path) -> str:
    """As `mlbkg tune` tells of one; the answer is the name of its run."""
    goal = FigureOfMerit("auc", "AUC", "", True)
    found = Judged(Estimate(0.84375, 0.004), Estimate(0.8203125, 0.007), Estimate(0.0234375, 0.008), None)
    beaten = Judged(
        Estimate(0.8125, 0.004), Estimate(0.8046875, 0.007), Estimate(0.0078125, 0.008), Estimate(-0.015625, 0.002)
    )
    contestants = (
        Contestant("tuned", "xgboost", {"max_depth": 3, "learning_rate": 0.1}, "winner", {"auc": found}),
        Contestant("xgboost", "xgboost", {"max_depth": 2}, "config", {"auc": beaten}),
    )
    improvement = {"auc": Estimate(0.03125, 0.003)}
    search = SearchTold("small/auc-1a2b3c/0", 0, trials(), 1, (1,), contestants, improvement, Importance({}, {}))
    tracked = TrackedSearch(load(config), Path("runs/small/studies/auc-1a2b3c"), "0" * 64, 0, (goal,))
    with SearchLog(tracked) as log:
        for trial in search.trials:
            log.trial(trial)
        log.results(search, TuningTold((goal,), (goal,), (search,), None), {"config": [config]})
    assert log.failure is None
    return tracked.name


@pytest.fixture
def logged(small_analysis: Callable[..., Path], tmp_path: Path) -> Logged:
    """The store's address is absolute: MLflow keeps the first database of a process by its address."""
    results, uri = [], f"sqlite:///{tmp_path}/mlflow.db"
    for trees, depth in ((8, 2), (40, 5)):
        config = small_analysis(
            classifiers=CLASSIFIERS.format(trees=trees, depth=depth), replace={"sqlite:///mlflow.db": uri}
        )
        results.append(train(config, workers=1))
    assert all(result.tracking_failure is None for result in results)
    return Logged(
        experiment=re.findall(r"experiments/(\d+)", address_of(uri, "small"))[0],
        ids=tuple(str(result.mlflow_run_id) for result in results),
        names=tuple(f"{result.run.name[-6:]} xgboost" for result in results),
        auc=tuple(result.trained.best.ranking.auc.value for result in results),
        study=log_study(config),
    )


@pytest.fixture
def server(logged: Logged, tmp_path: Path) -> Iterator[str]:
    """`mlbkg ui` on a free port of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    address = f"http://127.0.0.1:{port}"
    with (tmp_path / "ui.log").open("wb") as log:
        program = subprocess.Popen(
            [*PROGRAM, "ui", "small.yaml", "--port", str(port)], cwd=tmp_path, stdout=log, stderr=log, env=os.environ
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not answers(address) and time.monotonic() < deadline and program.poll() is None:
            time.sleep(0.3)
        told = (tmp_path / "ui.log").read_text(encoding="utf-8")
        assert answers(address), told
        assert f"{address}{TRAININGS.address(logged.experiment)}" in told
        yield address
    finally:
        program.send_signal(signal.SIGTERM)
        program.wait(timeout=30)


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=5) as reply:  # noqa: S310
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False


@dataclass(frozen=True)
class Browser:
    """A page that opens addresses of the dashboard, and nothing outside this machine."""

    page: Any
    address: str

    def open(self, path: str, *texts: str) -> str:
        """The text of the page as soon as all ``texts`` stand on it; a picture in the folder MLBKG_SCREENSHOTS, too."""
        self.page.goto("about:blank")  # else only the part behind # changes, and the page stays
        self.page.goto(self.address + path)
        for text in texts:
            self.page.get_by_text(text).first.wait_for(timeout=PATIENCE_MS)
        shown: str = self.page.inner_text("body")
        if shots := os.environ.get("MLBKG_SCREENSHOTS"):
            self.page.screenshot(path=Path(shots) / f"{re.sub(r'[^a-z]+', '-', path.lower())[-60:]}.png")
        return shown


@pytest.fixture
def browser(server: str) -> Iterator[Browser]:
    path = browser_path()
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=OPTIONS)
        try:
            page = chromium.new_page(viewport={"width": 2400, "height": 1600})
            page.route(
                "**/*",
                lambda route: (
                    route.continue_() if route.request.url.startswith((server, "data:", "blob:")) else route.abort()
                ),
            )
            yield Browser(page, server)
        finally:
            chromium.close()


def digits(value: float) -> str:
    """As many as a narrow column shows."""
    return str(value)[:8]


def test_what_an_analyst_looks_for_is_there(browser: Browser, logged: Logged) -> None:
    """One test, for the server takes most of the time."""
    the_trainings_with_their_figures_and_the_study(browser, logged)
    the_trials(browser, logged)
    the_two_compared(browser, logged)
    the_run(browser, logged)
    the_registered_model(browser, logged)
    assert browser.page.url.startswith(browser.address), "nothing led elsewhere"


def the_trainings_with_their_figures_and_the_study(browser: Browser, logged: Logged) -> None:
    shown = browser.open(TRAININGS.address(logged.experiment), *logged.names, "background_rejection_error")
    for auc in logged.auc:
        assert digits(auc) in shown
    better, worse = sorted(logged.names, key=lambda name: -logged.auc[logged.names.index(name)])
    assert shown.index(better) < shown.index(worse), "best first"
    for column in ("champion", "auc_error", "background_rejection", "log_loss", "trees", "seconds"):
        assert column in shown
    assert "Trainings, best first" in shown
    assert logged.study not in shown
    plain = browser.open(f"/#/experiments/{logged.experiment}/runs", *logged.names, logged.study)
    assert "0001 xgboost" not in plain, "trials stay folded below their study"
    browser.page.get_by_test_id("saved-views-trigger").click()
    for view in (TRAININGS, STUDIES, TRIALS):
        browser.page.get_by_text(view.name, exact=True).wait_for(timeout=PATIENCE_MS)
    studies = browser.open(STUDIES.address(logged.experiment), logged.study)
    assert "0001 xgboost" in studies, "the winner"
    assert digits(0.8203125) in studies, "on unseen events"


def the_trials(browser: Browser, logged: Logged) -> None:
    shown = browser.open(TRIALS.address(logged.experiment), "0000 xgboost", "0003 xgboost")
    assert shown.index("0001 xgboost") < shown.index("0000 xgboost") < shown.index("0002 xgboost"), "best first"
    assert digits(0.84375) in shown
    assert {"complete", "pruned", "failed"} <= set(re.findall(r"\w+", shown))


def the_two_compared(browser: Browser, logged: Logged) -> None:
    ids, experiments = json.dumps(list(logged.ids)), json.dumps([logged.experiment])
    browser.open(f"/#/compare-runs?runs={ids}&experiments={experiments}", *logged.names, "Show diff only")
    browser.page.get_by_text("Show diff only").first.click()  # of the parameters
    browser.page.get_by_text("stump.max_depth").wait_for(state="hidden", timeout=PATIENCE_MS)
    shown = browser.page.inner_text("body")
    rows = {line.split("\t")[0].strip(): line.split("\t")[1:] for line in shown.splitlines() if "\t" in line}
    assert sorted(rows["xgboost.max_depth"]) == ["2", "5"]
    assert sorted(rows["xgboost.n_estimators"]) == ["40", "8"]
    assert "xgboost.learning_rate" not in rows, "it does not differ"
    metrics = shown.rpartition("\nMetrics\n")[2].splitlines()
    assert {"auc", "background_rejection"} <= set(metrics), "those without a group come first"
    assert {str(round(auc, 3)) for auc in logged.auc} <= set(metrics), "as MLflow rounds here"


def the_run(browser: Browser, logged: Logged) -> None:
    page = f"/#/experiments/{logged.experiment}/runs/{logged.ids[1]}"
    shown = browser.open(page, logged.names[1], "background_rejection_error")
    assert f"{logged.auc[1]:.3f}" in shown, "the table of the description"
    assert str(logged.auc[1]) in shown, "the metric"
    for tag in ("champion", "features_sha256", "events_sha256", "run_folder"):
        assert tag in shown
    charts = browser.open(f"{page}/model-metrics", "background_efficiency", "Model metrics")
    assert {"background_efficiency", "sculpting", "stump", "xgboost"} <= set(charts.splitlines()), "a section each"
    for curve in ("auc_by_fold", "validation_loss"):
        browser.page.get_by_placeholder("Search metric charts").fill(curve)
        browser.page.get_by_text(curve, exact=True).first.wait_for(timeout=PATIENCE_MS)
    files = browser.open(f"{page}/artifacts", "card.md", "figures", "models", "tables", "config")
    assert "roc.png" not in files, "in its folder"
    browser.page.get_by_text("figures", exact=True).click()
    browser.page.get_by_text("roc.png").click()
    picture = browser.page.locator("img[src^='blob:'], .image-container img, img[alt*='roc']").first
    picture.wait_for(timeout=PATIENCE_MS)
    width = "image => image.complete ? image.naturalWidth : 0"
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while not picture.evaluate(width) and time.monotonic() < deadline:
        browser.page.wait_for_timeout(200)
    assert picture.evaluate(width) > 500, "the figure itself"


def the_registered_model(browser: Browser, logged: Logged) -> None:
    shown = browser.open("/#/models/small", "Version 2", "champion")
    champion, other = (
        next(line for line in shown.splitlines() if line.startswith("xgboost: AUC")),
        shown[shown.index("Version 1") :],
    )
    assert f"{logged.auc[1]:.3f}" in champion
    assert "champion" not in other, "the alias is the later's alone"
    card = browser.open("/#/models/small/versions/2", "Load it", logged.names[1])
    for text in ("champion", "Working points", "onnxruntime.InferenceSession", "Limits of use"):
        assert text in card
    for tag in ("features_sha256", "working_point", "run_folder"):
        assert tag in card or tag in shown
