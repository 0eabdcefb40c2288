"""The run page's tabs Media, Tables, Plots and Alerts, and the page of all alerts, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import expect

from .conftest import Site, Visit
from .media_story import MediaWriter, told_run

RUN = "/p/media/r/told"
N_ROWS = 3000
N_STEPS = 30


def _pixels(value: int) -> np.ndarray:
    return np.full((8, 8), value, np.uint8)


def _write(told: MediaWriter, first: int = 0) -> None:
    for step in range(N_STEPS):
        at = step * 10
        images = [told.image(_pixels(step), caption=f"image {n} of {at}") for n in range(3)]
        told.row(at, {"val/images": told.images(images), "note": f"text of step {at}"})
        told.row(at, {"weights": told.histogram(np.linspace(first, first + step + 1, 100))})
    box = {"position": {"minX": 0.1, "maxX": 0.5, "minY": 0.1, "maxY": 0.5}, "class_id": 1, "box_caption": "dog"}
    mask = {"path": told.image(_pixels(1))["path"], "class_labels": {"1": "dog"}}
    boxed = told.image(_pixels(99), boxes={"found": {"box_data": [box]}}, masks={"truth": mask})
    told.row(5, {"val/boxed": boxed, "sound": told.audio(440, 0.2, caption="a tone")})
    told.row(5, {"page": told.html("<p id=hello>Hello</p>")})
    told.row(5, {"later": {"_type": "image", "path": "media/image/later.png", "width": 8, "height": 8}})
    numbers = np.arange(N_ROWS)
    cells = {
        "id": numbers,
        "score": (numbers * 7919 % N_ROWS) / N_ROWS,
        "name": [f"row {n}" + " long" * (100 if n == 7 else 0) for n in numbers],
        "picture": [boxed] * N_ROWS,
    }
    told.row(20, {"table": told.table(cells, media=["picture"])})
    told.row(40, {"table": told.table({"id": [1, 2, 3]})})
    series = [{"name": "a", "x": [0, 1, 2], "y": [1, 3, 2]}, {"name": "b", "x": [0, 1, 2], "y": [2, 1, 3]}]
    told.row(5, {"curve": told.plot("line", "Two lines", {"series": series, "x_label": "x"})})
    told.row(5, {"confusion": told.plot("confusion_matrix", "", {"classes": ["a", "b"], "counts": [[3, 1], [0, 4]]})})
    told.alert("Accuracy is up", "0.9", "INFO", 10)
    told.alert("Loss is NaN", "since step 20\nand ever after", "ERROR", 20)


@pytest.fixture(scope="module")
def media_site(site: Site) -> Site:
    told_run(site.folder, "told", _write)
    told_run(site.folder, "other", lambda told: told.row(20, {"note": "the other run's text"}))
    told_run(site.folder, "none", lambda told: told.run.log({"loss": 1.0}))
    return site


@pytest.fixture
def seen(visit: Visit, media_site: Site) -> Iterator[Visit]:
    assert visit.site is media_site
    yield visit
    # The browser tells of the image that is not there yet.
    visit.complaints = [text for text in visit.complaints if "404" not in text]


def test_tabs_are_there_where_the_run_has_something_for_them(seen: Visit) -> None:
    page = seen.open(RUN)
    for name in ("Media 6", "Tables 1", "Plots 3", "Alerts 2"):
        expect(page.get_by_role("tab", name=name)).to_be_visible()
    page = seen.open("/p/media/r/none")
    expect(page.get_by_role("tab", name="Logs")).to_be_visible()
    expect(page.get_by_role("tab", name="Media")).to_have_count(0)


@pytest.mark.parametrize("tab", ["media", "tables", "plots", "alerts"])
def test_tabs_of_a_run_without_say_how_they_are_filled(seen: Visit, tab: str) -> None:
    page = seen.open(f"/p/media/r/none?tab={tab}")
    expect(page.locator("#tab-body .snippet")).to_contain_text("run.")


@pytest.mark.parametrize("tab", ["media", "tables", "plots", "alerts"])
def test_tabs_fit_a_narrow_page(seen: Visit, tab: str) -> None:
    seen.page.set_viewport_size({"width": 390, "height": 800})
    page = seen.open(f"{RUN}?tab={tab}&keys=val")
    expect(page.locator(".media-card, .logged-table, .alert, #tab-body .muted").first).to_be_visible()
    assert page.evaluate("document.querySelector('main').scrollWidth") <= 390


def test_all_media_move_to_one_step_which_the_address_tells(seen: Visit) -> None:
    page = seen.open(f"{RUN}?tab=media")
    images, note = page.locator('[data-key="val/images"]'), page.locator('[data-key="note"]')
    expect(images.locator("figcaption").first).to_have_text("image 0 of 290")
    note.scroll_into_view_if_needed()
    expect(note).to_contain_text("text of step 290")
    images.get_by_role("button", name="Step before").click()
    expect(images.locator("figcaption").first).to_have_text("image 0 of 280")
    expect(note).to_contain_text("text of step 280")
    page.keyboard.press("[")
    expect(note).to_contain_text("text of step 270")
    expect(page).to_have_url(re.compile("step=270"))
    page.reload()
    expect(images.locator("figcaption").first).to_have_text("image 0 of 270")
    note.scroll_into_view_if_needed()
    expect(note).to_contain_text("text of step 270")
    page.get_by_role("button", name="Same step").click()
    note.get_by_role("slider").fill("3")
    expect(note).to_contain_text("text of step 30")
    expect(images.locator("figcaption").first).to_have_text("image 0 of 270")
    page.get_by_role("button", name="Same step").click()


def test_a_step_is_held_and_another_run_stands_beside(seen: Visit) -> None:
    page = seen.open(f"{RUN}?tab=media&keys=note&step=50")
    note = page.locator('[data-key="note"]')
    expect(note).to_contain_text("text of step 50")
    note.get_by_role("button", name="Hold a step of note").click()
    page.keyboard.press("]")
    expect(note.locator(".media-column")).to_have_count(2)
    expect(note).to_contain_text("text of step 60")
    expect(note).to_contain_text("held: step 50")
    page.get_by_label("Compare with another run").select_option("other")
    expect(note).to_contain_text("the other run's text")
    expect(page).to_have_url(re.compile("against=other"))


def test_images_are_shown_large_with_boxes_and_masks(seen: Visit) -> None:
    page = seen.open(f"{RUN}?tab=media&keys=val/boxed")
    card = page.locator('[data-key="val/boxed"]')
    expect(card.locator(".box")).to_have_attribute("title", "dog")
    mask = card.locator("canvas.mask-layer")
    expect(mask).to_have_attribute("width", "8")
    card.get_by_role("button", name="truth").click()
    card.get_by_role("button", name="found").click()
    expect(card.locator(".box, canvas")).to_have_count(0)
    card.get_by_role("button", name="found").click()
    card.locator(".image-button").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".box-label")).to_have_text("dog")
    expect(dialog).to_contain_text(re.compile("8 . 8 . png"))


def test_sound_and_pages_are_there(seen: Visit) -> None:
    page = seen.open(f"{RUN}?tab=media")
    expect(page.locator('[data-key="sound"] audio')).to_have_js_property("duration", 0.2)
    frame = page.frame_locator('[data-key="page"] iframe')
    expect(frame.locator("#hello")).to_have_text("Hello")


def test_what_is_still_on_its_way_says_so(seen: Visit) -> None:
    page = seen.open(f"{RUN}?tab=media&keys=later")
    expect(page.locator('[data-key="later"]')).to_contain_text("not here yet")


def test_a_table_is_sorted_searched_and_filtered_by_the_server(seen: Visit) -> None:
    page = seen.open(f"{RUN}?tab=tables&step=20")
    first = page.locator(".logged-table tbody tr:not([aria-hidden])").first
    foot = page.get_by_role("status").filter(has_text="row")
    expect(foot).to_contain_text(re.compile(r"3.?000 rows"))
    page.locator(".logged-table thead").get_by_role("button", name="score", exact=True).click()
    expect(first.locator("td").nth(1)).to_have_text("0")
    page.locator(".logged-table thead").get_by_role("button", name="score", exact=True).click()
    expect(first.locator("td").nth(1)).to_have_text(re.compile("^0.999"))
    page.get_by_label("Search all columns").fill("row long")
    expect(foot).to_contain_text("1 of")
    page.get_by_role("button", name="Filter by id").click(force=True)
    page.get_by_role("dialog").get_by_label("Condition").select_option("<")
    page.get_by_role("dialog").get_by_label("Value").fill("7")
    page.keyboard.press("Enter")
    expect(foot).to_contain_text("0 of")
    expect(page.locator(".conditions")).to_contain_text("id < 7")
    page.get_by_role("button", name="Remove the filter id < 7").click()
    expect(foot).to_contain_text("1 of")


def test_rows_far_down_and_whole_cells_are_fetched_when_they_are_looked_at(seen: Visit) -> None:
    page = seen.open(f"{RUN}?tab=tables&step=20")
    expect(page.locator(".logged-table .box").first).to_be_attached()
    page.wait_for_function(
        """() => {
            const scroller = document.querySelector('.logged-scroller');
            scroller.scrollTop = scroller.scrollHeight;  // which grows until the table is laid out
            return scroller.innerText.includes('row 2999');
        }"""
    )
    expect(page.get_by_text("row 2999", exact=True)).to_be_visible()
    assert page.locator(".logged-table tbody tr").count() < 100
    page.locator(".logged-scroller").evaluate("(scroller) => { scroller.scrollTop = 0; }")
    page.get_by_role("button", name="8", exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text(" long" * 100)


def test_plots_are_drawn_and_large_and_over_all_steps(seen: Visit) -> None:
    page = seen.open(f"{RUN}?tab=plots")
    expect(page.locator('[data-key="curve"] path.plot-line')).to_have_count(2)
    expect(page.locator('[data-key="curve"] .plot-legend li')).to_have_text(["a", "b"])
    expect(page.locator('[data-key="confusion"] rect')).to_have_count(4)
    page.get_by_role("button", name="Show % of the actual class").click()
    expect(page.locator('[data-key="confusion"] .plot-count').first).to_have_text("75")
    weights = page.locator('[data-key="weights"]')
    expect(weights.locator("rect.plot-bar")).to_have_count(64)
    weights.get_by_role("button", name="over steps").click()
    expect(weights.locator("canvas")).to_have_attribute("width", str(N_STEPS))
    page.get_by_role("button", name="Show curve large").click()
    expect(page.get_by_role("dialog").locator("path.plot-line")).to_have_count(2)


def test_the_bell_counts_alerts_until_they_are_seen(seen: Visit) -> None:
    page = seen.open(RUN)
    expect(page.locator(".alert-banner")).to_contain_text("Loss is NaN")
    expect(page.locator(".bell-count")).to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press("n")
    expect(page.get_by_role("heading", name="Alerts")).to_be_visible()
    expect(page.locator(".alert-title").first).to_be_visible()
    expect(page.locator(".bell-count")).to_have_count(0)
    page = seen.open("/p/media/alerts")
    expect(page.locator(".alert-title")).to_have_text(["Loss is NaN", "Accuracy is up"])
    page.get_by_role("button", name="Error").click()
    expect(page.locator(".alert-title")).to_have_text(["Loss is NaN"])
    page.get_by_label("Find alerts").fill("nothing like that")
    expect(page.get_by_text("No alert matches.")).to_be_visible()
    page.get_by_label("Find alerts").fill("ever AFTER")
    page.locator(".alert").get_by_role("link", name="told").click()
    expect(page.get_by_role("tab", name="Alerts")).to_have_attribute("aria-selected", "true")


def test_an_alert_put_away_stays_away(seen: Visit) -> None:
    page = seen.open(RUN)
    page.get_by_role("button", name="Put this alert away").click()
    expect(page.locator(".alert-banner")).to_have_count(0)
    page.reload()
    expect(page.get_by_role("tab", name="Media")).to_be_visible()
    expect(page.locator(".alert-banner")).to_have_count(0)


def test_a_summary_tells_media_in_words(seen: Visit) -> None:
    page = seen.open(f"{RUN}?tab=summary")
    page.get_by_role("link", name="3 images").click()
    expect(page.locator('[data-key="val/images"]')).to_be_visible()
