"""What all tests share."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
from pathlib import Path

import psutil

# A test machine may be busy: a write over the default 100 ms is no trouble here. Tests of slow writes set their own.
os.environ["TRACKER_SLOW_WRITE_S"] = "30"
# Thousands of runs are begun here. What is recorded besides rows is on in the tests that are about it.
os.environ.update(TRACKER_CONSOLE="off", TRACKER_SYSTEM_INTERVAL_S="0", TRACKER_CAPTURE_ENVIRONMENT="false")
# Nobody is logged in to any server, whatever the developer is.
os.environ["TRACKER_CONFIG_DIR"] = os.path.join(tempfile.gettempdir(), f"tracker-tests-{os.getpid()}-without-servers")
# Started in the background of a script or by nohup, this process ignores signals, and so would those that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
for name in ("SIGHUP", "SIGQUIT"):
    if hasattr(signal, name):
        signal.signal(getattr(signal, name), signal.SIG_DFL)

# What processes that tests leave behind have in their environment.
os.environ["TESTS_OF"] = str(os.getpid())

# Also where pytest is not started with `python -m pytest`.
sys.path.insert(0, str(Path(__file__).parents[1]))
pytest_plugins = ["tests.postgres", "tests.object_store"]


def pytest_sessionfinish() -> None:
    """End the senders of runs whose server a test took away: they would go on trying for a day."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            is_sender = "tracker_core.sync.sender_process" in " ".join(process.cmdline())
            if is_sender and process.environ().get("TESTS_OF") == str(os.getpid()):
                process.kill()
