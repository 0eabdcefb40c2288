"""The hooks on stdout and stderr: everything printed is seen, and nothing about the streams changes."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from typing import Any

import child_process
import pytest
from rich.console import Console as RichConsole
from tqdm import tqdm

from tracker_core.console import streams


class Heard:
    """Keeps what it is fed."""

    def __init__(self) -> None:
        self.items: list[tuple[int, str]] = []

    def feed(self, stream: int, text: str) -> None:
        self.items.append((stream, text))

    def text(self, stream: int) -> str:
        return "".join(text for other, text in self.items if other == stream)


@pytest.fixture
def heard() -> Iterator[Heard]:
    one = Heard()
    streams.attach(one)
    yield one
    streams.detach(one)


@contextlib.contextmanager
def stdout_is(stream: Any) -> Iterator[Any]:
    before, sys.stdout = sys.stdout, stream
    try:
        yield stream
    finally:
        sys.stdout = before


def test_prints_are_heard_and_still_reach_the_stream(capfd: pytest.CaptureFixture[str]) -> None:
    one = Heard()
    streams.attach(one)
    print("to stdout", 1, end="!\n")
    print("to stderr", file=sys.stderr)
    sys.stdout.writelines(["a\n", "b\n"])
    streams.detach(one)
    print("later")
    assert one.text(1) == "to stdout 1!\na\nb\n"
    assert one.text(2) == "to stderr\n"
    assert capfd.readouterr() == ("to stdout 1!\na\nb\nlater\n", "to stderr\n")


def test_the_streams_stay_what_they_are() -> None:
    out = sys.stdout
    facts = (out.encoding, out.errors, out.isatty(), out.buffer, type(out))
    one = Heard()
    streams.attach(one)
    assert sys.stdout is out
    assert (out.encoding, out.errors, out.isatty(), out.buffer, type(out)) == facts
    assert sys.stdout.write("twelve chars") == 12
    streams.detach(one)
    assert "write" not in vars(out)


def test_exceptions_of_a_write_are_the_callers(heard: Heard) -> None:
    with pytest.raises(TypeError, match="must be str"):
        sys.stdout.write(b"bytes")  # type: ignore[arg-type]
    assert heard.items == []


def test_a_closed_stream_raises_what_it_always_did() -> None:
    with stdout_is(io.TextIOWrapper(io.BytesIO())) as stream:
        one = Heard()
        streams.attach(one)
        stream.close()
        with pytest.raises(ValueError, match="closed file"):
            print("x")
        streams.detach(one)
    assert one.items == []


def test_missing_streams_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    one = Heard()
    streams.attach(one)
    print("nowhere")
    streams.detach(one)
    assert sys.stdout is None and one.items == []


def test_what_is_redirected_is_not_printed_and_not_heard(heard: Heard) -> None:
    with contextlib.redirect_stdout(io.StringIO()) as file:
        print("into a string")
    print("out")
    assert file.getvalue() == "into a string\n"
    assert heard.text(1) == "out\n"


def test_handlers_of_logging_made_before_are_heard() -> None:
    logger = logging.getLogger("made before")
    handler = logging.StreamHandler(sys.stderr)
    logger.addHandler(handler)
    one = Heard()
    streams.attach(one)
    logger.warning("from a logger")
    streams.detach(one)
    logger.removeHandler(handler)
    assert one.text(2) == "from a logger\n"


def test_a_rich_console_made_before_and_tqdm_bars_are_heard() -> None:
    console = RichConsole(file=sys.stdout)
    one = Heard()
    streams.attach(one)
    console.print("[bold]bold[/bold]")
    for _ in tqdm(range(3), mininterval=0):
        pass
    streams.detach(one)
    assert "bold" in one.text(1)
    assert "100%" in one.text(2)


def test_a_tee_put_over_the_stream_is_heard_once(heard: Heard) -> None:
    class Tee(io.TextIOBase):
        def __init__(self, *files: Any) -> None:
            self.files = files

        def write(self, text: str) -> int:
            for file in self.files:
                file.write(text)
            return len(text)

    copy = io.StringIO()
    with stdout_is(Tee(sys.stdout, copy)):
        print("before the tee is hooked")
        second = Heard()
        streams.attach(second)  # hooks the tee as well as the stream beneath
        print("and after")
        streams.detach(second)
    assert heard.text(1) == copy.getvalue() == "before the tee is hooked\nand after\n"
    assert second.text(1) == "and after\n"


def test_stderr_sent_to_stdout_is_heard_once() -> None:
    before, sys.stderr = sys.stderr, sys.stdout
    one = Heard()
    streams.attach(one)
    print("error", file=sys.stderr)
    streams.detach(one)
    sys.stderr = before
    assert one.items == [(1, "error"), (1, "\n")]


def test_a_stream_that_takes_no_attributes_gets_a_stand_in() -> None:
    class Slotted:
        __slots__ = ("written",)
        encoding = "utf-8"

        def __init__(self) -> None:
            self.written: list[str] = []

        def write(self, text: str) -> int:
            self.written.append(text)
            return len(text)

        def flush(self) -> None: ...

    with stdout_is(Slotted()) as stream:
        one, two = Heard(), Heard()
        streams.attach(one)
        streams.attach(two)
        print("x", flush=True)
        sys.stdout.writelines(["y"])
        assert sys.stdout.encoding == "utf-8"
        streams.detach(one)
        streams.detach(two)
        print("z")
        assert sys.stdout is stream
    assert stream.written == ["x", "\n", "y", "z", "\n"]
    assert one.text(1) == two.text(1) == "x\ny"


def test_every_recorder_hears_from_its_attach_to_its_detach() -> None:
    one, two = Heard(), Heard()
    streams.attach(one)
    print(1)
    streams.attach(two)
    streams.attach(two)
    print(2)
    streams.detach(one)
    streams.detach(one)
    print(3)
    streams.detach(two)
    print(4)
    assert one.text(1) == "1\n2\n"
    assert two.text(1) == "2\n3\n"


def test_a_write_that_another_tool_puts_over_ours_stays_when_we_leave() -> None:
    other: list[str] = []
    out: Any = sys.stdout
    one = Heard()
    streams.attach(one)
    ours = out.write

    def theirs(text: str) -> int:
        other.append(text)
        return int(ours(text))

    out.write = theirs
    print("a")
    streams.detach(one)
    print("b")
    streams.attach(one)
    print("c")
    assert out.write is theirs
    streams.detach(one)
    out.write = ours  # the other tool leaves too; what it puts back is without effect
    print("d")
    streams.attach(one)
    print("e")
    streams.detach(one)
    assert "write" not in vars(out)
    assert "".join(other) == "a\nb\nc\n"
    assert one.text(1) == "a\nc\ne\n"


def test_a_stream_set_later_is_heard_from_the_next_attach(heard: Heard) -> None:
    with stdout_is(io.StringIO()):
        print("not ours")
        streams.attach(Heard())
        print("ours")
        for recorder in streams._recorders[1:]:
            streams.detach(recorder)
    assert heard.text(1) == "ours\n"


def test_a_signal_handlers_print_within_a_write_is_heard(heard: Heard) -> None:
    class Interrupted(io.StringIO):
        def write(self, text: str, /) -> int:
            if text == "outer":
                print("from the handler")
            return super().write(text)

    with stdout_is(Interrupted()):
        second = Heard()
        streams.attach(second)
        print("outer")
        streams.detach(second)
    assert second.text(1) == "from the handler\nouter\n"


def test_threads_are_heard(heard: Heard) -> None:
    threads = [threading.Thread(target=print, args=(f"thread {n}\n",), kwargs={"end": ""}) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(heard.text(1).split()) == sorted(f"thread {n}".split()[i] for n in range(20) for i in (0, 1))


def test_notebook_streams_are_heard() -> None:
    import zmq
    from ipykernel.iostream import IOPubThread, OutStream
    from jupyter_client.session import Session

    with zmq.Context() as context, context.socket(zmq.PUB) as socket:
        stream = OutStream(Session(), IOPubThread(socket), "stdout", watchfd=False)
        with stdout_is(stream):
            one = Heard()
            streams.attach(one)
            print("from a cell")
            streams.detach(one)
            print("later")
        stream.close()
    assert one.text(1) == "from a cell\n"


RECORD = """
    import atexit, os, subprocess, sys
    from tracker_core.console import streams
    from tracker_core.console.recorder import ConsoleRecorder

    lines = {}
    def put(record):
        lines.update({line.number: (line.stream, line.text) for line in record.lines})
    one = ConsoleRecorder(put, str, 1 << 20)
    def end():
        streams.detach(one)
        one.stop()
        os.write(3, repr([line for _, line in sorted(lines.items())]).encode())
    atexit.register(end)
    one.start()
    streams.attach(one)
"""


def recorded(script: str) -> tuple[list[tuple[int, str]], str, str]:
    """Run a script that is recorded to its end; return the lines, and what reached stdout and stderr."""
    read, write = os.pipe()
    prefix = ("bash", "-c", f'exec 3>&{write}; exec "$@"', "bash")
    code = textwrap.dedent(RECORD) + textwrap.dedent(script)
    process = subprocess.Popen(
        [*prefix, sys.executable, "-c", code],
        env=child_process.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        pass_fds=[write],
    )
    os.close(write)
    stdout, stderr = process.communicate(timeout=60)
    with os.fdopen(read) as file:
        return eval(file.read()), stdout, stderr


@pytest.mark.skipif(sys.platform == "win32", reason="inherits a file descriptor")
def test_the_traceback_that_ends_a_process_and_prints_at_exit_are_recorded() -> None:
    lines, stdout, stderr = recorded("""
        atexit.register(print, "at exit")
        import warnings
        warnings.warn("careful")
        1 / 0
    """)
    texts = [text for _, text in lines]
    assert "at exit" in texts
    assert any("UserWarning: careful" in text for text in texts)
    assert (2, "ZeroDivisionError: division by zero") in lines
    assert "ZeroDivisionError" in stderr and stdout == "at exit\n"


@pytest.mark.skipif(sys.platform == "win32", reason="inherits a file descriptor")
def test_children_print_as_always_and_are_not_recorded() -> None:
    lines, stdout, _ = recorded("""
        print("parent", flush=True)
        subprocess.run([sys.executable, "-c", "print('subprocess')"])
        pid = os.fork()
        if pid == 0:
            print("forked", flush=True)
            os._exit(0)
        os.waitpid(pid, 0)
        sys.stdout.buffer.write(b"bytes\\n")
    """)
    assert [line for line in lines if line[0] == 1] == [(1, "parent")]  # Python 3.12 warns of the fork on stderr
    assert stdout == "parent\nsubprocess\nforked\nbytes\n"


@pytest.mark.skipif(sys.platform == "win32", reason="inherits a file descriptor")
def test_a_stdout_that_nobody_reads_any_more_raises_as_always() -> None:
    lines, _, stderr = recorded("""
        read, write = os.pipe()
        os.dup2(write, 1)
        os.close(read)
        try:
            print("x" * 100_000, flush=True)
        except BrokenPipeError:
            print("broken", file=sys.stderr)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    """)
    assert stderr == "broken\n"
    assert (2, "broken") in lines
