"""Every fault of the table has its tests, and every mark a fault."""

from __future__ import annotations

from pathlib import Path

import pytest
from fault_table import FAULTS, as_markdown, collect_marks

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"


@pytest.mark.parametrize("number", FAULTS)
def test_fault_has_a_test(number: str) -> None:
    assert [mark for mark in collect_marks() if mark.number == number], f'no test has @pytest.mark.fault("{number}")'


def test_marks_name_faults_of_the_table() -> None:
    unknown = [mark for mark in collect_marks() if mark.number not in FAULTS]
    assert unknown == [], "add them to FAULTS in fault_table.py"


def test_the_table_is_the_one_that_was_agreed() -> None:
    assert list(FAULTS) == [f"F{n}" for n in (*range(1, 37), 38, 39)]


def test_the_page_has_the_table() -> None:
    assert as_markdown() in PAGE.read_text(), "run: make docs"
