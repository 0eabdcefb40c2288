"""What the page tests share: a real server process on a folder of real runs, and a real Chromium that is signed in."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    Playwright,
    expect,
    sync_playwright,
)

import tracker_core as tracker
from tracker_core.run import Run
from tracker_core.sync.sender_status import read_statuses

_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
HOSTILE = '<img src=x onerror="window.hacked=1">'
N_LONG = 6000

expect.set_options(timeout=20_000)  # a shared machine may be slow; what has a bound says so


@dataclass
class Site:
    """A served tracker folder.

    Attributes:
        folder: the tracker folder.
        url: where it is served, without a slash at the end.
        login_url: signs its first visitor in.
    """

    folder: Path
    url: str
    login_url: str


@dataclass
class Visit:
    """A page, and everything that it complained of."""

    page: Page
    site: Site
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str) -> Page:
        self.page.goto(self.site.url + path)
        return self.page


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = _launch(playwright)
        yield launched
        launched.close()


def _launch(playwright: Playwright) -> Browser:
    found = os.environ.get("TRACKER_TEST_BROWSER") or next(filter(None, map(shutil.which, _BROWSERS)), None)
    try:
        return playwright.chromium.launch(executable_path=found, args=_ARGS)
    except Error as problem:
        reason = "no Chromium: install it, run `playwright install chromium`, or name one in TRACKER_TEST_BROWSER"
        if os.environ.get("CI"):
            pytest.fail(f"{reason} (CI is set, so the pages must be tested): {problem}")
        pytest.skip(reason)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site") / ".tracker"
    make_runs(folder)
    command = [sys.executable, "-m", "tracker_server.cli", "ui", "--dir", str(folder), "--port", "0", "--no-browser"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as ui:
        assert ui.stdout is not None
        login_url = next(word for line in ui.stdout for word in line.split() if "/login?" in word)
        yield Site(folder, login_url.split("/login")[0], login_url)
        ui.terminate()


@pytest.fixture(scope="session")
def cookies(browser: Browser, site: Site) -> list[dict[str, object]]:
    """The cookie that the one-time link gives."""
    context = browser.new_context()
    context.new_page().goto(site.login_url)
    cookies = context.cookies()
    context.close()
    assert cookies
    return cookies  # type: ignore[return-value]


@pytest.fixture
def context(browser: Browser, cookies: list[dict[str, object]]) -> Iterator[BrowserContext]:
    opened = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="light")
    opened.add_cookies(cookies)  # type: ignore[arg-type]
    yield opened
    opened.close()


@pytest.fixture
def visit(context: BrowserContext, site: Site) -> Iterator[Visit]:
    """A page that fails its test when anything was written to the console or thrown."""
    visit = Visit(context.new_page(), site)

    def hear(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            visit.complaints.append(f"{message.type}: {message.text}")

    visit.page.on("console", hear)
    visit.page.on("pageerror", lambda problem: visit.complaints.append(f"thrown: {problem}"))
    yield visit
    assert visit.complaints == []


@pytest.fixture(scope="session")
def story(site: Site) -> Site:
    """The site, with the runs of story.py."""
    from .story import make_story

    make_story(site.folder)
    return site


@pytest.fixture
def told(visit: Visit, story: Site) -> Visit:
    assert visit.site is story
    return visit


@pytest.fixture(scope="session")
def artifacts(site: Site) -> Site:
    """The site, with the artifacts of artifact_story.py."""
    from .artifact_story import make_artifacts

    make_artifacts(site.folder)
    return site


@pytest.fixture
def live_run(site: Site, request: pytest.FixtureRequest) -> Iterator[Run]:
    run = tracker.init(project="live-tabs", id=f"r-{request.node.name}"[:60].rstrip("-"), dir=site.folder)
    yield run
    run.finish()


def end_senders(folder: Path) -> None:
    """End the processes that send the runs of a folder: they wait for a server that is away long after the training."""
    for _, status in read_statuses(str(folder)):
        if status.is_running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(status.pid, signal.SIGTERM)


def make_runs(folder: Path) -> None:
    """Fill a folder with real runs: long and short, spiky, failed, and with names that try to be markup."""
    for index, lr in enumerate((0.1, 0.01, 0.001)):
        run = tracker.init(
            project="digits", name=f"run-{index}", dir=folder, config={"lr": lr, "model": {"depth": 18}}, tags=["seed"]
        )
        for step in range(N_LONG if index == 0 else 40):
            spike = 50.0 if step == 1234 else 0.0
            loss = float("nan") if step == 20 else 2.0 / (1 + 0.01 * step) + (step % 7) * 0.05 * lr
            run.log({"train/loss": loss + spike, "train/accuracy": step / (step + 50)}, step=step)
        run.finish()
    with contextlib.suppress(ValueError), tracker.init(project="digits", name="failing", dir=folder) as failing:
        failing.log({"train/loss": 1.0})
        raise ValueError("the reason it failed")
    hostile = tracker.init(project=HOSTILE.replace("/", ""), name=HOSTILE, dir=folder, config={HOSTILE: HOSTILE})
    for step in range(5):
        hostile.log({f"a/{HOSTILE}": step, HOSTILE: step}, step=step)
    hostile.finish()
