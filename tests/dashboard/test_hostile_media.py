"""Media, tables, plots and alerts whose every text tries to run a script: none does, wherever it is shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from .conftest import Site
from .hostile_text import PAYLOADS, html_of, svg_of
from .media_story import MediaWriter, told_run

RUN = "/p/xss/r/hostile"
FILES = "/api/v1/projects/xss/runs/hostile/media/files"
PIXELS = np.zeros((8, 8), np.uint8)
N_LEVELS = 3


@dataclass
class Watched:
    """A page, and every sign that a script of a payload ran in it or in a frame of it."""

    page: Page
    url: str
    hits: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def open(self, path: str) -> Page:
        self.page.goto(self.url + path)
        return self.page

    def is_untouched(self) -> bool:
        found = self.page.evaluate("[window.hit, window.stolen, document.title].map(String)")
        return found[:2] == ["undefined", "undefined"]


@dataclass
class HostileRun:
    """Paths of files of the run."""

    html: list[str] = field(default_factory=list)
    svg: list[str] = field(default_factory=list)
    page_named_png: str = ""


def _boxes(payload: str) -> dict[str, Any]:
    box = {"position": {"minX": 0.1, "maxX": 0.9, "minY": 0.1, "maxY": 0.9}, "class_id": 1, "box_caption": payload}
    unnamed = {"position": {"minX": 0.0, "maxX": 0.5, "minY": 0.0, "maxY": 0.5}, "class_id": 2}
    return {payload: {"box_data": [box, unnamed], "class_labels": {"1": payload, "2": payload}}}


def _write(told: MediaWriter, files: HostileRun) -> None:
    mask = told.image(PIXELS)["path"]
    images = [
        told.image(PIXELS, caption=text, boxes=_boxes(text), masks={text: {"path": mask, "class_labels": {"1": text}}})
        for text in PAYLOADS
    ]
    files.svg = [told.file(svg_of(text), "image", "png") for text in ("", *PAYLOADS)]  # the first is valid XML
    files.html = [told.html(html_of(text))["path"] for text in PAYLOADS]
    files.page_named_png = told.file(html_of(PAYLOADS[0]).encode(), "image", "png")
    svgs = [{"_type": "image", "path": path, "caption": "svg", "width": 40, "height": 40} for path in files.svg]
    named = [{"_type": "image", "path": text, "caption": text, "format": text} for text in PAYLOADS]
    told.row(0, {"images": told.images(images), "svgs": told.images(svgs), "paths": told.images(named)})
    for number, text in enumerate(PAYLOADS):
        page = {"_type": "html", "path": files.html[number], "size_bytes": 1, "caption": text}
        told.row(number, {"text": text, "page": page, "png": {"_type": "image", "path": files.page_named_png}})
        told.alert(text, f"{text}\n{text}", ("INFO", "WARN", "ERROR")[number % N_LEVELS], number)
    told.row(1, {text[:200]: text for text in PAYLOADS[:40]})
    _write_plots(told)
    cells = {
        "text": PAYLOADS,
        "image": images,
        PAYLOADS[6]: PAYLOADS,
        PAYLOADS[42]: PAYLOADS,
        "number": [1.5] * len(PAYLOADS),
    }
    told.row(0, {"table": told.table(cells, media=["image"]), PAYLOADS[0]: told.table(cells, media=["image", "text"])})


def _write_plots(told: MediaWriter) -> None:
    points = {"x": [0.0, 1.0], "y": [0.0, 1.0]}
    for number in range(0, len(PAYLOADS), 40):
        part = PAYLOADS[number : number + 40]
        labels = {"x_label": part[0], "y_label": part[1]}
        series = [{"name": text, "area": text, **points} for text in part]
        figure = {
            "data": [
                {"type": "bar", "name": text, "x": [text], "y": [1], "text": [text], "hovertext": text} for text in part
            ],
            "layout": {
                "title": {"text": part[2]},
                "xaxis": {"title": {"text": part[3]}},
                "annotations": [{"text": part[4]}],
            },
        }
        told.row(
            number,
            {
                "line": told.plot("line", part[5], {"series": series, **labels}),
                "roc": told.plot("roc_curve", part[6], {"series": series, **labels}),
                "texts": told.plot(
                    "scatter", part[7], {"series": [{"name": part[0], "x": part, "y": [1] * len(part)}]}
                ),
                "bar": told.plot("bar", part[8], {"labels": part, "values": [1] * len(part), **labels}),
                "matrix": told.plot(
                    "confusion_matrix", part[9], {"classes": part, "counts": np.eye(len(part)).tolist()}
                ),
                "kind": told.plot(part[10], part[10], {"series": series}),
                "figure": told.plotly(figure),
                "histogram": {"_type": "histogram", "bins": part[:3], "counts": part[:2]},
            },
        )


@pytest.fixture(scope="module")
def hostile_run(site: Site) -> HostileRun:
    files = HostileRun()
    told_run(site.folder, "hostile", lambda told: _write(told, files), project="xss")
    return files


@pytest.fixture
def watched(context: BrowserContext, site: Site, hostile_run: HostileRun) -> Iterator[Watched]:
    found = Watched(context.new_page(), site.url)
    found.page.on("console", lambda message: message.text == "XSS-HIT" and found.hits.append(message.text))
    found.page.on("dialog", lambda dialog: (found.hits.append(dialog.message), dialog.dismiss()))
    found.page.on("pageerror", lambda problem: found.faults.append(str(problem)))
    yield found


def _nothing_ran(watched: Watched) -> None:
    assert watched.hits == []
    assert watched.is_untouched()
    # Those of frames are the frame's own: our page itself throws nothing, whatever it is given.
    assert [fault for fault in watched.faults if "sandboxed" not in fault] == []


def test_there_are_enough_of_them() -> None:
    assert len(set(PAYLOADS)) >= 100


def test_captions_labels_names_and_paths_of_images_are_text(watched: Watched) -> None:
    page = watched.open(f"{RUN}?tab=media&keys=images")
    card = page.locator('[data-key="images"]')
    expect(card.locator("figcaption")).to_have_count(len(PAYLOADS))
    assert card.locator("figcaption").all_text_contents() == PAYLOADS
    expect(card.locator(".box").first).to_have_attribute("title", PAYLOADS[0])
    card.locator(".image-button").nth(5).click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_label("Find a key").fill("paths")
    expect(page.locator('[data-key="paths"] figcaption')).to_have_count(len(PAYLOADS))
    _nothing_ran(watched)


def test_svg_is_an_image_and_runs_nothing(watched: Watched, hostile_run: HostileRun) -> None:
    page = watched.open(f"{RUN}?tab=media&keys=svgs")
    card = page.locator('[data-key="svgs"]')
    expect(card.locator("img").first).to_be_visible()
    page.wait_for_function("() => document.querySelector('[data-key=\"svgs\"] img').naturalWidth === 40")
    # Opened as pages of their own, and in frames that no attribute keeps from running anything.
    _open_in_frames(page, [f"{FILES}/{path}" for path in hostile_run.svg])
    _nothing_ran(watched)
    watched.open(f"{FILES}/{hostile_run.svg[9]}")
    assert watched.hits == []


def _open_in_frames(page: Page, paths: list[str]) -> None:
    # A frame whose own content never ends loading is not waited for.
    page.evaluate(
        """(paths) => Promise.all(paths.map((path) => new Promise((done) => {
          const frame = document.createElement('iframe');
          frame.onload = () => done('');
          setTimeout(() => done(path), 10_000);
          frame.src = path;
          document.body.append(frame);
        })))""",
        paths,
    )


def test_html_runs_nothing_unless_asked_even_without_our_frame(watched: Watched, hostile_run: HostileRun) -> None:
    page = watched.open(f"{RUN}?tab=media&keys=page&step=3")
    expect(page.locator('[data-key="page"] iframe')).to_have_attribute("sandbox", "")
    _open_in_frames(page, [f"{FILES}/{path}?html=true" for path in hostile_run.html])
    _nothing_ran(watched)
    assert page.url.startswith(f"{watched.url}{RUN}")
    for path in (f"{hostile_run.html[0]}?html=true", hostile_run.html[0], hostile_run.page_named_png):
        watched.open(f"{FILES}/{path}")
        assert watched.hits == []


def test_scripts_that_somebody_runs_reach_nothing_of_ours(watched: Watched) -> None:
    page = watched.open(f"{RUN}?tab=media&keys=page&step=0")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    card = page.locator('[data-key="page"]')
    expect(card.locator("iframe")).to_be_visible()
    with page.expect_console_message(lambda message: message.text == "XSS-HIT"):
        card.get_by_role("button", name="Run its scripts").click()
    assert watched.is_untouched()
    assert page.url.startswith(f"{watched.url}{RUN}")
    assert not [url for url in asked if url.endswith("/api/v1/projects")]


def test_keys_and_texts_are_text(watched: Watched) -> None:
    page = watched.open(f"{RUN}?tab=media")
    expect(page.locator('[data-key="text"]')).to_be_attached()
    assert len(set(page.locator(".media-head h3").all_text_contents()) & {text[:200] for text in PAYLOADS}) >= 30
    page.get_by_label("Find a key").fill("text")
    slider = page.locator('[data-key="text"] input[type=range]')
    for place in range(0, len(PAYLOADS), 9):
        slider.evaluate("(input, place) => { input.value = place; input.dispatchEvent(new Event('input')); }", place)
        expect(page.locator('[data-key="text"] .text-piece')).to_have_text(
            PAYLOADS[place].strip("\x01"), use_inner_text=False
        )
    _nothing_ran(watched)


def test_cells_columns_and_captions_of_tables_are_text(watched: Watched) -> None:
    page = watched.open(f"{RUN}?tab=tables&logged=table")
    expect(page.locator(".logged-table tbody td").first).to_contain_text(PAYLOADS[0][:50])
    for _ in range(8):
        page.locator(".logged-scroller").evaluate("(scroller) => { scroller.scrollTop += 900; }")
        expect(page.locator(".logged-table tr.is-waiting")).to_have_count(0)
    page.locator(".logged-scroller").evaluate("(scroller) => { scroller.scrollTop = 0; }")
    page.locator(".logged-table .head-filter").nth(2).click()
    expect(page.get_by_role("dialog")).to_contain_text(f"Filter by {PAYLOADS[6]}")
    page.get_by_label("Value", exact=True).fill(PAYLOADS[6])
    page.get_by_role("button", name="Filter", exact=True).click()
    expect(page.locator(".conditions .chip-main")).to_contain_text(PAYLOADS[6])
    page.locator(".row-number button").first.click()
    expect(page.locator(".row-view")).to_contain_text(PAYLOADS[6])
    _nothing_ran(watched)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_labels_of_plots_are_text(watched: Watched, theme: str) -> None:
    watched.page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    page = watched.open(f"{RUN}?tab=plots")
    expect(page.locator('[data-key="bar"] svg.plot')).to_be_visible()
    for key in ("line", "roc", "texts", "matrix", "kind"):
        card = page.locator(f'[data-key="{key}"]')
        card.scroll_into_view_if_needed()
        expect(card.locator("svg.plot").first).to_be_visible()
        card.locator("svg.plot").first.hover()
    figure = page.locator('[data-key="figure"]')
    figure.scroll_into_view_if_needed()
    expect(figure.locator("iframe, .plot-note").first).to_be_visible()
    if figure.locator("iframe").count():
        frame = page.frame_locator('[data-key="figure"] iframe')
        expect(frame.locator(".main-svg").first).to_be_visible()
    for _ in range(2):
        page.get_by_role("button", name="Step before").first.click()
    _nothing_ran(watched)


def test_titles_and_texts_of_alerts_are_text(watched: Watched) -> None:
    page = watched.open("/p/xss/alerts")
    expect(page.locator(".alert-title").first).to_be_visible()
    shown = {text.removesuffix("new") for text in page.locator(".alert-title").all_text_contents()}
    assert len(shown) == 100 and shown <= {text[:300] for text in PAYLOADS}
    page.get_by_role("button", name="Show more").click()
    expect(page.locator(".alert-title")).to_have_count(len(PAYLOADS))
    watched.open(f"{RUN}?tab=alerts")
    expect(page.locator(".alert-title")).to_have_count(len(PAYLOADS))
    watched.open(RUN)
    expect(page.locator(".alert-banner")).to_be_visible()
    _nothing_ran(watched)


def test_a_summary_of_such_values_is_text(watched: Watched) -> None:
    page = watched.open(f"{RUN}?tab=summary")
    expect(page.locator("#tab-body")).to_contain_text("images")
    watched.open("/p/xss")
    expect(page.locator(".run-table")).to_contain_text("hostile")
    _nothing_ran(watched)
