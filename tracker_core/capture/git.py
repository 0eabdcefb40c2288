"""The git repository that the code of a run came from: commit, branch, remote, and the uncommitted changes.

Asked of the `git` command, which is kept from waiting for anything: no terminal, no pager, no locks, no network, no
hooks or external diff programs, and a time limit after which it and what it started are killed.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Any

from .masking import Masker

TIMEOUT_S = 10.0
_DIFF_TIMEOUT_S = 60.0
_MAX_STATUS_BYTES = 16 << 20
_ENVIRONMENT = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",  # a partial clone fetches what a diff needs, unless no protocol is allowed
    "GIT_PAGER": "cat",
    "LC_ALL": "C",
}
# What the user has set for reading must not change what is kept, the index is not to be written, and a file system
# monitor is a program of its own.
_SETTINGS = (
    "core.fsmonitor=false",
    "diff.noprefix=false",
    "diff.mnemonicPrefix=false",
    "diff.relative=false",
    "diff.autoRefreshIndex=false",
)
_OPTIONS = ("--no-pager", *(word for setting in _SETTINGS for word in ("-c", setting)))
_DIFF = ("diff", "HEAD", "--no-ext-diff", "--no-textconv", "--no-color", "--submodule=short")
_SUBMODULES = "--ignore-submodules=dirty"  # their commits count; what was changed inside them is not looked for
_DIFF_START = re.compile(r"^diff --git ", re.MULTILINE)
_HUNK_START = re.compile(r"^@@ ", re.MULTILINE)
_BINARY = re.compile(r"^Binary files (.+) differ$", re.MULTILINE)
_HEAD = re.compile(r"ref: (refs/\S+)")


@dataclass(frozen=True, slots=True)
class Diff:
    """The uncommitted changes as a patch that `git apply` takes, and what was left out of it."""

    text: str
    is_cut: bool
    binary_files: tuple[str, ...]


def find_root(folders: Sequence[str]) -> str | None:
    """Return the top folder of the working tree that the first of the folders to be in one is in; else None."""
    for folder in folders:
        current = os.path.abspath(folder)
        while True:
            if os.path.exists(os.path.join(current, ".git")):
                return current
            parent = os.path.dirname(current)
            if parent == current:
                break
            current = parent
    return None


def describe(root: str, masker: Masker) -> dict[str, Any]:
    """Return {commit, branch, remote, root, is_dirty, n_untracked, message} of the working tree at `root`.

    What cannot be found out is left out; `problem` then says why. `branch` is "" where the head is detached, `commit`
    is "" before the first one. `n_untracked` counts a folder of which nothing is tracked as one.
    """
    found: dict[str, Any] = {"root": root}
    arguments = ("status", "--porcelain=v2", "--branch", "--untracked-files=normal", _SUBMODULES, "-z")
    status, problem = _git(root, arguments, TIMEOUT_S, _MAX_STATUS_BYTES)
    if status is None or not status.startswith("# branch.oid "):
        found |= _read_head(root)
        return found | {"problem": masker.text(problem)}
    found |= _parse_status(status)
    config, _ = _git(root, ("config", "--null", "--get-regexp", r"^(remote\..*\.url|branch\..*\.remote)$"))
    remote = _remote_url(config or "", found["branch"])
    if remote:
        found["remote"] = masker.url(remote)
    if found["commit"]:
        message, _ = _git(root, ("log", "-1", "--no-show-signature", "--format=%s"))
        found["message"] = masker.text((message or "").strip())[:1000]
    return found


def uncommitted_changes(root: str, max_bytes: int) -> Diff | None:
    """Return what the working tree and the index differ from the last commit; None where there is nothing to tell.

    Files that are not tracked are not in it. Bytes that are no UTF-8 are kept as surrogate escapes.
    """
    text, _ = _git(root, (*_DIFF, _SUBMODULES), _DIFF_TIMEOUT_S, max_bytes)
    if not text:
        return None
    is_cut = len(text.encode(errors="surrogateescape")) >= max_bytes
    parts = _parts(text)
    if is_cut and parts:
        parts[-1] = _whole_hunks(parts[-1])
    binary = tuple(_binary_name(match.group(1)) for part in parts for match in _BINARY.finditer(part))
    kept = [part for part in parts if not _is_binary(part) and part.count("\n") > 1]  # a header alone: only touched
    if not kept and not binary and not is_cut:
        return None
    return Diff("".join(kept), is_cut, binary)


def patch_bytes(diff: Diff, masker: Masker, max_bytes: int) -> bytes:
    """Return the masked patch with a line above it for everything that it lacks. `git apply` skips such lines."""
    notes = [f"# binary file, left out: {name}\n" for name in diff.binary_files]
    if diff.is_cut:
        notes.append(f"# cut after {max_bytes >> 20} MiB (setting diff_max_mib): more is changed than is here\n")
    parts = _parts(diff.text)
    masked = []
    for part in parts:
        masked.append(masker.text(part))
        time.sleep(0)  # lets go of the interpreter lock, for the training goes on meanwhile
    n_masked = sum(before != after for before, after in zip(parts, masked, strict=True))
    if n_masked:
        notes.append(f"# secrets are masked in {n_masked} files; hunks with a masked line may not apply\n")
    return "".join([*map(masker.text, notes), *masked]).encode(errors="surrogateescape")


def listed_files(folder: str) -> list[str] | None:
    """Return the files below a folder that are tracked, or not ignored, relative to it; None where git cannot say."""
    arguments = ("ls-files", "-z", "--cached", "--others", "--exclude-standard")
    text, _ = _git(folder, arguments, TIMEOUT_S, _MAX_STATUS_BYTES)
    return None if text is None else [name for name in dict.fromkeys(text.split("\0")) if name]


def _git(
    folder: str, arguments: Sequence[str], timeout_s: float = TIMEOUT_S, max_bytes: int = 1 << 20
) -> tuple[str | None, str]:
    """Run git; return its output, up to a number of bytes, or None and the reason."""
    try:
        process = subprocess.Popen(
            ["git", *_OPTIONS, *arguments],
            cwd=folder,
            env={**os.environ, **_ENVIRONMENT},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # no terminal to ask at, and a group of its own to be killed
        )
    except (OSError, ValueError) as error:
        return None, f"git cannot be run: {error}"
    output, errors = _Reader(process.stdout, max_bytes), _Reader(process.stderr, 1 << 20)
    is_done = output.wait(timeout_s)
    if not is_done or output.is_full:
        _kill(process)
    try:
        status = process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        _kill(process)
        return None, f"git {arguments[0]} does not end"
    errors.wait(1.0)
    if not is_done:
        return None, f"git {arguments[0]} took longer than {timeout_s:g} s"
    if status != 0 and not output.is_full:
        return None, errors.text().strip()[:1000] or f"git {arguments[0]} ended with {status}"
    return output.text(), ""


class _Reader:
    """Reads a pipe in a thread, for a child of git may hold it open for ever. Stops at a number of bytes."""

    def __init__(self, stream: IO[bytes] | None, max_bytes: int) -> None:
        assert stream is not None
        self._stream = stream
        self._max_bytes = max_bytes
        self._data = b""
        self.is_full = False
        self._thread = threading.Thread(target=self._read, name="tracker-git", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            with self._stream:
                self._data = self._stream.read(self._max_bytes)
                self.is_full = len(self._data) >= self._max_bytes
        except (OSError, ValueError):
            pass  # no output is no answer

    def wait(self, timeout_s: float) -> bool:
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def text(self) -> str:
        return self._data.decode(errors="surrogateescape")


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill git and what it has started."""
    try:
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    except OSError:
        pass  # it has ended


def _parse_status(status: str) -> dict[str, Any]:
    """Read `git status --porcelain=v2 --branch -z`: headers begin with "#", untracked entries with "?"."""
    found: dict[str, Any] = {"commit": "", "branch": "", "is_dirty": False, "n_untracked": 0}
    for entry in status.split("\0"):
        if entry.startswith("# branch.oid "):
            commit = entry.removeprefix("# branch.oid ")
            found["commit"] = "" if commit == "(initial)" else commit
        elif entry.startswith("# branch.head "):
            branch = entry.removeprefix("# branch.head ")
            found["branch"] = "" if branch == "(detached)" else branch
        elif entry.startswith("? "):
            found["n_untracked"] += 1
        elif entry and not entry.startswith(("#", "!")):
            found["is_dirty"] = True  # also the second half of a renamed entry, which is its old name
    return found


def _remote_url(config: str, branch: str) -> str:
    """Return the address of the branch's remote, else of origin, else of the first one."""
    entries = dict(entry.partition("\n")[::2] for entry in config.split("\0") if entry)
    urls = {key[len("remote.") : -len(".url")]: url for key, url in entries.items() if key.startswith("remote.")}
    for name in (entries.get(f"branch.{branch}.remote"), "origin"):
        if name in urls:
            return urls[name]
    return next(iter(urls.values()), "")


def _parts(diff: str) -> list[str]:
    """Return the changes of each file."""
    starts = [match.start() for match in _DIFF_START.finditer(diff)]
    return [diff[start:end] for start, end in zip(starts, [*starts[1:], len(diff)], strict=False)]


def _whole_hunks(part: str) -> str:
    """Return one file's changes without the hunk that was cut off; "" where none is whole."""
    hunks = [match.start() for match in _HUNK_START.finditer(part)]
    return part[: hunks[-1]] if len(hunks) > 1 else ""


def _is_binary(part: str) -> bool:
    return "\nBinary files " in part and _HUNK_START.search(part) is None


def _binary_name(names: str) -> str:
    """Return the name in "a/old and b/new", of which one may be /dev/null."""
    old, _, new = names.partition(" and ")
    return (old if new == "/dev/null" else new).strip('"').partition("/")[2]


def _read_head(root: str) -> dict[str, str]:
    """Read commit and branch off the files of a repository that git is not there for, or refuses as another user's."""
    folder = os.path.join(root, ".git")
    if os.path.isfile(folder):  # a worktree or submodule: gitdir: PATH
        folder = os.path.join(root, _read(folder).removeprefix("gitdir:").strip())
    head = _read(os.path.join(folder, "HEAD")).strip()
    match = _HEAD.fullmatch(head)
    if match is None:
        return {"commit": head, "branch": ""} if re.fullmatch(r"[0-9a-f]{40,64}", head) else {}
    reference = match.group(1)
    common = os.path.normpath(os.path.join(folder, _read(os.path.join(folder, "commondir")).strip() or "."))
    packed = re.search(rf"^([0-9a-f]{{40,64}}) {re.escape(reference)}$", _read(f"{common}/packed-refs"), re.MULTILINE)
    commit = _read(os.path.join(common, reference)).strip() or (packed.group(1) if packed else "")
    return {"commit": commit, "branch": reference.removeprefix("refs/heads/")}


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(1 << 20)
    except OSError:
        return ""
