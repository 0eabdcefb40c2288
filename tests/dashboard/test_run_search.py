"""Finding runs in a real browser: filter, order, pages, columns and groups, each answered by a real server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Page, Request, expect

import tracker_core as tracker

from .conftest import Site, Visit
from .test_pages import is_chart, picture, ready, wait_until

N_MANY = 350
ROW_PX = 28


@pytest.fixture(scope="session")
def found(site: Site) -> Site:
    """A project "found": two settings, three seeds each, one run without, and one that failed to say."""
    for lr in (0.1, 0.01):
        for seed in range(3):
            name = f"net-{lr}-{seed}"
            config = {"lr": lr, "seed": seed, "opt": "adam", "model": {"depth": 18}}
            with tracker.init(project="found", name=name, dir=site.folder, config=config, tags=["baseline"]) as run:
                for step in range(20):
                    run.log(
                        {"val/loss": lr + seed / 10 + abs(step - 10) / 10, "train/loss": 1.0 / (step + 1)}, step=step
                    )
    with tracker.init(project="found", name="bare", dir=site.folder, notes="a note about resnets") as run:
        run.log({"train/loss": 5.0})
    return site


@pytest.fixture(scope="session")
def many(site: Site) -> Site:
    for index in range(N_MANY):
        config = {"lr": index / N_MANY, "odd": index % 2}
        with tracker.init(project="many", name=f"trial-{index:03d}", dir=site.folder, config=config) as run:
            run.log({"loss": float(index)})
    return site


@pytest.fixture
def search(visit: Visit, found: Site) -> Iterator[Visit]:
    """A visit whose console may tell of filters that the server refused: the browser writes each 400 there."""
    assert visit.site is found
    yield visit
    visit.complaints[:] = [text for text in visit.complaints if "400 (Bad Request)" not in text]


@pytest.fixture
def crowd(visit: Visit, many: Site) -> Visit:
    assert visit.site is many
    return visit


def rows(page: Page) -> Locator:
    return page.locator("tr[data-run]")


def names(page: Page) -> Locator:
    return page.locator("tr[data-run] .run-name")


def box(page: Page) -> Locator:
    return page.get_by_role("combobox", name="Filter runs")


def choices(page: Page) -> Locator:
    return page.get_by_role("listbox", name="What can be written here").get_by_role("option")


def queries(page: Page) -> list[dict[str, list[str]]]:
    """Return a list that gains the query of each request for runs."""
    asked: list[dict[str, list[str]]] = []

    def hear(request: Request) -> None:
        url = urlsplit(request.url)
        if url.path.endswith("/runs"):
            asked.append(parse_qs(url.query))

    page.on("request", hear)
    return asked


# The filter box


def test_a_filter_of_the_servers_language_finds_runs(search: Visit) -> None:
    page = search.open("/p/found")
    expect(rows(page)).to_have_count(7)
    box(page).fill('summary["val/loss"].min < 0.15 and "baseline" in tags and state == "finished"')
    expect(names(page)).to_have_text(["net-0.01-1", "net-0.01-0", "net-0.1-0"])
    expect(page.locator(".pane-counts")).to_contain_text("3 of 7 runs")


def test_plain_words_search_name_id_tags_and_notes(search: Visit) -> None:
    page = search.open("/p/found")
    box(page).fill("RESNETS")
    expect(names(page)).to_have_text(["bare"])
    box(page).fill("baseline 0.01-2")
    expect(names(page)).to_have_text(["net-0.01-2"])
    box(page).fill("nothing-like-it")
    expect(page.get_by_text("No run matches.")).to_be_visible()
    page.get_by_role("button", name="Show all runs").click()
    expect(rows(page)).to_have_count(7)


def test_what_is_wrong_is_underlined_with_its_remedy(search: Visit) -> None:
    page = search.open("/p/found")
    expect(rows(page)).to_have_count(7)
    box(page).fill("config.lr = 0.1")
    alert = page.get_by_role("alert")
    expect(alert.locator("mark")).to_have_text("=")
    expect(alert).to_contain_text("Write == to compare")
    expect(box(page)).to_have_attribute("aria-invalid", "true")
    expect(rows(page)).to_have_count(7)
    box(page).fill("config.lr ==")
    expect(alert).to_have_count(0)
    box(page).blur()
    expect(alert).to_contain_text("expected a field, key or value")
    box(page).fill('config.lr == 0.1 and nmae ~ "net"')
    expect(alert.locator("mark")).to_have_text("nmae")
    expect(alert).to_contain_text("Did you mean name?")
    box(page).fill('config.lr == 0.1 and name ~ "net"')
    expect(rows(page)).to_have_count(3)
    expect(alert).to_have_count(0)


def test_names_operators_and_states_are_completed_by_keyboard(search: Visit) -> None:
    page = search.open("/p/found")
    expect(rows(page)).to_have_count(7)  # from here on the page takes keys
    page.keyboard.press("/")
    page.keyboard.type("config.l")
    expect(choices(page)).to_contain_text(["config.lr"])
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(box(page)).to_have_value("config.lr ")
    page.keyboard.type("< 0.05 and state == ")
    expect(choices(page).filter(has_text="finished")).to_be_visible()
    page.keyboard.type("fin")
    expect(choices(page)).to_have_count(1)
    page.keyboard.press("ArrowDown")
    expect(box(page)).to_have_attribute("aria-activedescendant", re.compile("run-filter-list-0"))
    page.keyboard.press("Tab")
    expect(box(page)).to_have_value('config.lr < 0.05 and state == "finished" ')
    expect(rows(page)).to_have_count(3)
    page.keyboard.press("Escape")
    expect(choices(page)).to_have_count(0)
    expect(box(page)).not_to_have_value("")


def test_a_filter_is_remembered_with_its_project_and_shared_by_the_address(search: Visit) -> None:
    page = search.open("/p/found")
    box(page).fill("config.seed == 1")
    expect(rows(page)).to_have_count(2)
    expect(page).to_have_url(re.compile(r"filter=config\.seed"))
    search.open("/p/digits")
    expect(rows(page)).to_have_count(4)
    search.open("/p/found")
    expect(box(page)).to_have_value("config.seed == 1")
    expect(rows(page)).to_have_count(2)
    search.open("/p/found?filter=config.seed%20%3D%3D%202%20and%20config.lr%20%3C%200.05")
    expect(names(page)).to_have_text(["net-0.01-2"])


# Order and pages


def test_runs_are_sorted_by_an_aggregate_of_a_metric(search: Visit) -> None:
    page = search.open("/p/found?table=1")
    page.get_by_role("columnheader", name="val/loss").hover()
    page.get_by_role("button", name="Menu of column val/loss").click()
    page.get_by_role("menuitem", name="Show the min of").click()
    head = page.get_by_role("columnheader", name="val/loss min")
    expect(head).to_be_visible()
    page.get_by_role("button", name="val/loss min", exact=True).click()
    page.get_by_role("button", name="val/loss min", exact=True).click()
    expect(head).to_have_attribute("aria-sort", "ascending")
    expect(names(page)).to_have_text(
        ["net-0.01-0", "net-0.1-0", "net-0.01-1", "net-0.1-1", "net-0.01-2", "net-0.1-2", "bare"]
    )
    expect(rows(page).nth(1)).to_contain_text("0.1000")
    expect(page).to_have_url(re.compile(r"sort=summary.*min"))


def test_a_long_list_is_read_page_by_page_with_the_columns_on_screen(crowd: Visit) -> None:
    asked = queries(crowd.page)
    page = crowd.open("/p/many")
    expect(page.locator(".pane-counts")).to_contain_text(f"{N_MANY} runs · 10 shown")
    expect(names(page).first).to_have_text("trial-349")
    assert page.locator("tbody tr").count() < 80
    scroller = page.locator(".run-scroller")
    scroller.evaluate("element => { element.scrollTop = element.scrollHeight; }")
    expect(names(page).last).to_have_text("trial-000")
    expect(page.locator("tr.is-waiting")).to_have_count(0)
    assert page.locator("tbody tr").count() < 80
    assert all("limit" in query for query in asked)
    assert sum(int(query["limit"][0]) for query in asked if "cursor" in query) < 2 * N_MANY
    assert {tuple(query["columns"]) for query in asked} <= {("id",), ("summary.loss",)}
    scroller.evaluate("element => { element.scrollTop = 0; }")
    expect(names(page).first).to_have_text("trial-349")


def test_the_charts_draw_the_first_runs_of_the_list(crowd: Visit) -> None:
    page = crowd.open("/p/many?sort=config.lr")
    label = ready(page, "loss").get_by_role("img")
    expect(label).to_have_attribute("aria-label", re.compile(r"10 runs\..*trial-009: last 9.*trial-002"))
    page.get_by_label("How many runs the charts draw").select_option("50")
    expect(label).to_have_attribute("aria-label", re.compile("50 runs"))
    box(page).fill("config.lr > 0.99")
    expect(label).to_have_attribute("aria-label", re.compile("3 runs.*trial-349: last 349"))


def test_a_run_from_far_below_is_charted_when_it_is_shown(crowd: Visit) -> None:
    page = crowd.open("/p/many?runs=none")
    expect(page.locator(".pane-counts")).to_contain_text("0 shown")
    page.locator(".run-scroller").evaluate("element => { element.scrollTop = element.scrollHeight; }")
    page.get_by_role("button", name="Show trial-000").click()
    label = ready(page, "loss").get_by_role("img")
    expect(label).to_have_attribute("aria-label", re.compile("1 run.*trial-000: last 0"))
    expect(page).to_have_url(re.compile("show="))
    page.reload()
    expect(label).to_have_attribute("aria-label", re.compile("1 run.*trial-000: last 0"))


def test_a_new_run_does_not_move_what_is_read(visit: Visit) -> None:
    project = "unmoved"
    for index in range(120):
        tracker.init(project=project, name=f"old-{index}", dir=visit.site.folder).finish()
    page = visit.open(f"/p/{project}")
    expect(names(page).first).to_have_text("old-119")
    expect(page.locator(".live")).to_have_text("Live")
    page.locator(".run-scroller").evaluate(f"element => {{ element.scrollTop = {ROW_PX * 60}; }}")
    row = rows(page).filter(has=page.get_by_role("link", name="old-55", exact=True))
    expect(row).to_be_visible()
    before = row.bounding_box()
    tracker.init(project=project, name="new", dir=visit.site.folder).finish()
    chip = page.get_by_role("button", name="1 new")
    expect(chip).to_be_visible()
    assert row.bounding_box() == before
    chip.click()
    expect(names(page).first).to_have_text("new")
    expect(chip).to_have_count(0)


# Columns


def test_columns_are_found_chosen_moved_pinned_and_kept(search: Visit) -> None:
    page = search.open("/p/found?table=1")
    expect(page.get_by_role("columnheader", name="Duration")).to_be_visible()
    page.get_by_role("button", name="Choose columns").click()
    dialog = page.get_by_role("dialog", name="Columns")
    everything = dialog.get_by_role("region", name="All columns")
    shown = dialog.get_by_role("region", name="Columns shown")
    dialog.get_by_label("Find a column").fill("model")
    expect(everything.get_by_role("listitem")).to_have_count(1)
    expect(everything).to_contain_text("config · 6 runs")
    everything.get_by_role("checkbox", name="model.depth").uncheck()
    dialog.get_by_label("Find a column").fill("")
    everything.get_by_role("checkbox", name="Host").check()
    shown.get_by_role("button", name="Hide Duration").click()
    for _ in range(12):
        shown.get_by_role("button", name="Move lr up").click()
        if shown.get_by_role("button", name="Move lr up").is_disabled():
            break
    shown.get_by_role("button", name="Pin opt").click()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    heads = ["Name", "opt", "lr", "State"]
    expect(page.get_by_role("columnheader")).to_contain_text(heads)
    expect(page).to_have_url(re.compile(r"cols=config\.lr.*pin=config\.opt"))
    page.reload()
    expect(page.get_by_role("columnheader")).to_contain_text(heads)
    expect(page.get_by_role("columnheader", name="Host")).to_be_visible()
    expect(page.get_by_role("columnheader", name="Duration")).to_have_count(0)
    expect(page.get_by_role("columnheader", name="model.depth")).to_have_count(0)


def test_a_columns_width_is_kept(search: Visit) -> None:
    page = search.open("/p/found?table=1")
    head = page.get_by_role("columnheader", name="State")
    before = head.bounding_box()
    edge = head.locator(".head-edge").bounding_box()
    assert before is not None and edge is not None
    page.mouse.move(edge["x"] + 3, edge["y"] + 8)
    page.mouse.down()
    page.mouse.move(edge["x"] + 83, edge["y"] + 8, steps=4)
    page.mouse.up()
    page.reload()
    expect(head).to_be_visible()
    after = head.bounding_box()
    assert after is not None and abs(after["width"] - before["width"] - 80) < 3


# Groups


def grouped(visit: Visit, path: str = "/p/found?group=config.lr") -> Page:
    page = visit.open(path)
    expect(page.locator("tr[data-group]").first).to_be_visible()
    return page


def group(page: Page, *key: object) -> Locator:
    wanted = json.dumps(list(key), separators=(",", ":"))
    return page.locator(f"tr[data-group='group:{wanted}']")


def test_runs_are_grouped_by_what_is_chosen(search: Visit) -> None:
    page = search.open("/p/found?table=1")
    page.get_by_role("button", name="Group runs").click()
    dialog = page.get_by_role("dialog", name="Group runs")
    dialog.get_by_role("checkbox", name="lr", exact=True).check()
    dialog.get_by_role("checkbox", name="opt").check()
    page.keyboard.press("Escape")
    expect(page.locator("tr[data-group]")).to_have_count(3)
    expect(group(page, 0.1, "adam")).to_contain_text("0.1 · adam")
    expect(group(page, 0.1, "adam").locator(".count")).to_have_text("3")
    expect(group(page, 0.1, "adam")).to_contain_text("1.100 ± 0.1")
    expect(page.locator("tr[data-group]").last).to_contain_text("no lr")
    page.get_by_role("button", name="Do not group by opt").click()
    expect(group(page, 0.01)).to_be_visible()
    expect(page).to_have_url(re.compile(r"group=config\.lr(?!.*opt)"))


def test_a_group_opens_to_its_runs(search: Visit) -> None:
    page = grouped(search)
    fold = page.get_by_role("button", name="lr = 0.01", exact=True)
    fold.click()
    expect(fold).to_have_attribute("aria-expanded", "true")
    expect(names(page)).to_have_text(["net-0.01-2", "net-0.01-1", "net-0.01-0"])
    fold.click()
    expect(rows(page)).to_have_count(0)


def test_charts_draw_groups_with_a_band_of_all_their_runs(search: Visit) -> None:
    requests: list[Any] = []

    def hear(request: Request) -> None:
        if is_chart(request):
            requests.append(request.post_data_json)

    search.page.on("request", hear)
    page = grouped(search)
    panel = ready(page, "val/loss")
    label = panel.get_by_role("img")
    expect(label).to_have_attribute("aria-label", re.compile(r"groups\. .*lr = 0\.01: last 1\.01,"))
    expect(panel.locator(".panel-sub")).to_contain_text("mean ± std")
    assert sorted(len(each["runs"]) for each in requests[-1]["groups"]) == [1, 3, 3]
    before = picture(panel)
    panel.hover()
    panel.get_by_role("button", name="Menu of").click()
    page.get_by_role("menuitemcheckbox", name="Band: mean ± standard error").click()
    expect(panel.locator(".panel-sub")).to_contain_text("standard error")
    wait_until(lambda: picture(panel) != before)
    expect(page).to_have_url(re.compile("band=sem"))
    page.get_by_role("button", name="Hide lr = 0.1", exact=True).click()
    expect(label).not_to_have_attribute("aria-label", re.compile(r"lr = 0\.1:"))


def test_the_pointer_tells_of_a_group_and_how_many_runs_it_has_there(search: Visit) -> None:
    page = grouped(search)
    panel = ready(page, "val/loss")
    place = panel.locator(".u-over").bounding_box()
    assert place is not None
    page.mouse.move(place["x"] + place["width"] / 2, place["y"] + 30)
    page.mouse.move(place["x"] + place["width"] / 2 + 2, place["y"] + 32)
    expect(page.locator(".tooltip")).to_contain_text("lr = 0.01")
    expect(page.locator(".tooltip")).to_contain_text("n = 3")


def test_a_filter_narrows_groups_too(search: Visit) -> None:
    page = grouped(search)
    expect(page.locator("tr[data-group]")).to_have_count(3)
    box(page).fill("config.seed < 2")
    expect(page.locator("tr[data-group]")).to_have_count(2)
    expect(group(page, 0.1).locator(".count")).to_have_text("2")


# Metrics, and runs that are not there yet


def test_of_thousands_of_metrics_those_searched_for_are_charted(visit: Visit) -> None:
    with tracker.init(project="wide", name="wide", dir=visit.site.folder) as run:
        run.log({f"layer/{index:04d}": float(index) for index in range(1500)})
    page = visit.open("/p/wide")
    expect(page.locator(".wall-note")).to_contain_text("1000 of 1500 metrics")
    expect(page.locator('[data-metric="layer/1499"]')).to_have_count(0)
    page.get_by_label("Find a chart").fill("layer/1499")
    expect(ready(page, "layer/1499").get_by_role("img")).to_have_attribute("aria-label", re.compile("last 1499"))


def test_a_run_page_that_is_early_shows_the_run_as_soon_as_it_is_there(visit: Visit) -> None:
    page = visit.open("/p/early/r/not-yet")
    expect(page.get_by_role("heading", name="No such run yet")).to_be_visible()
    expect(page.locator(".live")).to_have_text("Live")
    with tracker.init(project="early", id="not-yet", dir=visit.site.folder) as run:
        run.log({"m": 1.0})
    expect(page.get_by_role("tab", name="Charts")).to_be_visible()
    expect(ready(page, "m")).to_be_visible()
    visit.complaints.clear()  # The browser itself writes the server's 404 to the console.


# Narrow pages


@pytest.mark.parametrize(
    "path", ["/p/found", "/p/found?table=1", "/p/found?group=config.lr", "/p/found?filter=a%20%3D"]
)
def test_search_fits_a_narrow_page(search: Visit, path: str) -> None:
    search.page.set_viewport_size({"width": 390, "height": 844})
    page = search.open(path)
    expect(page.locator("tr[data-run], tr[data-group], .filter-error").first).to_be_visible()
    assert page.evaluate("document.querySelector('main').scrollWidth") <= 390
    for name in ("Choose columns", "Group runs"):
        page.get_by_role("button", name=name).click()
        expect(page.get_by_role("dialog").get_by_role("listitem").first).to_be_visible()
        body = page.locator(".dialog-body")
        assert body.evaluate("element => element.scrollWidth <= element.clientWidth")
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
