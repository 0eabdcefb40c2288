"""The background sender as a process of its own: `python -m tracker_core.sync.sender_process`, its job on stdin.

It outlives the training that started it, so that a run which is killed is sent nevertheless.
"""

from __future__ import annotations

import os
import sys

_NICE = 5


def main() -> None:
    """Read a job from stdin and do it."""
    data = sys.stdin.buffer.read()
    if sys.platform == "linux" and os.fork():
        os._exit(0)  # so that the training has no child that it did not start, and nobody to wait for
    _let_go()
    import signal
    import threading

    import msgspec

    from .sender_job import SenderJob
    from .sender_work import work

    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: _end(ending))
    work(msgspec.json.decode(data, type=SenderJob), ending)


def _end(ending: object) -> None:
    raise SystemExit(0)


def _let_go() -> None:
    """Keep nothing of the training's: no terminal, no working folder, no part of its share of the processor."""
    import contextlib

    with contextlib.suppress(OSError, AttributeError):
        os.nice(_NICE)
    with contextlib.suppress(OSError):
        os.chdir(os.path.abspath(os.sep))


if __name__ == "__main__":
    main()
