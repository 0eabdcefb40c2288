"""Forks of several threads at the same time leave the gate of the media threads open."""

from __future__ import annotations

import threading

import pytest

from tracker_core.media import fork_gate
from tracker_core.media.fork_gate import ForkGate


def test_a_fork_during_another_leaves_the_gate_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fork_gate, "_WAIT_S", 0.01)
    gate = ForkGate()
    gate._before()

    def fork() -> None:
        gate._before()
        gate._after()

    other = threading.Thread(target=fork)
    other.start()
    other.join()
    assert gate._door.locked() and gate._turn.locked()  # what this thread holds is still held
    gate._after()
    assert not (gate._door.locked() or gate._turn.locked())
    with gate.job():
        pass
