"""The documentation says what the code does."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "benchmarks").glob("results/*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    for target in re.findall(r"\]\((?!http|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_tables_made_from_code_are_current(page: Path) -> None:
    spec = importlib.util.spec_from_file_location("make_tables", ROOT / "docs" / "make_tables.py")
    assert spec and spec.loader
    make_tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_tables)
    assert make_tables.filled(page.read_text()) == page.read_text(), "run: make docs"


def test_every_record_kind_is_in_the_journal_format() -> None:
    from tracker_core.journal_format import Kind

    text = (ROOT / "docs" / "journal_format.md").read_text()
    for kind in Kind:
        assert f"| {kind.value} | {kind.name} |" in text


def test_readme_shows_a_user_what_to_do_within_twenty_lines() -> None:
    top = "\n".join((ROOT / "README.md").read_text().splitlines()[:20])
    for needed in ("pip install", "tracker.init(", ".log(", "tracker ui", "dashboard.png"):
        assert needed in top
