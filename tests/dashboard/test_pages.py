"""The pages in a real browser against a real server. Every test also fails on a console error or a broken CSP."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, Request, expect

import tracker_core as tracker

from .conftest import HOSTILE, N_LONG, Visit

LOSS = '[data-metric="train/loss"]'
VISIBLE_WITHIN_MS = 2000


def ready(page: Page, metric: str = "train/loss") -> Locator:
    """Return the panel of a metric once it has drawn its data."""
    panel = page.locator(f'[data-metric="{metric}"]')
    expect(panel).to_have_attribute("data-status", "ready")
    return panel


def picture(panel: Locator) -> str:
    """Return the panel's canvas as text."""
    drawn: str = panel.locator("canvas").evaluate(
        "canvas => new Promise(done => requestAnimationFrame(() => done(canvas.toDataURL())))"
    )
    return drawn


def wait_until(is_so: Callable[[], bool], timeout_s: float = 5.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline, "it did not come about in time"


def is_chart(request: Request) -> bool:
    return request.method == "POST" and request.url.endswith("/chart")


def test_projects_are_listed_with_the_states_of_their_runs(visit: Visit) -> None:
    page = visit.open("/")
    row = page.get_by_role("row").filter(has_text="digits")
    expect(row).to_contain_text("3 finished")
    expect(row).to_contain_text("1 failed")
    row.get_by_role("link").click()
    expect(page).to_have_url(re.compile(r"/p/digits$"))
    expect(page.locator("tr[data-run]")).to_have_count(4)


def test_run_table_shows_config_and_summary_and_sorts(visit: Visit) -> None:
    page = visit.open("/p/digits?table=1")
    head = page.get_by_role("columnheader", name="lr")
    expect(head).to_be_visible()
    expect(page.get_by_role("columnheader", name="train/accuracy")).to_be_visible()
    page.get_by_role("button", name="lr", exact=True).click()
    names = page.locator("tr[data-run] .run-name")
    expect(names.first).to_have_text("run-0")
    page.get_by_role("button", name="lr", exact=True).click()
    expect(names.first).to_have_text("run-2")
    expect(head).to_have_attribute("aria-sort", "ascending")
    expect(page).to_have_url(re.compile("sort=config.lr"))


def test_filter_narrows_runs_and_is_kept_in_the_address(visit: Visit) -> None:
    page = visit.open("/p/digits")
    expect(page.locator("tr[data-run]")).to_have_count(4)
    page.keyboard.press("/")
    page.keyboard.type("config.lr < 0.05")
    expect(page.locator("tr[data-run]")).to_have_count(2)
    expect(page.locator(".pane-counts")).to_contain_text("2 of 4 runs")
    expect(page).to_have_url(re.compile(r"filter=config\.lr"))
    page.reload()
    expect(page.locator("tr[data-run]")).to_have_count(2)


def test_live_chart_gains_a_point_soon_after_log_and_keeps_its_canvas(visit: Visit) -> None:
    run = tracker.init(project="live", name="now", dir=visit.site.folder)
    run.log({"live/value": 1.0}, step=0)
    page = visit.open("/p/live")
    panel = ready(page, "live/value")
    expect(page.locator(".live")).to_have_text("Live")
    panel.locator("canvas").evaluate("canvas => { canvas.isTheSame = true; }")
    for step in range(1, 4):
        run.log({"live/value": 1000.0 + step}, step=step)
        label = panel.get_by_role("img")
        expect(label).to_have_attribute("aria-label", re.compile(f"last 100{step}"), timeout=VISIBLE_WITHIN_MS)
    assert panel.locator("canvas").evaluate("canvas => canvas.isTheSame === true")
    run.finish()
    expect(page.locator("tr[data-run] svg[aria-label=finished]")).to_be_visible()


def test_a_new_run_appears_without_a_reload(visit: Visit) -> None:
    first = tracker.init(project="growing", name="first", dir=visit.site.folder)
    first.log({"m": 1.0})
    first.finish()
    page = visit.open("/p/growing")
    expect(page.locator("tr[data-run]")).to_have_count(1)
    second = tracker.init(project="growing", name="second", dir=visit.site.folder)
    second.log({"m": 2.0})
    second.finish()
    expect(page.locator("tr[data-run]")).to_have_count(2)
    expect(ready(page, "m").get_by_role("img")).to_have_attribute("aria-label", re.compile("2 runs"))


def test_hidden_run_leaves_the_charts_and_comes_back(visit: Visit) -> None:
    page = visit.open("/p/digits")
    panel = ready(page)
    before = picture(panel)
    page.get_by_role("button", name="Hide run-0").click()
    expect(panel.get_by_role("img")).not_to_have_attribute("aria-label", re.compile("run-0"))
    wait_until(lambda: picture(panel) != before)
    expect(page).to_have_url(re.compile("hide="))
    page.get_by_role("button", name="Show run-0").click()
    expect(panel.get_by_role("img")).to_have_attribute("aria-label", re.compile("run-0"))


def test_smoothing_changes_what_is_drawn(visit: Visit) -> None:
    page = visit.open("/p/digits")
    panel = ready(page)
    before = picture(panel)
    page.get_by_role("slider").fill("50")
    expect(panel.locator(".panel-sub")).to_contain_text("EMA, weight = 0.9")
    wait_until(lambda: picture(panel) != before)
    expect(page).to_have_url(re.compile("smooth="))


def test_a_kind_of_smoothing_is_chosen_and_does_not_change_with_the_zoom(visit: Visit) -> None:
    page = visit.open("/p/digits")
    panel = ready(page)
    page.get_by_role("slider").fill("50")
    page.get_by_label("Kind of smoothing").select_option("Gaussian")
    subtitle = panel.locator(".panel-sub")
    expect(subtitle).to_have_text(re.compile(r"^Gaussian, \S = [\d.]+k? steps$"))
    expect(page).to_have_url(re.compile("smoothkind=gaussian"))
    told = subtitle.inner_text()
    page.reload()
    expect(subtitle).to_have_text(told)
    expect(page.get_by_role("slider")).to_have_value("50")
    query = page.evaluate("location.search")
    with page.expect_request(
        lambda request: is_chart(request) and request.post_data_json["smoothing"] != {"kind": "none"}
    ):
        visit.open(f"/p/digits{query}&zoom=10~20")
    expect(subtitle).to_have_text(told)


def test_a_spike_of_one_step_is_kept_and_nan_is_counted(visit: Visit) -> None:
    page = visit.open("/p/digits")
    panel = ready(page)
    expect(panel.locator(".panel-foot")).to_contain_text("spikes kept")
    expect(panel.locator(".panel-foot")).to_contain_text("3 NaN/Inf")
    label = re.compile(r"run-0: last [^ ]+, min [^ ]+, max 5\d")
    expect(panel.get_by_role("img")).to_have_attribute("aria-label", label)


def drag(page: Page, panel: Locator, begin: float, end: float) -> None:
    """Drag over a part of the plot's width."""
    box = panel.locator(".u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + begin * box["width"], box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + end * box["width"], box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()


def test_zoom_refetches_all_panels_and_steps_back(visit: Visit) -> None:
    page = visit.open("/p/digits")
    loss, accuracy = ready(page), ready(page, "train/accuracy")
    expect(loss.locator(".panel-foot")).to_contain_text("1 px")
    requests: list[dict[str, Any]] = []
    page.on("request", lambda request: requests.append(request.post_data_json) if is_chart(request) else None)
    drag(page, loss, 0.5, 0.52)
    expect(loss.locator(".panel-foot")).to_contain_text("exact")
    expect(accuracy.locator(".panel-foot")).to_contain_text("exact")
    assert {request["metric"] for request in requests} >= {"train/loss", "train/accuracy"}
    assert all(0.4 * N_LONG < request["x_min"] < request["x_max"] < 0.6 * N_LONG for request in requests)
    loss.locator(".u-over").dblclick()
    expect(loss.locator(".panel-foot")).to_contain_text("1 px")
    expect(page).not_to_have_url(re.compile("zoom="))


@pytest.mark.parametrize("x", ["relative_time", "wall_time", "metric:train/accuracy"])
def test_x_axis_can_be_chosen(visit: Visit, x: str) -> None:
    page = visit.open("/p/digits")
    ready(page)
    with page.expect_request(is_chart) as asked:
        page.get_by_label("X axis").select_option(x)
    assert asked.value.post_data_json["x"] == x
    ready(page)


def test_pointer_names_the_runs_and_lights_one_up(visit: Visit) -> None:
    page = visit.open("/p/digits")
    panel = ready(page, "train/accuracy")
    box = panel.locator(".u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 12)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 10)
    expect(page.locator(".tooltip")).to_contain_text("run-0")
    expect(page.locator("tr.is-hovered .run-name")).to_have_text("run-0")


def test_log_axis_and_table_view(visit: Visit) -> None:
    page = visit.open("/p/digits")
    panel = ready(page)
    panel.hover()
    panel.get_by_role("button", name="Menu of").click()
    page.get_by_role("menuitemcheckbox", name="Log y axis").click()
    expect(panel.locator(".panel-sub")).to_contain_text("log")
    expect(page).to_have_url(re.compile("logy="))
    panel.get_by_role("button", name="Menu of").click()
    page.get_by_role("menuitem", name="View as table").click()
    expect(page.get_by_role("dialog").get_by_role("columnheader", name="run-0")).to_be_visible()


def test_csv_holds_every_point(visit: Visit) -> None:
    page = visit.open("/p/digits")
    panel = ready(page)
    panel.hover()
    panel.get_by_role("button", name="Menu of").click()
    with page.expect_download() as download:
        page.get_by_role("menuitem", name="Download CSV").click()
    lines = download.value.path().read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + N_LONG + 40 + 40 + 1
    assert lines[0].startswith("run_id,run_name,step")


def test_theme_is_switched_and_remembered(visit: Visit) -> None:
    page = visit.open("/p/digits")
    ready(page)
    background = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(background) == "rgb(255, 255, 255)"
    for _ in ("light", "dark"):
        page.get_by_role("button", name="Theme:").click()
    assert page.evaluate(background) == "rgb(17, 20, 24)"
    page.reload()
    ready(page)
    assert page.evaluate(background) == "rgb(17, 20, 24)"


def test_run_page_shows_config_summary_and_the_error(visit: Visit) -> None:
    page = visit.open("/p/digits")
    page.get_by_role("link", name="failing").click()
    expect(page.get_by_role("heading", name="failing")).to_be_visible()
    expect(page.locator(".run-error")).to_contain_text("the reason it failed")
    expect(page.locator(".traceback")).to_contain_text("ValueError")
    page.keyboard.press("g")
    page.keyboard.press("r")
    page.get_by_role("link", name="run-1").click()
    page.get_by_role("tab", name="Config").click()
    expect(page.get_by_role("row", name="model.depth")).to_contain_text("18")
    page.get_by_role("tab", name="Summary").click()
    expect(page.get_by_role("row", name="train/accuracy")).to_be_visible()
    page.get_by_role("tab", name="Overview").click()
    expect(page.get_by_text("Every row that was logged is here")).to_be_visible()


def test_names_that_are_markup_are_shown_as_text(visit: Visit) -> None:
    project = HOSTILE.replace("/", "")
    page = visit.open("/")
    expect(page.get_by_role("link", name=project)).to_be_visible()
    page.goto(f"{visit.site.url}/p/{quote(project, safe='')}")
    ready(page, f"a/{HOSTILE}".replace('"', '\\"'))
    expect(page.get_by_role("link", name=HOSTILE)).to_be_visible()
    page.locator(".u-over").first.hover()
    expect(page.locator(".tooltip")).to_contain_text(HOSTILE)
    page.get_by_role("link", name=HOSTILE).click()
    for tab in ("Config", "Summary", "Overview"):
        page.get_by_role("tab", name=tab).click()
        expect(page.get_by_text(HOSTILE).first).to_be_visible()
    assert page.evaluate("window.hacked") is None
    assert page.locator("img").count() == 0


def test_keyboard_moves_hides_and_opens_runs(visit: Visit) -> None:
    page = visit.open("/p/digits")
    ready(page)
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator("tr.is-cursor .run-name")).to_have_text("run-2")
    page.keyboard.press("h")
    expect(page.get_by_role("button", name="Show run-2")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="run-2")).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keys")).to_have_count(0)


def test_many_tabs_share_one_stream_and_all_stay_live(visit: Visit, context: BrowserContext) -> None:
    run = tracker.init(project="shared", name="now", dir=visit.site.folder)
    run.log({"v": 1.0}, step=0)
    pages = [visit.open("/p/shared"), *(context.new_page() for _ in range(7))]
    for page in pages[1:]:
        page.goto(f"{visit.site.url}/p/shared")
    for page in pages:
        ready(page, "v")
    run.log({"v": 77.0}, step=1)
    for page in pages:
        label = page.locator('[data-metric="v"]').get_by_role("img")
        expect(label).to_have_attribute("aria-label", re.compile("last 77"))
    run.finish()


def test_narrow_page_is_one_column(visit: Visit) -> None:
    visit.page.set_viewport_size({"width": 390, "height": 844})
    page = visit.open("/p/digits")
    ready(page)
    for path in ("/", "/p/digits"):
        visit.open(path)
        expect(page.locator("main")).not_to_be_empty()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.evaluate("document.querySelector('main').scrollWidth") <= 390


def test_empty_project_shows_the_lines_that_fill_it(visit: Visit) -> None:
    page = visit.open("/p/nothing-here")
    expect(page.get_by_text("tracker.init(project=")).to_be_visible()
    visit.complaints.clear()  # The browser itself writes the server's 404 to the console.
