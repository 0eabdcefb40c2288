"""`import tracker_core` is light: it brings no library that training may not need, and starts nothing."""

from __future__ import annotations

import child_process
import pytest

HEAVY = ["numpy", "torch", "requests", "sqlalchemy", "fastapi", "psutil", "pynvml", "tracker_server", "transformers"]


@pytest.mark.parametrize("then", ["", "tracker_core.init(mode='disabled')", "tracker_core.init().log({'x': 1.0})"])
def test_import_and_first_use_bring_no_heavy_library(then: str) -> None:
    script = f"import sys, tracker_core\n{then}\nprint(*[name for name in {HEAVY} if name in sys.modules])"
    assert child_process.run_well(script).strip() == ""


def test_import_starts_no_thread_and_makes_no_file(tmp_path: object) -> None:
    script = """
        import os, sys, threading
        files = os.listdir("."), os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else []
        hooks = sys.excepthook, sys.exit
        import tracker_core
        assert threading.active_count() == 1
        assert files == (os.listdir("."), os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else [])
        assert hooks == (sys.excepthook, sys.exit)
    """
    child_process.run_well(script)


def test_all_public_names_can_be_imported() -> None:
    import tracker_core

    for name in tracker_core.__all__:
        assert getattr(tracker_core, name) is not None
