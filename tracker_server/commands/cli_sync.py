"""`tracker sync`: send what is on disk to a server, and say what is left."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from tracker_core.errors import NotFoundError, UsageError
from tracker_core.paths import FOLDER_NAME, find_folder, project_dir_name
from tracker_core.remote.server_address import key_for, server_address
from tracker_core.settings import Settings, load_settings
from tracker_core.sync.followed_run import FollowedRun
from tracker_core.sync.freeing import free_old_runs
from tracker_core.sync.online import shown_bytes
from tracker_core.sync.sender import Sender
from tracker_core.sync.sender_work import settle
from tracker_core.sync.sync_folder import RunPlace, every_run

from .cli_runs import print_json
from .terminal_text import printable

_WATCH_S = 2.0
_MOST_WAIT_S, _MOST_WAIT_WATCHING_S = 5.0, 60.0
# How long a server may be away, or send nothing on, before what is left is told and the command ends.
_PATIENCE_S = 20.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `tracker sync` to its parser."""
    parser.add_argument(
        "targets",
        metavar="[DIR] [RUN...]",
        nargs="*",
        help="a tracker folder (default: the nearest .tracker/ upwards), and project/id or id of runs (default: all)",
    )
    parser.add_argument("--dir", help="the tracker folder, as the first argument names it")
    parser.add_argument("--server", metavar="URL", help="default: TRACKER_BASE_URL, or that of tracker login")
    parser.add_argument("--watch", action="store_true", help="go on sending what is new, until Ctrl-C")
    parser.add_argument("--dry-run", action="store_true", help="send nothing; say what would be sent")
    parser.add_argument("--json", action="store_true", help="print JSON")


def sync(args: argparse.Namespace) -> int:
    """Send runs; return 0 where all of them are at the server, 1 where something is left."""
    settings = load_settings()
    folder, names = _folder_and_names(args.targets, args.dir or settings.dir, is_given=args.dir is not None)
    address = _address(args.server, settings)
    chosen = _Chosen(folder, names)
    most_wait_s = _MOST_WAIT_WATCHING_S if args.watch else _MOST_WAIT_S
    key = key_for(address, settings)
    sender = Sender(folder, address, key, runs=chosen, interval_s=_WATCH_S, most_wait_s=most_wait_s)
    try:
        if args.dry_run:
            sender.survey()
        else:
            with _progress(args.json) as show, _until_ctrl_c(args.watch):
                _send(sender, show, args.watch)
            if args.watch:
                sender.try_now()
                sender.step()  # so that what is told is how it stands
            settle(sender)
        freed = _free(sender, settings, args.dry_run)
    finally:
        sender.close()
    _report(args, sender, freed)
    return int(sender.status.state != "ok" or any(run.has_left or run.trouble for run in sender.followed.values()))


# What to send, and where to


def _folder_and_names(targets: list[str], dir: str | None, is_given: bool) -> tuple[str, list[str]]:
    if not targets or is_given or not _is_folder(targets[0]):
        return find_folder(dir), targets
    first = targets[0]
    inner = os.path.join(first, FOLDER_NAME)
    return os.path.abspath(inner if os.path.isdir(inner) else first), targets[1:]


def _is_folder(target: str) -> bool:
    """Say whether an argument is the tracker folder, or one that holds it, and not a run."""
    if any(os.path.isdir(os.path.join(target, name)) for name in ("runs", FOLDER_NAME)):
        return True
    if os.path.isabs(target) or target.startswith("."):
        remedy = "name a folder that has runs, or project/id of a run"
        raise UsageError("tracker sync", repr(target), "a tracker folder", remedy)
    return False


def _address(given: str | None, settings: Settings) -> str:
    address = given or settings.base_url
    if not address:
        remedy = "pass --server URL, set TRACKER_BASE_URL, or log in with: tracker login URL"
        raise UsageError("tracker sync", "no server", "the address of one", remedy)
    return server_address(address, "tracker sync --server" if given else "TRACKER_BASE_URL")


class _Chosen:
    """The runs to send, listed anew in each round; raises NotFoundError at first where a name is no run's."""

    def __init__(self, folder: str, names: list[str]) -> None:
        self._folder = folder
        self._names = names
        places = list(every_run(folder))
        for name in names:
            if not any(_is_named(place, name) for place in places):
                raise NotFoundError(f"no run {printable(name)!r} in {folder}; `tracker runs` lists them")

    def __call__(self) -> Iterable[RunPlace]:
        return (
            place
            for place in every_run(self._folder)
            if not self._names or any(_is_named(place, name) for name in self._names)
        )


def _is_named(place: RunPlace, name: str) -> bool:
    project, _, run = name.strip("/").rpartition("/")
    return place[1] == run and (not project or place[0] == project_dir_name(project.removeprefix("local/")))


# Sending


def _send(sender: Sender, show: _Show, watch: bool) -> None:
    moved_s, before = time.monotonic(), 0
    while True:
        wait_s = sender.step()
        show(sender)
        if sender.n_sent_bytes != before:
            moved_s, before = time.monotonic(), sender.n_sent_bytes
        if not watch and _is_over(sender, wait_s, time.monotonic() - moved_s):
            return
        time.sleep(wait_s)


def _is_over(sender: Sender, wait_s: float, idle_s: float) -> bool:
    if sender.status.state == "refused":
        return True
    if sender.status.state == "ok" and not sender.has_left and wait_s > 0:
        return True
    return idle_s > _PATIENCE_S


def _until_ctrl_c(is_watching: bool) -> AbstractContextManager[None]:
    return contextlib.suppress(KeyboardInterrupt) if is_watching else contextlib.nullcontext()


class _Show:
    """Shows how far the sending is, on a terminal."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._task = progress.add_task("Sending", total=None) if progress else None

    def __call__(self, sender: Sender) -> None:
        if self._progress is None or self._task is None:
            return
        left = sum(run.has_left for run in sender.followed.values())
        text = f"{len(sender.followed) - left} of {len(sender.followed)} runs"
        if sender.status.state != "ok":
            text = printable(sender.status.error)
        self._progress.update(
            self._task,
            description=text,
            completed=sender.n_sent_bytes,
            total=sender.n_sent_bytes + sender.left_bytes,
        )


@contextmanager
def _progress(is_json: bool) -> Iterator[_Show]:
    console = Console(stderr=True, highlight=False)
    if is_json or not console.is_terminal:
        yield _Show(None)
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        yield _Show(progress)


def _free(sender: Sender, settings: Settings, is_dry: bool) -> list[RunPlace]:
    if is_dry or settings.synced_keep_days <= 0 or sender.status.state != "ok":
        return []
    return free_old_runs(sender, settings.synced_keep_days)


# What is said in the end


def _report(args: argparse.Namespace, sender: Sender, freed: list[RunPlace]) -> None:
    runs = sorted(sender.followed.values(), key=lambda run: run.shown)
    if args.json:
        print_json(
            {
                "server": sender.status.address,
                "state": sender.status.state,
                "error": sender.status.error,
                "bytes_sent": sender.n_sent_bytes,
                "bytes_left": sender.left_bytes,
                "runs": [_described(sender, run) for run in runs],
                "freed": [f"{project}/{run}" for project, run in freed],
            }
        )
        return
    write = sys.stdout.write
    for run in runs:
        if run.trouble:
            write(f"{printable(run.shown)}: not sent: {printable(run.trouble)}\n")
        elif run.has_left:
            write(f"{printable(run.shown)}: {shown_bytes(run.left_bytes)} {'to send' if args.dry_run else 'left'}\n")
    if freed:
        write(f"{len(freed)} runs were removed here; they are at {sender.status.address}\n")
    write(_last_line(args, sender, runs))


def _last_line(args: argparse.Namespace, sender: Sender, runs: list[FollowedRun]) -> str:
    place = sender.status.address
    n_left = sum(run.has_left or bool(run.trouble) for run in runs)
    if args.dry_run:
        return f"{n_left} of {len(runs)} runs have something to send to {place}, {shown_bytes(sender.left_bytes)}\n"
    if sender.status.state != "ok":
        return f"{shown_bytes(sender.left_bytes)} left: {printable(sender.status.error)}. Again with: tracker sync\n"
    if n_left:
        return f"{len(runs) - n_left} of {len(runs)} runs are wholly at {place}; again with: tracker sync\n"
    return f"everything is at {place}: {len(runs)} runs, {shown_bytes(sender.n_sent_bytes)} sent now\n"


def _described(sender: Sender, run: FollowedRun) -> dict[str, object]:
    state = "not sent" if run.trouble else "left" if run.has_left else "sent"
    return {
        "run": run.shown,
        "state": state,
        "is_running": run.is_live(sender.now_s()),
        "bytes_left": run.left_bytes,
        "reason": run.trouble,
    }
