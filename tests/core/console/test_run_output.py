"""What a run's journal holds of its output, from a real process to its end."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import child_process
import pytest

from tracker_core.journal_reader import JournalReader
from tracker_core.records import Console, ConsoleLine

RUN = {"TRACKER_CONSOLE": "wrap", "TRACKER_SYSTEM_INTERVAL_S": "0", "TRACKER_CAPTURE_ENVIRONMENT": "false"}
SECRET = "canary-5f1e8c0a9d"


def recorded(folder: Path) -> list[ConsoleLine]:
    """Return the lines of the one journal in a folder, each in its last state."""
    (journal,) = folder.rglob("*.journal")
    assert SECRET.encode() not in journal.read_bytes()
    records = [record for _, record in JournalReader(str(journal)).read(1 << 30).records]
    lines = {line.number: line for record in records if isinstance(record, Console) for line in record.lines}
    return [line for _, line in sorted(lines.items())]


def test_prints_logging_bars_and_the_last_traceback_are_kept_without_secrets(tmp_path: Path) -> None:
    script = f"""
        import logging, os, sys
        logging.basicConfig(stream=sys.stderr, format="%(message)s")
        import tracker_core as tracker
        from tqdm import tqdm
        run = tracker.init(dir=sys.argv[1])
        print("plain \\x1b[31mred\\x1b[0m")
        logging.warning("key %s", os.environ["DEMO_API_KEY"])
        for i in tqdm(range(100), desc="bar", mininterval=0): pass
        print(os.environ["DEMO_API_KEY"][:8], end=""); print(os.environ["DEMO_API_KEY"][8:])
        raise RuntimeError("password=" + "{SECRET}")
    """
    done = child_process.run(script, tmp_path / ".tracker", DEMO_API_KEY=SECRET, **RUN)
    assert done.returncode == 1 and SECRET in done.stdout and SECRET in done.stderr  # what users see is theirs
    lines = recorded(tmp_path)
    texts = [line.text for line in lines if not line.text.startswith("tracker: ")]
    assert texts[:2] == ["plain \x1b[31mred\x1b[0m", "key ***"]
    assert texts[2].startswith("bar: 100%|")
    assert texts[3:5] == ["***", "Traceback (most recent call last):"]
    assert texts[-1] == "RuntimeError: password=***"
    assert [line.stream for line in lines if line.text in texts[:5]] == [1, 2, 2, 1, 2]


@pytest.mark.skipif(sys.platform == "win32", reason="kills a process")
def test_what_was_recorded_survives_a_kill(tmp_path: Path) -> None:
    script = """
        import sys, tracker_core as tracker
        run = tracker.init(dir=sys.argv[1])
        print("before the kill", flush=True)
        sys.stdin.read()
    """
    process = child_process.start(script, tmp_path / ".tracker", **RUN)
    assert process.stdout is not None
    assert process.stdout.readline() == "before the kill\n"
    while not any(b"before the kill" in path.read_bytes() for path in tmp_path.rglob("*.journal")):
        os.sched_yield()
        assert process.poll() is None
    process.kill()
    process.communicate()
    assert "before the kill" in [line.text for line in recorded(tmp_path)]


def test_with_the_console_off_nothing_is_watched(tmp_path: Path) -> None:
    script = """
        import sys, tracker_core as tracker
        run = tracker.init(dir=sys.argv[1])
        assert "write" not in vars(sys.stdout)
        print("unseen")
    """
    child_process.run_well(script, tmp_path / ".tracker", **{**RUN, "TRACKER_CONSOLE": "off"})
    assert recorded(tmp_path) == []
