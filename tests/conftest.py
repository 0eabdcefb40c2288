"""What all tests share."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

# A test machine may be busy: a write over the default 100 ms is no trouble here. Tests of slow writes set their own.
os.environ["TRACKER_SLOW_WRITE_S"] = "30"
# Thousands of runs are begun here. What is recorded besides rows is on in the tests that are about it.
os.environ.update(TRACKER_CONSOLE="off", TRACKER_SYSTEM_INTERVAL_S="0", TRACKER_CAPTURE_ENVIRONMENT="false")
# Started in the background of a script or by nohup, this process ignores signals, and so would those that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
for name in ("SIGHUP", "SIGQUIT"):
    if hasattr(signal, name):
        signal.signal(getattr(signal, name), signal.SIG_DFL)

# Also where pytest is not started with `python -m pytest`.
sys.path.insert(0, str(Path(__file__).parents[1]))
pytest_plugins = ["tests.postgres"]
