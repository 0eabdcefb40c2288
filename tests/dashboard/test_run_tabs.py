"""The run page's tabs System, Code and Overview, in a real browser, on runs that a real server read."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tracker_core.run import Run

from .conftest import HOSTILE, Visit
from .story import COMMIT, sample

# Tabs


def test_tabs_are_in_their_order_and_the_address_opens_one(told: Visit) -> None:
    page = told.open("/p/story/r/told")
    expect(page.get_by_role("tab")).to_have_count(8)
    labels = [text.split(" ")[0] for text in page.get_by_role("tab").all_inner_texts()]
    assert labels == ["Charts", "Artifacts", "System", "Logs", "Code", "Config", "Summary", "Overview"]
    expect(page.get_by_role("tab", name="Charts")).to_have_attribute("aria-selected", "true")
    page.get_by_role("tab", name="Overview").click()
    expect(page).to_have_url(re.compile(r"tab=overview"))
    page.reload()
    expect(page.get_by_role("heading", name="Health of the record")).to_be_visible()
    page.get_by_role("tab", name="Overview").press("ArrowLeft")
    expect(page.get_by_role("tab", name="Summary")).to_be_focused()


def test_a_tabs_code_is_loaded_when_it_is_opened(told: Visit) -> None:
    asked: list[str] = []
    told.page.on("request", lambda request: asked.append(request.url.rsplit("/", 1)[1]))
    page = told.open("/p/story/r/told")
    expect(page.locator(".panel")).to_have_count(2)
    assert not {"run_system.js", "run_logs.js", "run_code.js", "log_view.js"} & set(asked)
    page.get_by_role("tab", name="Logs").click()
    expect(page.locator(".log-line").first).to_be_visible()
    assert {"run_logs.js", "log_view.js"} <= set(asked)


@pytest.mark.parametrize("tab", ["system", "logs", "code", "overview"])
def test_tabs_of_a_bare_run_say_how_they_are_filled(told: Visit, tab: str) -> None:
    page = told.open(f"/p/story/r/bare?tab={tab}")
    told_text = "TRACKER_" if tab != "overview" else "Every row that was logged is here"
    expect(page.locator("#tab-body")).to_contain_text(told_text)


@pytest.mark.parametrize("tab", ["system", "logs", "code", "overview"])
def test_tabs_fit_a_narrow_page(told: Visit, tab: str) -> None:
    told.page.set_viewport_size({"width": 390, "height": 800})
    page = told.open(f"/p/story/r/told?tab={tab}")
    expect(page.locator(".tile, .log-line, .diff-file, .overview").first).to_be_visible()
    expect(page.get_by_role("tab", name=tab.title())).to_be_in_viewport()
    assert page.evaluate("document.querySelector('main').scrollWidth") <= 390


# System


def ready(page: Page, metric: str) -> Locator:
    panel = page.locator(f'[data-metric="{metric}"]')
    panel.scroll_into_view_if_needed()
    expect(panel).to_have_attribute("data-status", "ready")
    return panel


def test_a_panel_of_many_gpus_is_one_request(told: Visit) -> None:
    asked: list[list[str]] = []
    told.page.on(
        "request", lambda request: request.url.endswith("/chart") and asked.append(request.post_data_json["metrics"])
    )
    page = told.open("/p/story/r/told?tab=system")
    ready(page, "memory_used_bytes")
    lines = [f"system/gpu{i}/memory_used_bytes" for i in range(3)]
    assert lines in asked and not any(line in metrics for line in lines for metrics in asked if metrics != lines)


def test_gpus_are_lines_of_one_panel_or_sections_of_their_own(told: Visit) -> None:
    page = told.open("/p/story/r/told?tab=system")
    panel = ready(page, "memory_used_bytes")
    expect(panel).to_contain_text("of 80")
    expect(panel.get_by_role("img")).to_have_attribute("aria-label", re.compile(r"3 lines\. GPU 0 H100: last 70.GiB"))
    page.get_by_role("button", name="By GPU").click()
    expect(page).to_have_url(re.compile("by=device"))
    ready(page, "system/gpu1/power_w")
    section = page.locator(".wall-section").filter(has=page.get_by_text("GPU 1", exact=True))
    expect(section.locator("h2")).to_contain_text("H100 · 80")
    expect(section.locator("h2")).to_contain_text("GPU-1-uuid")


def test_system_charts_have_time_below_and_percent_from_0_to_100(told: Visit) -> None:
    requests: list[dict[str, object]] = []
    told.page.on("request", lambda r: requests.append(r.post_data_json) if r.url.endswith("/chart") else None)
    page = told.open("/p/story/r/told?tab=system")
    panel = ready(page, "system/cpu_percent")
    assert {request["x"] for request in requests} == {"relative_time"}
    scale = panel.locator(".u-over").evaluate("over => getComputedStyle(over).cursor")
    assert scale == "crosshair"
    page.get_by_label("X axis").select_option("wall_time")
    expect(page).to_have_url(re.compile("sysx=wall_time"))
    ready(page, "system/cpu_percent")
    assert requests[-1]["x"] == "wall_time"


def test_present_values_and_what_holds_a_gpu_back_are_told(told: Visit) -> None:
    page = told.open("/p/story/r/told?tab=system")
    tiles = page.locator(".tiles")
    expect(tiles).to_contain_text("91%")
    expect(tiles).to_contain_text(re.compile(r"1\.8.kW"))
    expect(tiles).to_contain_text(re.compile(r"62.°C"))
    expect(tiles).to_contain_text(re.compile(r"2.GiB"))
    expect(page.locator(".warn-chip")).to_have_text(re.compile("GPU 2 is held back: hw thermal"))


def test_samples_arrive_without_a_reload(visit: Visit, live_run: Run) -> None:
    sample(live_run, power_w=300.0, n_gpus=1)
    page = visit.open(f"/p/live-tabs/r/{live_run.id}?tab=system")
    panel = ready(page, "system/gpu0/power_w")
    expect(panel.get_by_role("img")).to_have_attribute("aria-label", re.compile("last 300.W"))
    sample(live_run, power_w=456.0, n_gpus=1)
    expect(page.locator(".tiles")).to_contain_text(re.compile(r"456.W"))
    expect(panel.get_by_role("img")).to_have_attribute("aria-label", re.compile("last 456.W"))


def test_system_metrics_are_on_no_other_wall(told: Visit) -> None:
    page = told.open("/p/story/r/told")
    expect(page.locator(".panel")).to_have_count(2)
    told.open("/p/story")
    ready(page, "loss")
    assert page.locator('[data-metric^="system/"]').count() == 0
    page.get_by_label("X axis").locator("option").first.wait_for(state="attached")
    assert not any("system/" in text for text in page.get_by_label("X axis").locator("option").all_inner_texts())


# Code


def test_command_and_commit_are_told_and_the_link_gives_nothing_away(told: Visit, context: BrowserContext) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = told.open("/p/story/r/told?tab=code")
    page.get_by_role("button", name="Copy the command").click()
    assert page.evaluate("navigator.clipboard.readText()") == "python train.py --name 'two words'"
    link = page.get_by_role("link", name=COMMIT[:10])
    expect(link).to_have_attribute("href", f"https://github.com/ada/repo/commit/{COMMIT}")
    expect(link).to_have_attribute("rel", re.compile("noreferrer"))
    page.get_by_text("Run again").click()
    expect(page.locator("details")).to_contain_text(f"git checkout {COMMIT}")
    expect(page.locator("details")).to_contain_text("git apply diff.patch")


def test_uncommitted_changes_are_told_by_sign_and_number(told: Visit) -> None:
    page = told.open("/p/story/r/told?tab=code")
    file = page.locator(".diff-file")
    expect(file.locator("h3")).to_contain_text("+1")
    expect(file.locator("tr.is-removed")).to_contain_text("\N{MINUS SIGN}old = 1")
    expect(file.locator("tr.is-added")).to_contain_text(HOSTILE)
    expect(file.locator("tr.is-added .diff-number").last).to_have_attribute("data-n", "1")
    assert page.locator(".diff img").count() == 0
    file.get_by_role("button", name="train.py").click()
    expect(file.locator("table")).to_have_count(0)


def test_kept_files_are_shown_the_main_script_first(told: Visit) -> None:
    page = told.open("/p/story/r/told?tab=code&code=files")
    expect(page.locator(".file-list li").first).to_contain_text("train.py")
    expect(page.locator(".code-line").nth(2)).to_contain_text("import os  # a comment")
    expect(page.locator(".token-comment")).to_have_text("# a comment")
    page.get_by_role("button", name="lib/other.py").click()
    expect(page.locator(".code-lines")).to_have_text("# other")
    expect(page).to_have_url(re.compile("file=lib"))


def test_packages_are_searched_and_copied_as_requirements(told: Visit, context: BrowserContext) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = told.open("/p/story/r/told?tab=code&code=packages")
    expect(page.locator(".package-list dt")).to_have_count(3)
    page.get_by_label("Find a package").fill("torch")
    expect(page.locator(".package-list dt")).to_have_text(["torch"])
    page.get_by_role("button", name="Copy as requirements.txt").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert "numpy==2.4.1\ntorch==2.13.0" in page.evaluate("navigator.clipboard.readText()")


# Overview and states


def test_overview_tells_the_machine_and_gives_files(told: Visit) -> None:
    page = told.open("/p/story/r/told?tab=overview")
    overview = page.locator(".overview")
    for text in ("Debian 12 x86_64", "node-17", "GPU-2-uuid", "Every row that was logged is here"):
        expect(overview).to_contain_text(text)
    with page.expect_download() as download:
        page.get_by_role("link", name="results.json").click()
    assert download.value.path().read_bytes() == b"{}"
    assert download.value.suggested_filename == "results.json"


def test_what_is_not_whole_in_a_record_is_counted(told: Visit) -> None:
    page = told.open("/p/story/r/killed?tab=overview")
    health = page.get_by_label("Health of the record")
    expect(health).to_contain_text("1 jump of the clock: +1m 30s")
    expect(health).to_contain_text("7 console lines were left out")
    expect(health).not_to_contain_text("Every row")


@pytest.mark.parametrize(
    ("run", "words"),
    [("killed", "killed by SIGTERM"), ("preempted", "preempted by the scheduler"), ("told", "finished")],
)
def test_every_end_is_told_in_words_and_by_its_own_sign(told: Visit, run: str, words: str) -> None:
    page = told.open(f"/p/story/r/{run}?tab=overview")
    expect(page.locator(".state-line")).to_contain_text(words)
    shapes = set()
    told.open("/p/story")
    for state in ("finished", "killed", "preempted"):
        icon = page.locator(f"tr[data-run] svg[aria-label={state}]").first
        expect(icon).to_be_visible()
        shapes.add(icon.evaluate("svg => svg.lastElementChild.outerHTML"))
    assert len(shapes) == 3


def test_runs_are_filtered_by_how_they_ended(told: Visit) -> None:
    page = told.open("/p/story?filter=state%20%3D%3D%20%22preempted%22")
    expect(page.locator("tr[data-run] .run-name")).to_have_text(["preempted"])


def test_enter_after_the_help_was_closed_opens_the_run(told: Visit) -> None:
    page = told.open("/p/story")
    expect(page.locator("tr[data-run]")).to_have_count(4)
    page.keyboard.press("j")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/r/"))
