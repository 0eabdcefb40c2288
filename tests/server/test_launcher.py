"""`tracker run -- COMMAND`: any command, its output untouched, its end told, its own logging in the same run."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tracker_core.api import Api
from tracker_core.journal_reader import JournalReader, read_session
from tracker_core.records import CLOSING_STATES, Console, Environment, Record, State
from tracker_server.launch import out_of_memory
from tracker_server.launch.launched_output import RecordedStream

REPOSITORY = Path(__file__).resolve().parents[2]
LAUNCH = """
import argparse, sys
from tracker_server.commands import cli_launch
parser = argparse.ArgumentParser()
cli_launch.add_arguments(parser)
sys.exit(cli_launch.run_command(parser.parse_args()))
"""
QUIET = {"TRACKER_QUIET": "1", "TRACKER_CAPTURE_ENVIRONMENT": "false", "TRACKER_SYSTEM_INTERVAL_S": "0"}
PYTHON = sys.executable


@pytest.fixture(autouse=True)
def own_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("TRACKER_")]:
        monkeypatch.delenv(name)
    for name, value in QUIET.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / ".tracker"


def command(*words: str | Path, options: tuple[str, ...] = ()) -> list[str]:
    return [PYTHON, "-c", LAUNCH, *options, "--", *map(str, words)]


def start(*words: str | Path, options: tuple[str, ...] = (), **arguments: Any) -> subprocess.Popen[bytes]:
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command(*words, options=options), **{**pipes, **arguments})


def launch(
    *words: str | Path, options: tuple[str, ...] = (), input: bytes = b"", **arguments: Any
) -> subprocess.CompletedProcess[bytes]:
    process = start(*words, options=options, **arguments)
    stdout, stderr = process.communicate(input, timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def records(folder: Path, writer: str = "launcher") -> list[Record]:
    (path,) = folder.rglob(f"{writer}.*.journal")
    batch = JournalReader(str(path)).read()
    assert batch.damage == []
    return [record for _, record in batch.records]


def last_state(folder: Path, writer: str = "launcher") -> State:
    found = [record for record in records(folder, writer) if isinstance(record, State)]
    assert sum(state.state in CLOSING_STATES for state in found) == 1
    return found[-1]


def console(folder: Path) -> list[tuple[int, str]]:
    lines = {}
    for record in records(folder):
        if isinstance(record, Console):
            lines.update({line.number: (line.stream, line.text) for line in record.lines})
    return [lines[number] for number in sorted(lines)]


# The end


@pytest.mark.parametrize(
    ("script", "code", "state"),
    [
        ("exit 0", 0, "finished"),
        ("exit 3", 3, "failed"),
        ("kill -TERM $$", -signal.SIGTERM, "killed"),
        ("kill -KILL $$", -signal.SIGKILL, "killed"),
        ("kill -SEGV $$", -signal.SIGSEGV, "killed"),
        ("kill -INT $$", -signal.SIGINT, "killed"),
    ],
)
def test_the_end_of_the_command_is_the_end_of_the_run_and_of_the_launcher(
    folder: Path, script: str, code: int, state: str
) -> None:
    assert launch("sh", "-c", script).returncode == code
    last = last_state(folder)
    assert (last.state, last.exit_code) == (state, code if code >= 0 else 128 - code)
    assert last.signal == ("" if code >= 0 else signal.Signals(-code).name)
    (run,) = Api(folder).runs()
    assert run.state == state


def test_a_compiled_program_that_aborts(folder: Path, tmp_path: Path) -> None:
    if shutil.which("cc") is None:
        pytest.skip("this machine lacks a C compiler")
    source, program = tmp_path / "crash.c", tmp_path / "crash"
    source.write_text(
        '#include <stdio.h>\n#include <stdlib.h>\nint main(void) { puts("before"); fflush(stdout); abort(); }'
    )
    subprocess.run(["cc", "-o", program, source], check=True)
    done = launch(program)
    assert (done.returncode, done.stdout) == (-signal.SIGABRT, b"before\n")
    assert (last_state(folder).state, last_state(folder).signal) == ("killed", "SIGABRT")
    assert console(folder) == [(1, "before")]
    assert not list(tmp_path.glob("core*"))


@pytest.mark.parametrize(
    ("word", "code", "message"),
    [
        ("no-such-command", 127, b"command not found"),
        ("./plain", 126, b"not executable"),
        ("/tmp", 126, b"is a folder"),
    ],
)
def test_what_cannot_be_run_is_told_and_begins_no_run(
    folder: Path, tmp_path: Path, word: str, code: int, message: bytes
) -> None:
    (tmp_path / "plain").write_text("echo hi")
    done = launch(word)
    assert done.returncode == code
    assert message in done.stderr and b"Traceback" not in done.stderr
    assert not folder.exists()


def test_a_script_without_a_first_line_is_run_by_sh(folder: Path, tmp_path: Path) -> None:
    script = tmp_path / "plain"
    script.write_text('echo "hi $1"')
    script.chmod(0o755)
    assert launch("./plain", "you").stdout == b"hi you\n"
    assert last_state(folder).state == "finished"


def test_no_command_is_an_error_with_a_remedy() -> None:
    done = launch()
    assert done.returncode != 0
    assert b"tracker run -- python train.py" in done.stderr


def test_options_name_the_run(folder: Path, tmp_path: Path) -> None:
    options = (
        "--project",
        "p",
        "--name",
        "n",
        "--group",
        "g",
        "--tags",
        "a,b",
        "--id",
        "i",
        "--dir",
        str(tmp_path / "d"),
    )
    assert launch("true", options=options).returncode == 0
    (run,) = Api(tmp_path / "d").runs()
    assert (run.path, run.name, run.group, run.tags) == ("p/i", "n", "g", ["a", "b"])
    assert launch("true", options=options).returncode == 0
    (run,) = Api(tmp_path / "d").runs()
    assert run.view.attempt == 2


def test_disabled_mode_runs_the_command_alone(folder: Path) -> None:
    environ = {**os.environ, "TRACKER_MODE": "disabled"}
    done = launch("sh", "-c", "echo $TRACKER_RUN_ID; exit 4", env=environ)
    assert (done.returncode, done.stdout) == (4, b"\n")
    assert not folder.exists()


# The output


def test_bytes_go_through_unchanged_and_lines_are_recorded(folder: Path) -> None:
    script = r"printf 'one\n\377\000two\r\nthree'; printf 'oops\n' >&2"
    done = launch("sh", "-c", script)
    assert (done.stdout, done.stderr) == (b"one\n\xff\x00two\r\nthree", b"oops\n")
    found = console(folder)
    assert (2, "oops") in found
    assert next(text for stream, text in found if stream == 1) == "one"


def test_output_comes_at_once(folder: Path) -> None:
    process = start("sh", "-c", "echo first; read line; echo got $line")
    assert process.stdin is not None and process.stdout is not None
    assert process.stdout.readline() == b"first\n"
    stdout, _ = process.communicate(b"word\n", timeout=30)
    assert stdout == b"got word\n"


def test_order_is_kept_where_both_streams_go_to_one_place(folder: Path) -> None:
    script = "for i in 1 2 3 4 5 6 7 8 9; do echo out $i; echo err $i >&2; done"
    done = launch("sh", "-c", script, stderr=subprocess.STDOUT)
    wanted = [f"{stream} {i}" for i in range(1, 10) for stream in ("out", "err")]
    assert sorted(done.stdout.decode().split("\n")[:-1]) == sorted(wanted)
    outs = [line for line in done.stdout.decode().split("\n") if line.startswith("out")]
    assert outs == [f"out {i}" for i in range(1, 10)]


def test_no_console_records_no_output(folder: Path) -> None:
    assert launch("echo", "hi", options=("--no-console",)).stdout == b"hi\n"
    assert console(folder) == []


def test_a_reader_that_goes_away_ends_the_command_as_ever(folder: Path) -> None:
    process = start("sh", "-c", "while :; do echo y; done")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    process.wait(timeout=30)
    assert process.returncode == -signal.SIGPIPE
    assert (last_state(folder).state, last_state(folder).signal) == ("killed", "SIGPIPE")


def test_what_the_command_leaves_running_does_not_keep_the_launcher(folder: Path, tmp_path: Path) -> None:
    done = launch("sh", "-c", f"sleep 600 & echo $! > {tmp_path / 'pid'}; echo done")
    assert (done.returncode, done.stdout) == (0, b"done\n")
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_secrets_are_masked_in_the_record_only(folder: Path) -> None:
    secret = "s3cr3tvalue-" + "x" * 20
    done = launch("sh", "-c", 'echo "key $MY_API_KEY"', env={**os.environ, "MY_API_KEY": secret})
    assert secret.encode() in done.stdout
    assert all(secret.encode() not in path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_flood_of_output_is_passed_on_whole(folder: Path) -> None:
    script = "import os\nfor n in range(400): os.write(1, b'%07d %s\\n' % (n, b'x' * 100_000))"
    done = launch(PYTHON, "-c", script)
    lines = done.stdout.split(b"\n")
    assert [int(line[:7]) for line in lines[:-1]] == list(range(400))
    assert {len(line) for line in lines[:-1]} == {100_008}
    left_out = sum(record.n_left_out for record in records(folder) if isinstance(record, Console))
    assert console(folder)[-1][1].startswith("0000399")
    assert len(console(folder)) + left_out >= 400


def test_of_more_than_can_be_recorded_at_once_the_end_is_kept_and_the_rest_counted() -> None:
    fed: list[str] = []
    left_out: list[int] = []
    stream = RecordedStream(1, lambda number, text: fed.append(text), left_out.append)
    line = b"x" * 99 + b"\n"
    stream.take(b"begun ")
    for _ in range(40):
        stream.take(line * 10_000)
    stream.take(b"caf\xc3")
    stream.take(b"\xa9 last\n")
    stream.end()
    lines = "".join(fed).split("\n")
    assert lines[-2:] == ["café last", ""]
    assert lines[0].startswith("begun ")
    assert {len(text) for text in lines[1:-2]} <= {0, 99}
    assert 0 <= len(lines) + sum(left_out) - 400_002 <= 40


# Terminals


class Terminal:
    """A terminal with a launcher in it, as the leader of its session."""

    def __init__(self, *words: str, size: tuple[int, int] = (31, 97)) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
            os.execv(PYTHON, command(*words))
        self.seen = b""
        self.status: int | None = None

    def read_until(self, text: bytes) -> bytes:
        deadline_s = time.monotonic() + 60
        while text not in self.seen:
            assert time.monotonic() < deadline_s, self.seen
            if not self._read():
                raise AssertionError(self.seen)
        before, _, self.seen = self.seen.partition(text)
        return before

    def _read(self) -> bool:
        if not select.select([self.fd], [], [], 5)[0]:
            return True
        try:
            data = os.read(self.fd, 4096)
        except OSError as error:
            assert error.errno == errno.EIO
            return False
        self.seen += data
        return bool(data)

    def write(self, data: bytes) -> None:
        os.write(self.fd, data)

    def wait(self) -> int:
        while self._read():
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        os.close(terminal.fd)


def open_terminal(terminals: list[Terminal], *words: str) -> Terminal:
    terminal = Terminal(*words)
    terminals.append(terminal)
    return terminal


def test_the_command_sees_terminals_of_the_right_size_and_bytes_are_unchanged(
    folder: Path, terminals: list[Terminal]
) -> None:
    script = (
        "import os, sys; print(*map(os.isatty, (0, 1, 2)), *os.get_terminal_size(1)); sys.stdout.flush();"
        "os.write(1, b'\\033[31mred\\033[0m\\n'); print('err', file=sys.stderr)"
    )
    terminal = open_terminal(terminals, PYTHON, "-c", script)
    assert terminal.wait() == 0
    assert b"True True True 97 31\r\n" in terminal.seen
    assert b"\033[31mred\033[0m\r\n" in terminal.seen
    assert {(1, "True True True 97 31"), (2, "err")} <= set(console(folder))


def test_a_new_size_reaches_the_command(folder: Path, terminals: list[Terminal]) -> None:
    script = (
        "import os, signal\n"
        "signal.signal(signal.SIGWINCH, lambda *_: print('size', *os.get_terminal_size(1), flush=True))\n"
        "print('ready', flush=True)\n"
        "while True: signal.pause()"
    )
    terminal = open_terminal(terminals, PYTHON, "-c", script)
    terminal.read_until(b"ready")
    terminal.resize(40, 120)
    terminal.read_until(b"size 120 40")
    terminal.write(b"\x03")
    assert terminal.wait() == -signal.SIGINT


COUNT_INTERRUPTS = (
    "import signal, sys\n"
    "n = 0\n"
    "def count(*_):\n"
    "    global n\n"
    "    n += 1\n"
    "    print('interrupts', n, flush=True)\n"
    "signal.signal(signal.SIGINT, count)\n"
    "print('ready', flush=True)\n"
    "line = sys.stdin.readline()\n"
    "print('total', n, line.strip(), flush=True)\n"
)


def test_ctrl_c_in_a_terminal_reaches_the_command_once(folder: Path, terminals: list[Terminal]) -> None:
    terminal = open_terminal(terminals, PYTHON, "-c", COUNT_INTERRUPTS)
    terminal.read_until(b"ready")
    terminal.write(b"\x03")
    terminal.read_until(b"interrupts 1")
    terminal.write(b"word\n")
    terminal.read_until(b"total 1 word")
    assert terminal.wait() == 0
    assert last_state(folder).state == "finished"


def test_ctrl_c_that_kills_the_command_is_told_as_that(folder: Path, terminals: list[Terminal]) -> None:
    terminal = open_terminal(terminals, "sh", "-c", "echo ready; exec sleep 600")
    terminal.read_until(b"ready")
    terminal.write(b"\x03")
    assert terminal.wait() == -signal.SIGINT
    assert (last_state(folder).state, last_state(folder).signal) == ("killed", "SIGINT")


def test_ctrl_c_also_stops_a_script_that_runs_launchers(folder: Path, terminals: list[Terminal]) -> None:
    inner = " ".join(f"'{word}'" for word in [PYTHON, "-c", LAUNCH.replace("'", '"'), "--", "sleep", "600"])
    terminal = Terminal.__new__(Terminal)
    terminal.seen, terminal.status = b"", None
    terminal.pid, terminal.fd = pty.fork()
    if terminal.pid == 0:
        os.execvp("bash", ["bash", "-c", f"echo ready; {inner}; echo went on"])
    terminals.append(terminal)
    terminal.read_until(b"ready")
    deadline_s = time.monotonic() + 60
    while os.tcgetpgrp(terminal.fd) == terminal.pid:  # until the command has the terminal
        assert time.monotonic() < deadline_s
        os.sched_yield()
    terminal.write(b"\x03")
    assert terminal.wait() == -signal.SIGINT
    assert b"went on" not in terminal.seen


def test_ctrl_z_stops_both_and_continuing_wakes_both(folder: Path, terminals: list[Terminal]) -> None:
    terminal = Terminal.__new__(Terminal)
    terminal.seen, terminal.status = b"", None
    terminal.pid, terminal.fd = pty.fork()
    if terminal.pid == 0:
        os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
    terminals.append(terminal)
    script = Path("wait.py")
    script.write_text("print('rea' + 'dy', flush=True)\nprint('got', input(), flush=True)\n")
    launcher = Path("launch.py")
    launcher.write_text(LAUNCH)
    terminal.write(f"PS1='$ '; {PYTHON} launch.py -- {PYTHON} wait.py\n".encode())
    terminal.read_until(b"ready\r\n")
    terminal.write(b"\x1a")
    terminal.read_until(b"Stopped")
    terminal.write(b"echo shell-$((40 + 2))\n")
    terminal.read_until(b"shell-42")
    terminal.write(b"fg\n")
    terminal.read_until(b"wait.py\r\n")
    terminal.write(b"word\n")
    terminal.read_until(b"got word")
    terminal.write(b"exit 0\n")
    terminal.wait()
    assert last_state(folder).state == "finished"


# Signals


def until_ready(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGQUIT"])
def test_signals_reach_the_whole_group_of_the_command_once(folder: Path, tmp_path: Path, name: str) -> None:
    inner = (
        "import os, signal, sys\n"
        f"def caught(*_):\n    with open(sys.argv[1], 'a') as file: file.write('caught\\n')\n    os._exit(0)\n"
        f"signal.signal(signal.{name}, caught)\n"
        "print('ready', flush=True)\n"
        "while True: signal.pause()\n"
    )
    script = tmp_path / "inner.py"
    script.write_text(inner)
    bash = f"trap 'echo outer' {name[3:]}; {PYTHON} {script} {tmp_path / 'said'}; echo ended"
    process = start("bash", "-c", bash)
    until_ready(process)
    process.send_signal(getattr(signal, name))
    stdout, _ = process.communicate(timeout=60)
    assert stdout == b"outer\nended\n"
    assert (tmp_path / "said").read_text() == "caught\n"
    assert process.returncode == 0
    noted = [record for record in records(folder) if isinstance(record, State) and record.signal]
    assert [state.signal for state in noted] == [name]


def test_a_signal_to_the_launchers_group_reaches_the_command_once(folder: Path) -> None:
    process = start(PYTHON, "-c", COUNT_INTERRUPTS, start_new_session=True)
    until_ready(process)
    os.killpg(process.pid, signal.SIGINT)
    assert process.stdout is not None
    assert process.stdout.readline() == b"interrupts 1\n"
    stdout, _ = process.communicate(b"word\n", timeout=60)
    assert stdout == b"total 1 word\n"


def test_a_command_that_ends_badly_after_a_signal_was_killed_by_it(folder: Path) -> None:
    process = start("bash", "-c", "trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done")
    until_ready(process)
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 7
    last = last_state(folder)
    assert (last.state, last.exit_code, last.signal) == ("killed", 7, "SIGTERM")


def test_ignored_signals_are_ignored_by_the_command_too(folder: Path) -> None:
    done = subprocess.run(["nohup", *command("sh", "-c", "kill -HUP $$; echo lived")], capture_output=True)
    assert done.stdout == b"lived\n"


def test_python_defaults_are_not_handed_on(folder: Path) -> None:
    done = launch("cat", "/proc/self/status")
    ignored = next(line for line in done.stdout.splitlines() if line.startswith(b"SigIgn"))
    assert not int(ignored.split()[1], 16) >> (signal.SIGPIPE - 1) & 1


def test_when_the_launcher_is_killed_the_command_goes_on_and_tells_its_own_end(folder: Path, tmp_path: Path) -> None:
    script = (
        "import os, sys, tracker_core\n"
        "run = tracker_core.init()\n"
        "print('ready', flush=True)\n"
        "sys.stdin.readline()\n"
        "run.log({'x': 1.0})\n"
        "run.finish()\n"
        "open('over', 'w').close()\n"
    )
    process = start(PYTHON, "-c", script)
    until_ready(process)
    process.kill()
    process.wait()
    (run,) = Api(folder).runs()
    assert run.state == "running"
    assert process.stdin is not None
    process.stdin.write(b"\n")
    process.stdin.close()
    deadline_s = time.monotonic() + 60
    while not (tmp_path / "over").exists():
        assert time.monotonic() < deadline_s
        os.sched_yield()
    assert last_state(folder, "main").state == "finished"
    (run,) = Api(folder).runs()
    assert run.state == "finished"
    for stream in (process.stdout, process.stderr):
        assert stream is not None
        stream.close()


# What the command logs


def sessions(folder: Path) -> list[tuple[str, str, int]]:
    found = [read_session(str(path)) for path in folder.rglob("*.journal")]
    return sorted((s.run, s.writer, s.attempt) for s in found if s is not None)


def test_what_a_python_command_logs_is_in_the_same_run(folder: Path) -> None:
    script = (
        "import os, sys, tracker_core as tracker\n"
        "run = tracker.init(config={'lr': 0.1})\n"
        "for n in range(10): run.log({'loss': 1 / (n + 1)})\n"
        "print('printed', run.id)\n"
        "run.finish()\n"
        "second = tracker.init(project='own', config={'lr': 0.2})\n"
        "second.finish()\n"
        "sys.exit(3)\n"
    )
    assert launch(PYTHON, "-c", script, options=("--name", "launched", "--project", "p")).returncode == 3
    runs = {run.project: run for run in Api(folder).runs()}
    assert set(runs) == {"p", "own"}
    run = runs["p"]
    assert (run.name, run.state, run.config["lr"]) == ("launched", "failed", 0.1)
    assert len(run.series("loss")) == 10
    assert (1, f"printed {run.id}") in console(folder / "runs" / "p")
    assert sessions(folder / "runs" / "p") == [(run.id, "launcher", 1), (run.id, "main", 1)]


def test_processes_that_a_shell_starts_share_the_run(folder: Path) -> None:
    one = f"{PYTHON} -c 'import tracker_core as t; r = t.init(); [r.log(dict(x=n)) for n in range(5)]'"
    done = launch("bash", "-c", f"{one} && {one}")
    assert done.returncode == 0, done.stderr
    (run,) = Api(folder).runs()
    assert [writer for _, writer, _ in sessions(folder)] == ["launcher", "main", "main"]
    assert run.series("x").steps.tolist() == list(range(10))


def test_a_launcher_within_a_launcher_has_its_own_run(folder: Path) -> None:
    done = launch(*command("sh", "-c", "exit 2"))
    assert done.returncode == 2
    assert [run.state for run in Api(folder).runs()] == ["failed", "failed"]
    assert [writer for _, writer, _ in sessions(folder)] == ["launcher", "launcher"]


def test_the_command_and_the_machine_are_recorded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKER_CAPTURE_ENVIRONMENT", "true")
    monkeypatch.setenv("TRACKER_SYSTEM_INTERVAL_S", "15")
    launch("bash", "-c", "exit 0")
    values: dict[str, Any] = {}
    for record in records(folder):
        if isinstance(record, Environment):
            values |= record.values
    assert values["command"] == ["bash", "-c", "exit 0"]
    assert values["host"] and "packages" not in values
    (path,) = folder.rglob("launcher.*.journal")
    keys = {key for group in JournalReader(str(path)).read().row_groups for key in group.keys}
    assert "system/memory_percent" in keys


def test_autoload_comes_first_on_pythonpath_and_the_users_path_stays(folder: Path) -> None:
    done = launch(PYTHON, "-c", "import os; print(os.environ['PYTHONPATH']); print(os.environ['PYTHONUNBUFFERED'])")
    path, unbuffered = done.stdout.decode().split()
    assert path == f"{REPOSITORY / 'tracker_core' / 'autoload'}{os.pathsep}{REPOSITORY}"
    assert unbuffered == "1"


# Memory


def test_a_kill_for_want_of_memory_is_told() -> None:
    before, after = {"group": 1, "machine": 5}, {"group": 2, "machine": 6}
    assert "cgroup" in out_of_memory.describe_kill(before, after)
    assert "probably" in out_of_memory.describe_kill(before, {"group": 1, "machine": 6})
    assert out_of_memory.describe_kill(before, before) == ""
    assert out_of_memory.describe_kill({}, {"group": 3}) == "", "what was before is not known"
    assert all(count >= 0 for count in out_of_memory.count_kills().values())


@pytest.mark.long
def test_a_flood_is_not_slowed_to_less_than_half_of_a_bare_pipe(tmp_path: Path) -> None:
    script = tmp_path / "flood.py"
    script.write_text(
        "import os, sys, time\n"
        "data = (b'step 1 loss 0.123456 accuracy 0.9876 and some more of it' + b'\\n') * 1100\n"
        "began = time.perf_counter()\n"
        "for _ in range(100_000_000 // len(data)): os.write(1, data)\n"
        "print(time.perf_counter() - began, file=sys.stderr)\n"
    )

    def seconds(words: list[str]) -> float:
        child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        with subprocess.Popen(["cat"], stdin=child.stdout, stdout=subprocess.DEVNULL):
            assert child.stdout is not None and child.stderr is not None
            child.stdout.close()
            took_s = float(child.stderr.read())
            child.stderr.close()
        assert child.wait() == 0
        return took_s

    pairs = [(seconds([PYTHON, str(script)]), seconds(command(PYTHON, script))) for _ in range(10)]
    assert min(wrapped_s for _, wrapped_s in pairs) < 2 * max(0.1, sorted(bare_s for bare_s, _ in pairs)[5])
