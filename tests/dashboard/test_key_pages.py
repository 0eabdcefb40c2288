"""The pages of `tracker server`: signing in with a key, what each kind of key shows, a run that is sent there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

import tracker_core as tracker
from tests.server.server_process import ServerProcess

from .conftest import end_senders


class KeySite:
    """A server with one run, and keys of every kind by their scope."""

    def __init__(self, folder: Path) -> None:
        run = tracker.init(project="digits", id="done", name="done", dir=folder)
        run.log({"loss": 1.0})
        run.finish()
        self.folder = folder
        self.server = ServerProcess(folder)

    def make_key(self, name: str, *options: str) -> str:
        command = [sys.executable, "-m", "tracker_server.cli", "keys", "create", name, *options]
        done = subprocess.run([*command, "--dir", str(self.folder)], capture_output=True, text=True, timeout=60)
        found = re.search(r"tk_[0-9A-Za-z]{36}", done.stdout + done.stderr)
        assert found, done
        return found[0]


@pytest.fixture(scope="module")
def key_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeySite]:
    site = KeySite(tmp_path_factory.mktemp("keys") / ".tracker")
    with site.server:
        yield site


@pytest.fixture(params=["light", "dark"])
def stranger(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page that is not signed in, in each theme."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme=request.param)
    yield context.new_page()
    context.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    yield context.new_page()
    context.close()


def sign_in(page: Page, site: KeySite, key: str, path: str = "/") -> None:
    page.goto(site.server.base_url + path)
    page.get_by_label("Key").fill(key)
    page.get_by_role("button", name="Sign in").click()


def contrast(page: Page, selector: str) -> float:
    """Return the contrast of an element's text against what is behind it (WCAG 2)."""
    script = """(element) => {
      const parse = (text) => text.match(/[\\d.]+/g).map(Number);
      const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
        .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
      const ink = light(parse(getComputedStyle(element).color));
      let at = element;
      let back = [0, 0, 0, 0];
      while (at && back[3] === 0) {
        back = parse(getComputedStyle(at).backgroundColor);
        at = at.parentElement;
      }
      const behind = light(back);
      return (Math.max(ink, behind) + 0.05) / (Math.min(ink, behind) + 0.05);
    }"""
    return float(page.locator(selector).first.evaluate(script))


def test_a_stranger_is_asked_for_a_key_and_told_of_a_wrong_one(stranger: Page, key_site: KeySite) -> None:
    sign_in(stranger, key_site, "tk_wrong", "/p/digits/r/done")
    expect(stranger.get_by_role("alert")).to_contain_text("not a key of this server")
    expect(stranger.get_by_label("Key")).to_be_focused()
    expect(stranger.get_by_label("Key")).to_have_value("")
    for selector in ("h1", "label", ".wrong", ".hint", "button", "code"):
        assert contrast(stranger, selector) >= 4.5, selector
    stranger.get_by_label("Key").fill(key_site.server.key or "")
    stranger.keyboard.press("Enter")
    expect(stranger).to_have_url(f"{key_site.server.base_url}/p/digits/r/done")  # where they wanted to go
    expect(stranger.get_by_role("heading", name="done")).to_be_visible()


def test_signing_in_needs_no_script(browser: Browser, key_site: KeySite) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    sign_in(page, key_site, key_site.server.key or "")
    expect(page.locator("noscript")).to_have_count(1)
    context.close()


def test_the_keys_name_is_in_the_head_and_signing_out_ends_it(page: Page, key_site: KeySite) -> None:
    sign_in(page, key_site, key_site.make_key("team lead", "--scope", "write"), "/p/digits/r/done")
    expect(page.locator(".key-name")).to_have_text("team lead")
    expect(page.get_by_role("heading", name="done")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Key")).to_be_visible()
    page.goto(f"{key_site.server.base_url}/p/digits/r/done")
    expect(page.get_by_label("Key")).to_be_visible()


TRAINING = """
import sys, time, tracker_core
run = tracker_core.init(project="digits", id=sys.argv[2], dir=sys.argv[1], mode="online")
print("ready", flush=True)
while True:
    run.log({"loss": 1.0})
    time.sleep(0.01)
"""


@pytest.fixture
def sent(key_site: KeySite, tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A training on another machine, as it were: in a folder of its own, sent to the server."""
    run = f"sent-{os.urandom(4).hex()}"
    key = key_site.make_key(f"machine {run}", "--scope", "write", "--project", "digits")
    environment = {
        **os.environ, "TRACKER_BASE_URL": key_site.server.base_url, "TRACKER_API_KEY": key, "TRACKER_QUIET": "1",
    }  # fmt: skip
    command = [sys.executable, "-c", TRAINING, str(tmp_path / ".tracker"), run]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    yield run, process
    process.kill()
    process.communicate()
    end_senders(tmp_path / ".tracker")


def test_a_training_elsewhere_is_stopped_from_the_servers_page(
    page: Page, key_site: KeySite, sent: tuple[str, subprocess.Popen[str]]
) -> None:
    run, process = sent
    key = key_site.make_key(f"ann {run}", "--scope", "write", "--project", "digits")
    sign_in(page, key_site, key, f"/p/digits/r/{run}")
    page.get_by_role("button", name="Stop", exact=True).click(timeout=60_000)
    page.get_by_label("Why").fill("enough seen")
    page.get_by_role("button", name="Stop the run").click()
    expect(page.locator(".run-head .state-killed").first).to_be_visible(timeout=60_000)
    expect(page.locator(".stopped-by")).to_have_text(f"stopped by ann {run}: enough seen")
    assert process.wait(60) == 1


def test_a_key_that_may_only_read_shows_nothing_to_change(
    page: Page, key_site: KeySite, sent: tuple[str, subprocess.Popen[str]]
) -> None:
    run, _ = sent
    sign_in(page, key_site, key_site.make_key(f"viewer {run}", "--scope", "read"), f"/p/digits/r/{run}")
    expect(page.locator(".key-name")).to_contain_text("read only")
    expect(page.locator(".run-head .state-running").first).to_be_visible(timeout=60_000)
    expect(page.get_by_role("button", name="Stop", exact=True)).to_have_count(0)
    status = page.evaluate(
        """(run) => fetch('/api/v1/projects/digits/runs/stop', {
             method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify({runs: [run]}),
           }).then((reply) => reply.status)""",
        run,
    )
    assert status == 403
