"""`import tracker_core` is light: it brings no library that training may not need, and starts nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import child_process
import msgspec
import pytest

HEAVY = ["numpy", "torch", "requests", "sqlalchemy", "fastapi", "psutil", "pynvml", "tracker_server", "transformers"]

# What a training may never need, or only at its end. (msgspec brings datetime, decimal, inspect, uuid.)
NOT_AT_IMPORT = """
    argparse asyncio concurrent ctypes dataclasses difflib email fnmatch hashlib http json logging multiprocessing
    numpy pathlib pickle psutil pynvml queue random requests select selectors shlex shutil socket
    sqlite3 ssl statistics subprocess tempfile traceback unicodedata urllib xml zipfile
    tracker_core.api tracker_core.capture tracker_core.config_sources tracker_core.console
    tracker_core.files tracker_core.filters tracker_core.system tracker_integrations tracker_server
""".split()


def test_import_brings_only_what_logging_needs() -> None:
    script = f"import sys, tracker_core; print(*[name for name in {NOT_AT_IMPORT} if name in sys.modules])"
    folders = [str(child_process.REPOSITORY), str(Path(msgspec.__file__).parents[1])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(folders)}
    # Without `site`, whose .pth files import what the installed packages want.
    done = subprocess.run([sys.executable, "-S", "-c", script], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, [], "")


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
