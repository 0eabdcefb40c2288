"""Runs begun in a process of multiprocessing get their end, however that process was started."""

from __future__ import annotations

import multiprocessing
import sys
from typing import Any

import pytest

import tracker_core


def work(start_method: str, ending: str) -> None:
    tracker_core.init(project="workers", settings={"quiet": True})
    tracker_core.log({"a": 1})
    if ending == "exception":
        raise ValueError("boom")
    if ending == "exit status":
        sys.exit(3)


@pytest.mark.parametrize("start_method", [m for m in ("fork", "spawn") if m in multiprocessing.get_all_start_methods()])
@pytest.mark.parametrize(
    ("ending", "expected"),
    [("return", ("finished", 0, None)), ("exception", ("failed", 1, "boom")), ("exit status", ("failed", 3, None))],
)
def test_a_workers_run_ends_with_the_worker(
    recorded: Any, start_method: str, ending: str, expected: tuple[str, int, str | None]
) -> None:
    process = multiprocessing.get_context(start_method).Process(target=work, args=(start_method, ending))
    process.start()
    process.join(timeout=60)
    view = recorded.only_run("workers").view
    assert (view.state, view.exit_code, view.error and view.error.message) == expected
