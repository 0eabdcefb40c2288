"""The run page's log, in a real browser, on what real runs recorded as printed."""

from __future__ import annotations

import re

from playwright.sync_api import BrowserContext, Locator, Page, expect

from tracker_core.run import Run

from .conftest import HOSTILE, Visit
from .story import N_LINES, say

MAX_ROWS_IN_PAGE = 120


def line(page: Page, number: int) -> Locator:
    return page.locator(f'.log-line[data-line="{number}"]')


def visible_lines(page: Page) -> list[int]:
    """Return the numbers of the lines whose text is inside the log's window."""
    found: list[int] = page.evaluate("""() => {
        const box = document.querySelector('.log-scroller').getBoundingClientRect();
        return [...document.querySelectorAll('.log-line')].filter((line) => {
            const { top, bottom } = line.getBoundingClientRect();
            return top >= box.top - 1 && bottom <= box.bottom + 1;
        }).map((line) => Number(line.dataset.line));
    }""")
    return found


def test_log_opens_at_its_end_and_the_keys_go_through_it(told: Visit) -> None:
    page = told.open("/p/story/r/told?tab=logs")
    expect(line(page, N_LINES + 1)).to_contain_text("the last words")
    assert visible_lines(page)[-1] == N_LINES + 1
    page.keyboard.press("g")
    expect(line(page, 1)).to_contain_text("line 1 green")
    assert visible_lines(page)[0] == 1
    page.keyboard.press("G")
    expect(line(page, N_LINES + 1)).to_be_in_viewport()
    assert page.locator(".log-line").count() < MAX_ROWS_IN_PAGE


def test_scroll_bar_is_true_to_the_place_in_the_log(told: Visit) -> None:
    page = told.open("/p/story/r/told?tab=logs")
    expect(line(page, N_LINES + 1)).to_be_visible()
    page.locator(".log-scroller").evaluate("box => { box.scrollTop = (box.scrollHeight - box.clientHeight) / 2; }")
    expect(line(page, N_LINES // 2)).to_contain_text(f"line {N_LINES // 2}")
    shown = visible_lines(page)
    assert shown[0] < N_LINES // 2 < shown[-1]


def test_a_line_is_linked_and_a_range_is_copied_as_plain_text(told: Visit, context: BrowserContext) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = told.open("/p/story/r/told?tab=logs&line=1200")
    expect(line(page, 1200)).to_have_class(re.compile("is-selected"))
    expect(line(page, 1200)).to_be_in_viewport()
    line(page, 1202).locator(".log-number").click(modifiers=["Shift"])
    expect(page).to_have_url(re.compile("line=1200-1202"))
    page.get_by_role("button", name="Copy text").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == "line 1200 green\nline 1201 green\nline 1202 green\n"


def test_copied_selection_has_no_numbers_and_no_times(told: Visit, context: BrowserContext) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = told.open("/p/story/r/told?tab=logs&line=10")
    expect(line(page, 11)).to_contain_text("line 11 green")
    page.evaluate("""() => {
        const text = (n) => document.querySelector(`.log-line[data-line="${n}"] .log-text`).firstChild;
        getSelection().setBaseAndExtent(text(9), 5, text(11), 7);
    }""")
    page.keyboard.press("Control+C")
    assert page.evaluate("navigator.clipboard.readText()") == "9 green\nline 10 green\nline 11"


def test_search_finds_in_the_whole_log_and_goes_from_match_to_match(told: Visit) -> None:
    page = told.open("/p/story/r/told?tab=logs&line=1")
    expect(line(page, 1)).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("needle")
    expect(page.locator(".log-count")).to_have_text("1 of 2")
    expect(line(page, 3001).locator("mark")).to_have_text("needle")
    expect(line(page, 3001)).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator(".log-count")).to_have_text("2 of 2")
    expect(line(page, 4001).locator("mark")).to_have_text("NEEDLE")
    page.keyboard.press("Shift+Enter")
    expect(page.locator(".log-count")).to_have_text("1 of 2")
    expect(page).to_have_url(re.compile("find=needle"))
    page.keyboard.press("Escape")
    expect(page.locator("mark")).to_have_count(0)


def test_output_is_text_and_only_its_colours_take_effect(told: Visit) -> None:
    page = told.open("/p/story/r/told?tab=logs&line=3")
    expect(line(page, 3)).to_contain_text(f"{HOSTILE} link")
    assert page.locator(".log img, .log-text a").count() == 0
    assert page.evaluate("window.hacked") is None
    assert line(page, 1).locator(".log-text span").first.evaluate("span => span.style.color") != ""
    page.keyboard.press("G")
    expect(line(page, N_LINES + 1)).to_have_class(re.compile("is-err"))


def test_wrapped_lines_are_all_read_to_their_end(visit: Visit, live_run: Run) -> None:
    say(live_run, 0, [f"{number} " + "x" * 3000 + " end" for number in range(200)])
    visit.page.set_viewport_size({"width": 900, "height": 700})
    page = visit.open(f"/p/live-tabs/r/{live_run.id}?tab=logs")
    page.get_by_role("button", name="Wrap").click()
    last = line(page, 200).locator(".log-text")
    expect(last).to_be_in_viewport()
    box = page.locator(".log-scroller").bounding_box()
    inner = last.bounding_box()
    assert box and inner
    assert box["y"] + box["height"] - 40 < inner["y"] + inner["height"] <= box["y"] + box["height"] + 1
    assert page.locator(".log-scroller").evaluate("box => box.scrollWidth <= box.clientWidth")


def test_times_are_shown_as_one_likes(told: Visit) -> None:
    page = told.open("/p/story/r/told?tab=logs")
    page.get_by_label("Times").select_option("absolute")
    expect(line(page, N_LINES + 1).locator(".log-time")).to_have_attribute(
        "data-t", re.compile(r"^\d\d:\d\d:\d\d\.\d{3}$")
    )
    page.get_by_label("Times").select_option("off")
    expect(page.locator(".log-time")).to_have_count(0)
    page.reload()
    expect(line(page, N_LINES + 1)).to_be_visible()
    assert page.locator(".log-time").count() == 0


def test_download_holds_the_whole_log_without_escape_sequences(told: Visit) -> None:
    page = told.open("/p/story/r/told?tab=logs")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    lines = download.value.path().read_text(encoding="utf-8").splitlines()
    assert len(lines) == N_LINES + 1
    assert lines[0] == "line 1 green"


def test_log_is_followed_until_one_scrolls_up(visit: Visit, live_run: Run) -> None:
    say(live_run, 0, [f"start {number}" for number in range(300)])
    page = visit.open(f"/p/live-tabs/r/{live_run.id}?tab=logs")
    expect(line(page, 300)).to_be_in_viewport()
    say(live_run, 300, [f"later {number}" for number in range(100)])
    expect(line(page, 400)).to_be_in_viewport()
    page.locator(".log-scroller").hover()
    page.mouse.wheel(0, -600)
    expect(page.get_by_role("button", name="Follow")).to_have_attribute("aria-pressed", "false")
    expect(line(page, 400)).not_to_be_in_viewport()
    say(live_run, 400, ["new one", "new two"])
    pill = page.get_by_role("button", name="2 new lines")
    expect(pill).to_be_visible()
    expect(line(page, 402)).to_have_count(0)
    pill.click()
    expect(line(page, 402)).to_be_in_viewport()
    expect(line(page, 402)).to_contain_text("new two")


def test_a_progress_bar_is_one_line_that_changes(visit: Visit, live_run: Run) -> None:
    say(live_run, 0, ["before", "  0%|          |"], stream=2)
    page = visit.open(f"/p/live-tabs/r/{live_run.id}?tab=logs")
    expect(line(page, 2)).to_contain_text("0%")
    say(live_run, 1, ["100%|##########|"], stream=2)
    expect(line(page, 2)).to_contain_text("100%")
    expect(page.locator(".log-line")).to_have_count(2)


def test_scrolling_is_not_undone_by_lines_that_come_at_the_same_moment(visit: Visit, live_run: Run) -> None:
    say(live_run, 0, [f"start {number}" for number in range(2000)])
    page = visit.open(f"/p/live-tabs/r/{live_run.id}?tab=logs")
    expect(line(page, 2000)).to_be_in_viewport()
    # A drawing right after the move, before the browser has told of it.
    page.locator(".log-scroller").evaluate("""box => {
        box.scrollTop = 0;
        document.querySelector('.log-number').click();
    }""")
    expect(line(page, 1)).to_be_in_viewport()
    expect(page.get_by_role("button", name="Follow")).to_have_attribute("aria-pressed", "false")
