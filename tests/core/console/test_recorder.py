"""The recorder: what is fed becomes records, late enough to be cheap, early enough to survive, and bounded."""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

import child_process
import pytest

from tracker_core.console import buffer, recorder
from tracker_core.console.recorder import ConsoleRecorder
from tracker_core.records import Console, ConsoleLine, Record, encode

WaitUntil = Callable[[Callable[[], object]], None]
MANY_BYTES = 64 << 20


class Sink:
    """Keeps the records of a recorder, as a journal would."""

    def __init__(self) -> None:
        self.records: list[Console] = []

    def put(self, record: Record) -> None:
        assert isinstance(record, Console)
        self.records.append(record)

    @property
    def versions(self) -> list[ConsoleLine]:
        return [line for record in self.records for line in record.lines]

    @property
    def texts(self) -> list[str]:
        """The lines as a reader shows them."""
        return [line.text for _, line in sorted({line.number: line for line in self.versions}.items())]

    @property
    def n_left_out(self) -> int:
        return sum(record.n_left_out for record in self.records)


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def new(sink: Sink, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ConsoleRecorder]]:
    """Return what makes a recorder that is started, and stopped after the test."""
    monkeypatch.setattr(recorder, "STOP_TIMEOUT_S", 60)  # a busy machine may need more than the usual second
    made = []

    def make(mask: Callable[[str], str] = str, max_bytes: int = MANY_BYTES) -> ConsoleRecorder:
        made.append(ConsoleRecorder(sink.put, mask, max_bytes))
        made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.stop()


def test_lines_of_both_streams_are_recorded_in_order_of_appearance(
    sink: Sink, new: Callable[..., ConsoleRecorder]
) -> None:
    before_ns = time.time_ns()
    one = new()
    one.feed(1, "out 1\n")
    one.feed(2, "err 1\nerr 2")
    one.feed(1, "out 2\n")
    one.feed(2, " goes on\n")
    one.stop()
    final = sorted({line.number: line for line in sink.versions}.items())
    assert [(line.stream, line.text) for _, line in final] == [
        (1, "out 1"),
        (2, "err 1"),
        (2, "err 2 goes on"),
        (1, "out 2"),
    ]
    assert [number for number, _ in final] == [0, 1, 2, 3]
    assert all(before_ns <= line.wall_time_ns <= time.time_ns() for line in sink.versions)


def test_lines_are_recorded_while_the_run_goes_on(
    sink: Sink, new: Callable[..., ConsoleRecorder], wait_until: WaitUntil
) -> None:
    one = new()
    for n in range(3):
        one.feed(1, f"line {n}\n")
        wait_until(lambda n=n: f"line {n}" in sink.texts)


def test_many_lines_share_a_record_and_records_are_small(sink: Sink, new: Callable[..., ConsoleRecorder]) -> None:
    one = new()
    lines = [f"line {n}:" + "x" * (n % 200) for n in range(20_000)]
    for line in lines:
        one.feed(1, line + "\n")
    one.stop()
    assert sink.texts == lines
    assert len(sink.records) < 1000
    assert max(len(encode(record)) for record in sink.records) < 50_000


def test_progress_bars_are_recorded_rarely_and_with_their_last_state(
    sink: Sink, new: Callable[..., ConsoleRecorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "STOP_TIMEOUT_S", 60)  # hundreds of thousands of writes may still be waiting
    one = new()
    began_s = time.monotonic()
    for n in itertools.count():
        one.feed(2, f"\r{n} of many")
        if len(sink.versions) >= 3:
            break
    took_s = time.monotonic() - began_s
    one.feed(2, "\rdone\x1b[K\n")
    one.stop()
    assert took_s > recorder.REWRITE_INTERVAL_S  # the third version is the second rewrite
    assert len(sink.versions) in (4, 5)  # one more where this thread was kept waiting
    assert sink.texts == ["done"]


def test_text_beyond_the_bound_is_left_out_but_for_the_last_lines(
    sink: Sink, new: Callable[..., ConsoleRecorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "STOP_TIMEOUT_S", 60)  # a busy machine may need more than the usual second
    one = new(max_bytes=10_000)
    for n in range(20_000):
        one.feed(1, f"line {n}\n")
    one.stop()
    texts = sink.texts
    n_first = next(i for i, text in enumerate(texts) if text != f"line {i}")
    assert 200 < n_first < 10_000 / 24
    assert texts[n_first:] == [f"line {n}" for n in range(19_000, 20_000)]
    assert sink.n_left_out == 19_000 - n_first


def test_the_last_state_of_a_bar_is_recorded_beyond_the_bound(sink: Sink, new: Callable[..., ConsoleRecorder]) -> None:
    one = new(max_bytes=3_000)
    one.feed(2, "bar 0%")
    for n in range(1_000):
        one.feed(1, f"line {n}\n")
    one.feed(2, "\rbar 100%")
    one.stop()
    assert "bar 100%" in sink.texts
    assert len(sink.texts) + sink.n_left_out == 1_001


def test_a_flood_is_bounded_in_memory_and_counted(sink: Sink, new: Callable[..., ConsoleRecorder]) -> None:
    one = new()
    line = "x" * 99 + "\n"
    n_lines = 4 * buffer.MAX_CHARS // 100
    one.feed(1, line * n_lines)
    one.feed(1, line)
    one.stop()
    assert len(sink.texts) <= buffer.MAX_CHARS / 100
    assert len(sink.texts) + sink.n_left_out == n_lines + 1
    assert set(sink.texts) == {"x" * 99}


def test_lines_are_masked_whole_also_where_they_were_printed_in_pieces(
    sink: Sink, new: Callable[..., ConsoleRecorder]
) -> None:
    one = new(lambda text: text.replace("hunter22", "***"))
    for piece in ("the password is hun", "ter22\n", "\x1b[31mhunter\x1b[1m22\x1b[0m!\n", "\x1b[31mred\x1b[0m\n"):
        one.feed(1, piece)
    one.stop()
    assert sink.texts == ["the password is ***", "***!", "\x1b[31mred\x1b[0m"]


def test_the_lines_of_a_private_key_are_hidden(sink: Sink, new: Callable[..., ConsoleRecorder]) -> None:
    one = new()
    key = "key: -----BEGIN RSA PRIVATE KEY-----\nMIIEow\nIBAAKC\n-----END RSA PRIVATE KEY-----\nafter\n"
    one.feed(1, key)
    one.feed(2, "beside it\n")
    one.stop()
    assert sink.texts == ["key: ***", "***", "***", "***", "after", "beside it"]


def test_a_put_that_prints_is_not_recorded_again(sink: Sink, wait_until: WaitUntil) -> None:
    def put(record: Record) -> None:
        one.feed(2, "warning: the disk is full\n")
        sink.put(record)

    one = ConsoleRecorder(put, str, MANY_BYTES)
    one.start()
    one.feed(1, "first\n")
    wait_until(lambda: sink.texts)
    one.feed(1, "second\n")
    wait_until(lambda: len(sink.texts) > 1)
    one.stop()
    assert sink.texts == ["first", "second"]


def test_a_put_that_fails_ends_the_recording_and_nothing_else(
    capsys: pytest.CaptureFixture[str], wait_until: WaitUntil
) -> None:
    def put(record: Record) -> None:
        raise OverflowError("too much")

    one = ConsoleRecorder(put, str, MANY_BYTES)
    one.start()
    one.feed(1, "first\n")
    err = []
    wait_until(lambda: err.append(capsys.readouterr().err) or any("no longer recorded" in text for text in err))
    one.feed(1, "second\n")
    one.stop()


def test_stop_waits_a_second_at_most_for_a_put_that_hangs(sink: Sink, wait_until: WaitUntil) -> None:
    hangs, goes_on = threading.Event(), threading.Event()

    def put(record: Record) -> None:
        if threading.current_thread().name == "tracker-console":
            hangs.set()
            goes_on.wait()
        sink.put(record)

    one = ConsoleRecorder(put, str, MANY_BYTES)
    one.start()
    one.feed(1, "first\n")
    assert hangs.wait(60)
    one.feed(1, "second\n")
    began_s = time.monotonic()
    one.stop()
    assert time.monotonic() - began_s < recorder.STOP_TIMEOUT_S + 20
    assert sink.texts == ["second"]  # of the thread that stops, whatever happens to the other one
    goes_on.set()
    wait_until(lambda: len(sink.texts) == 2)


def test_feeding_before_start_and_after_stop_does_nothing(sink: Sink, new: Callable[..., ConsoleRecorder]) -> None:
    one = ConsoleRecorder(sink.put, str, MANY_BYTES)
    one.feed(1, "early\n")
    one.stop()
    one.start()
    one.stop()
    one.stop()
    one.feed(1, "late\n")
    assert sink.records == []
    assert not any(thread.name == "tracker-console" for thread in threading.enumerate())


def test_threads_that_print_lose_and_mix_nothing(sink: Sink, new: Callable[..., ConsoleRecorder]) -> None:
    one = new()

    def feed(name: int) -> None:
        for n in range(2_000):
            one.feed(1 + name % 2, f"thread {name} line {n}\n")

    threads = [threading.Thread(target=feed, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    one.stop()
    assert len(sink.texts) == 16_000
    for name in range(8):
        assert [t for t in sink.texts if t.startswith(f"thread {name} ")] == [
            f"thread {name} line {n}" for n in range(2_000)
        ]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs POSIX timers")
def test_signal_handlers_that_print_in_the_middle_of_a_print_are_recorded(
    sink: Sink, new: Callable[..., ConsoleRecorder]
) -> None:
    one = new()
    n_signals = 0

    def handle(*_: object) -> None:
        nonlocal n_signals
        n_signals += 1
        one.feed(2, f"signal {n_signals}\n")

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.0005)
    n_lines = 0
    try:
        while n_signals < 200:
            one.feed(1, "line\n")
            n_lines += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    one.stop()
    assert set(sink.texts) <= {"line", *(f"signal {n}" for n in range(1, n_signals + 1))}
    assert len(sink.texts) + sink.n_left_out == n_lines + n_signals


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_records_nothing_and_never_waits_for_the_parents_locks() -> None:
    script = """
        import os, sys, threading
        from tracker_core.console.recorder import ConsoleRecorder
        lines = []
        one = ConsoleRecorder(lambda record: lines.extend(line.text for line in record.lines), str, 1 << 20)
        one.start()
        is_over = threading.Event()
        def flood():
            while not is_over.is_set():
                one.feed(1, "parent\\n")
        threads = [threading.Thread(target=flood) for _ in range(4)]
        for thread in threads: thread.start()
        for _ in range(30):
            pid = os.fork()
            if pid == 0:
                n = len(lines)
                one.feed(1, "child\\n"); one.stop()
                again = ConsoleRecorder(lambda record: lines.extend(line.text for line in record.lines), str, 1 << 20)
                again.start(); again.feed(1, "own\\n"); again.stop()
                os._exit(0 if lines[n:] == ["own"] else 1)
            assert os.waitpid(pid, 0)[1] == 0
        is_over.set()
        for thread in threads: thread.join()
        one.stop()
        assert "parent" in lines and "child" not in lines
    """
    child_process.run_well(script)


def test_recording_at_the_end_of_the_interpreter_works_without_a_thread() -> None:
    script = """
        import atexit, threading
        from tracker_core.console.recorder import ConsoleRecorder
        def last():
            one = ConsoleRecorder(lambda record: print(*(line.text for line in record.lines)), str, 1 << 20)
            one.start(); one.feed(1, "last words\\n"); one.stop()
        atexit.register(last)
        threading._register_atexit(last)
    """
    assert child_process.run_well(script) == "last words\n" * 2


def test_feeding_is_cheap(new: Callable[..., ConsoleRecorder]) -> None:
    one = new()
    text = "epoch 12 loss 0.123"
    best_s = []
    for _ in range(5):
        began_s = time.perf_counter()
        for _ in range(1_000):
            one.feed(1, text)
            one.feed(1, "\n")
        best_s.append((time.perf_counter() - began_s) / 1_000)
    assert min(best_s) < 200e-6  # about 1.5 us on an idle machine
