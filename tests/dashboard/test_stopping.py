"""Stop a training from its page, see which processes a run has and where it came from: in a real browser."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

import tracker_core as tracker
from tracker_core.api import Api

from .conftest import Site, Visit, end_senders

TRAINING = """
import sys, time, tracker_core
run = tracker_core.init(project="stopping", id=sys.argv[2], dir=sys.argv[1], settings={"on_stop": sys.argv[3]})
print("ready", flush=True)
while True:
    run.log({"loss": 1.0})
    time.sleep(0.01)
"""
_ONLY_ROWS = {"TRACKER_SYSTEM_INTERVAL_S": "0", "TRACKER_CAPTURE_ENVIRONMENT": "false", "TRACKER_QUIET": "1"}


class Training:
    """A process that trains until somebody stops it."""

    def __init__(self, folder: Path, run: str, on_stop: str = "raise") -> None:
        self.url = f"/p/stopping/r/{run}"
        command = [sys.executable, "-c", TRAINING, str(folder), run, on_stop]
        environment = {**os.environ, **_ONLY_ROWS}
        self.process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None and self.process.stdout.readline() == "ready\n"


@pytest.fixture
def training(site: Site, request: pytest.FixtureRequest) -> Iterator[Training]:
    """A training that raises RunStopped; with the marker's word "flag" one that goes on."""
    found = Training(site.folder, f"t-{os.urandom(4).hex()}", getattr(request, "param", "raise"))
    yield found
    found.process.kill()
    found.process.communicate()


def test_a_training_is_stopped_from_its_page_and_ends_as_stopped(visit: Visit, training: Training) -> None:
    page = visit.open(training.url)
    page.get_by_role("button", name="Stop", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Why")).to_be_focused()
    dialog.get_by_label("Why").fill("loss is NaN <b>")
    dialog.get_by_role("button", name="Stop the run").click()
    expect(dialog).to_have_count(0)
    expect(page.locator(".run-head .state-killed").first).to_be_visible(timeout=60_000)
    expect(page.locator(".stopped-by")).to_have_text(re.compile(r"stopped by .+: loss is NaN <b>"))
    expect(page.get_by_role("button", name="Stop", exact=True)).to_have_count(0)
    assert training.process.wait(60) == 1
    assert training.process.stderr is not None and "RunStopped" in training.process.stderr.read()


@pytest.mark.parametrize("training", ["flag"], indirect=True)
def test_an_order_that_is_not_done_yet_is_shown_and_can_be_withdrawn(
    visit: Visit, training: Training, site: Site
) -> None:
    page = visit.open(f"{training.url}?tab=overview")
    run = Api(site.folder).run(training.url.removeprefix("/p/").replace("/r/", "/"))
    run.stop("told by somebody else")  # the page hears of it by itself
    expect(page.get_by_role("status").filter(has_text="stopping…")).to_contain_text("told by somebody else")
    expect(page.locator(".state-line")).to_contain_text("asked to stop by")
    page.get_by_role("button", name="Withdraw").click()
    expect(page.get_by_role("button", name="Stop", exact=True)).to_be_visible()
    assert run.stop_order is None and training.process.poll() is None


def test_a_stop_is_not_asked_by_whoever_changes_their_mind(visit: Visit, training: Training) -> None:
    page = visit.open(training.url)
    page.get_by_role("button", name="Stop", exact=True).click()
    page.get_by_role("button", name="Go on training").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="Stop", exact=True).click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("button", name="Stop", exact=True)).to_be_visible()


def test_a_stop_that_is_refused_says_why(visit: Visit, training: Training) -> None:
    page = visit.open(training.url)
    page.get_by_role("button", name="Stop", exact=True).click()
    message = '{"error": {"where": "stop", "got": "a full disk", "expected": "room", "remedy": "free some"}}'
    page.route("**/runs/stop", lambda route: route.fulfill(status=409, body=message, content_type="application/json"))
    page.get_by_role("button", name="Stop the run").click()
    expect(page.get_by_role("alert")).to_contain_text("a full disk")
    visit.complaints.clear()  # the browser notes the refused request


def test_a_run_that_has_ended_has_no_stop_button(told: Visit) -> None:
    page = told.open("/p/story/r/told")
    expect(page.get_by_role("tab", name="Charts")).to_be_visible()
    expect(page.get_by_role("button", name="Stop", exact=True)).to_have_count(0)


# Processes and lineage


@pytest.fixture(scope="module")
def ranks(site: Site) -> Site:
    """Three processes on their way through one run; the third died."""
    script = """
import os, sys, tracker_core
rank = os.environ["RANK"]
run = tracker_core.init(project="ranks", name="three", dir=sys.argv[1], settings={"system_interval_s": 0.2})
for step in range(5):
    run.log({"loss": 1.0 / (1 + step)})
    print(f"rank {rank} at step {step}", flush=True)
print("ready", flush=True)
sys.stdin.readline()
if rank == "2":
    os._exit(3)
sys.stdin.readline()
"""
    shared = {"WORLD_SIZE": "3", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29633", "TRACKER_CONSOLE": "wrap"}
    processes = []
    for rank in range(3):
        environment = {**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": "0", "GROUP_RANK": str(rank)}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        command = [sys.executable, "-c", script, str(site.folder)]
        processes.append(subprocess.Popen(command, env=environment, text=True, bufsize=1, **pipes))
    for process in processes:
        assert any(line == "ready\n" for line in process.stdout)
    deadline_s = time.monotonic() + 60
    while len(_sampled(site)) < 3:  # the first sample is taken in a thread
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    processes[2].stdin.write("\n")
    processes[2].wait(60)
    yield site
    for process in processes:
        process.kill()
        process.communicate()


def _sampled(site: Site) -> list[str]:
    api = Api(site.folder)
    (run,) = api.runs("ranks") if "ranks" in api.projects() else (None,)
    return [] if run is None else [name for name in ("main", "rank1", "rank2") if run.system_keys(name)]


def test_processes_of_a_run_are_listed_with_their_health(visit: Visit, ranks: Site) -> None:
    (run,) = Api(ranks.folder).runs("ranks")
    page = visit.open(f"/p/ranks/r/{run.id}?tab=overview")
    expect(page.locator(".run-head .trouble")).to_have_text("rank2 is gone", timeout=60_000)
    table = page.locator("section", has=page.get_by_role("heading", name="Processes"))
    expect(table.get_by_role("row")).to_have_count(4)
    lost = table.get_by_role("row").filter(has_text="rank2")
    expect(lost).to_contain_text("crashed")
    expect(lost).to_contain_text("the run goes on without it")
    expect(table.get_by_role("row").filter(has_text="main")).to_contain_text("well")
    table.get_by_role("button", name="Logs of rank1").click()
    expect(page.locator(".log-line").filter(has_text="rank 1 at step 4")).to_be_visible()


def test_another_process_is_chosen_in_the_logs_and_in_the_system_tab(visit: Visit, ranks: Site) -> None:
    (run,) = Api(ranks.folder).runs("ranks")
    page = visit.open(f"/p/ranks/r/{run.id}?tab=logs")
    expect(page.locator(".log-line").filter(has_text="rank 0 at step 4")).to_be_visible()
    page.get_by_role("combobox", name="Process").select_option("rank2")
    expect(page.locator(".log-line").filter(has_text="rank 2 at step 4")).to_be_visible()
    page.get_by_role("tab", name="System").click()
    expect(page.locator(".panel").first).to_be_visible()
    expect(page.get_by_role("combobox", name="Process").locator("option")).to_have_text(
        [re.compile(r"^main on"), re.compile(r"^rank1 on"), re.compile(r"^rank2 on")]
    )
    with page.expect_request(
        lambda request: request.url.endswith("/chart") and '"writer":"rank1"' in (request.post_data or "")
    ):
        page.get_by_role("combobox", name="Process").select_option("rank1")
    expect(page).to_have_url(re.compile(r"syswriter=rank1"))
    page.reload()
    expect(page.get_by_role("combobox", name="Process")).to_have_value("rank1")
    expect(page.locator(".panel canvas").first).to_be_visible()


def test_a_fork_and_its_origin_lead_to_each_other(visit: Visit, site: Site) -> None:
    origin = tracker.init(project="lineage", id="origin", name="the-origin", dir=site.folder)
    for step in range(10):
        origin.log({"loss": 1.0}, step=step)
    origin.finish()
    fork = tracker.init(project="lineage", id="fork", name="the-fork", dir=site.folder, fork_from="origin?_step=6")
    fork.log({"loss": 2.0})
    fork.finish()
    page = visit.open("/p/lineage/r/origin?tab=overview")
    expect(page.get_by_role("row", name="Forks")).to_contain_text("the-fork from step 6")
    page.get_by_role("link", name="the-fork").click()
    expect(page.get_by_role("heading", name="the-fork")).to_be_visible()
    page.get_by_role("tab", name="Overview").click()
    expect(page.get_by_role("row", name="Forked from")).to_contain_text("at step 6")
    page.get_by_role("link", name="origin").click()
    expect(page.get_by_role("heading", name="the-origin")).to_be_visible()


def test_how_far_a_run_is_sent_is_on_its_page(visit: Visit, site: Site) -> None:
    script = """
import sys, tracker_core
run = tracker_core.init(project="sent", id="away", dir=sys.argv[1], mode="online")
run.log({"loss": 1.0})
print("ready", flush=True)
sys.stdin.readline()
"""
    nobody = {"TRACKER_BASE_URL": "http://127.0.0.1:9", "TRACKER_API_KEY": "tk_none", "TRACKER_SYNC_TIMEOUT_S": "0"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    command = [sys.executable, "-c", script, str(site.folder)]
    with subprocess.Popen(command, env={**os.environ, **nobody}, text=True, **pipes) as process:
        assert process.stdout.readline() == "ready\n"
        page = visit.open("/p/sent/r/away?tab=overview")
        row = page.get_by_role("row", name="Sent to")
        expect(row.get_by_role("link")).to_have_attribute("href", "http://127.0.0.1:9/p/sent/r/away")
        expect(row).to_contain_text("left")
        process.stdin.write("\n")
    end_senders(site.folder)
