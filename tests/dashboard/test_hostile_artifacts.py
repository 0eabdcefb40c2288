"""Artifacts and models whose every text tries to run a script: none does, wherever it is shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Dialog, Page, expect

from .artifact_story import CARD, HOSTILE, path_of
from .conftest import Site
from .hostile_text import PAYLOADS

VERSION = f"/p/{HOSTILE}/a/{HOSTILE}/v1"
# Where the payloads are shown, and what says that they are.
SINKS = {
    "/artifacts": ".artifact-list tbody tr",
    f"/p/{HOSTILE}/a": ".artifact-list tbody tr",
    f"/p/{HOSTILE}/a/{HOSTILE}": ".version-list tbody tr",
    VERSION: ".kv-table tr",
    f"/p/{HOSTILE}/a/{HOSTILE}/v0": ".version-overview .list tbody tr",
    f"{VERSION}?tab=files": ".file-table tbody tr",
    f"{VERSION}?tab=files&folder=far": ".file-table .tag",
    f"{VERSION}?tab=files&q=%3C": ".file-table tbody tr",
    f"{VERSION}?tab=files&file=all.txt": ".code-line",
    f"{VERSION}?tab=files&file=page.html": ".code-line",
    f"{VERSION}?tab=files&file=page.png": ".code-line",
    f"{VERSION}?tab=files&file=picture.svg": ".code-line",
    f"{VERSION}?tab=files&file=real.png": ".picture-view img",
    f"{VERSION}?tab=files&file=tensors.safetensors": ".tensors tbody tr",
    f"{VERSION}?tab=files&folder=far&file=far/0": ".file-facts tr",
    f"{VERSION}?tab=compare": ".change-table tbody tr",
    f"{VERSION}?tab=lineage": ".lineage-node",
    "/registry": ".model-list tbody tr",
    f"/registry/{HOSTILE}": ".linked-list tbody tr",
    f"/registry/{HOSTILE}?tab=card": ".card-page .markdown > *",
    f"/registry/{HOSTILE}?tab=audit": ".timeline-entry",
    f"/p/{HOSTILE}/r/hostile?tab=artifacts": ".run-artifacts tbody tr",
}


@pytest.fixture(scope="module")
def watched(browser: Browser, cookies: list[Any], artifacts: Site) -> Iterator[Page]:
    """One page for all tests: it hears of every script that runs, and of every one that its policy stopped."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.add_cookies(cookies)
    page = context.new_page()
    page.on("dialog", _hear_dialog)
    page.on("console", lambda message: _heard.append(message.text) if _is_bad(message.text) else None)
    page.on("popup", lambda popup: _heard.append(f"popup {popup.url}"))
    yield page
    context.close()


_heard: list[str] = []


def _hear_dialog(dialog: Dialog) -> None:
    _heard.append(f"dialog {dialog.message}")
    dialog.dismiss()


def _is_bad(text: str) -> bool:
    """A script that ran, or one that only the page's policy stopped: the markup should not have been there."""
    return "XSS-HIT" in text or "Content Security Policy" in text


def untouched(page: Page) -> bool:
    return bool(page.evaluate("window.hit === undefined && window.stolen === undefined")) and _heard == []


def provoke(page: Page) -> None:
    """Do what sets off handlers: focus, hover and toggle whatever payloads may have become."""
    page.evaluate(
        """() => {
          for (const element of document.querySelectorAll('main *')) {
            for (const name of ['focus', 'mouseover', 'pointerenter', 'toggle', 'load', 'error', 'animationstart'])
              if (element.hasAttribute('on' + name)) element.dispatchEvent(new Event(name));
          }
        }"""
    )


def found_handlers(page: Page) -> int:
    """Return how many elements have a handler in their markup, a script address or are scripts."""
    return int(
        page.evaluate(
            """() => [...document.querySelectorAll('main *')].filter((element) =>
              ['script', 'iframe', 'object', 'embed', 'base', 'meta', 'link', 'template'].includes(element.localName)
              || [...element.attributes].some(({ name, value }) => /^on/i.test(name)
                || (['href', 'src', 'action', 'formaction', 'xlink:href', 'data'].includes(name)
                  && !/^(https?:|mailto:|\\/)/i.test(value)))).length"""
        )
    )


def test_the_corpus_is_large() -> None:
    assert len(PAYLOADS) >= 100 and len(SINKS) >= 15


def test_no_payload_runs_in_any_place_that_shows_it(watched: Page, artifacts: Site) -> None:
    for path, selector in SINKS.items():
        watched.goto(artifacts.url + path)
        expect(watched.locator(selector).first).to_be_visible()
        provoke(watched)
        assert found_handlers(watched) == 0, path
        assert untouched(watched), (path, _heard)


def test_text_that_differs_is_shown_as_text(watched: Page, artifacts: Site) -> None:
    watched.goto(f"{artifacts.url}{VERSION}?tab=compare")
    rows = watched.locator(".change-table .fold")
    expect(rows.first).to_be_visible()
    for name in ("all.txt", "page.html", path_of(PAYLOADS[6])):
        rows.filter(has_text=name).first.click()
    expect(watched.locator(".diff-table").nth(2)).to_be_visible()
    expect(watched.locator(".diff-file").first).to_contain_text("XSS-HIT")
    assert found_handlers(watched) == 0 and untouched(watched), _heard


def test_addresses_that_are_payloads_are_told_as_text(watched: Page, artifacts: Site) -> None:
    for text in PAYLOADS[::9]:
        name = text.replace("/", "").replace("\x01", "")[:80]
        watched.goto(artifacts.url + "/artifacts")
        watched.evaluate(
            """(name) => {
              const part = encodeURIComponent(name);
              history.pushState(null, '', `/p/${part}/a/${part}/${part}`);
              dispatchEvent(new PopStateEvent('popstate'));
            }""",
            name,
        )
        expect(watched.locator(".empty h2")).to_be_visible()
        assert found_handlers(watched) == 0 and untouched(watched), (text, _heard)


@pytest.mark.parametrize("is_cleaned", [True, False])
def test_markdown_is_harmless_as_the_server_makes_it_and_were_it_not(
    watched: Page, artifacts: Site, is_cleaned: bool
) -> None:
    """Each payload as a card, once as the server cleans it and once as if it did not."""
    forms = [form % text for form in ("%s", "[x](%s)", "![x](%s)", "<%s>", "[x]: %s\n\n[x]") for text in PAYLOADS]
    watched.goto(artifacts.url + "/registry")
    expect(watched.locator(".model-list")).to_be_visible()
    shown = watched.evaluate(
        """async ([payloads, isCleaned]) => {
          const root = document.querySelector('script[type=module]').src.replace(/main\\.js$/, '');
          const { Markdown } = await import(`${root}components/markdown.js`);
          const { html, render } = await import(`${root}ui.js`);
          const clean = async (text) => {
            const reply = await fetch('/api/v1/markdown', { method: 'POST', body: JSON.stringify({ text }) });
            return (await reply.json()).html;
          };
          const sources = isCleaned ? await Promise.all(payloads.map(clean)) : payloads;
          let n = 0;
          for (const [index, text] of payloads.entries()) {
            const source = sources[index];
            const place = document.createElement('div');
            document.querySelector('main').append(place);
            render(html`<${Markdown} source=${source} />`, place);
            for (const element of place.querySelectorAll('*')) {
              for (const { name } of element.attributes) {
                const isKnown = ['class', 'href', 'title', 'target', 'rel', 'start', 'tabindex'].includes(name);
                if (!isKnown) throw new Error(`${name} of ${text}`);
              }
              const isOdd = element.localName === 'a' && !/^(https?|mailto):/.test(element.href);
              if (isOdd) throw new Error(`${element.href} of ${text}`);
            }
            n += 1;
          }
          return n;
        }""",
        [forms, is_cleaned],
    )
    assert shown == len(forms)
    provoke(watched)
    # Unclean markup is read in a document in which nothing runs; the policy says that it would not have either.
    heard = [text for text in _heard if is_cleaned or "XSS-HIT" in text or "dialog" in text]
    _heard.clear()
    assert found_handlers(watched) == 0 and heard == []
    assert untouched(watched)


def test_a_harmless_card_stays_what_it_is(watched: Page, artifacts: Site) -> None:
    watched.goto(f"{artifacts.url}/registry/digits?tab=card")
    assert "What it does" in CARD
    expect(watched.get_by_role("heading", name="What it does")).to_be_visible()
    expect(watched.get_by_role("link", name="the sheet")).to_have_attribute("rel", "noopener noreferrer nofollow")
    expect(watched.get_by_role("cell", name="0.97")).to_be_visible()
