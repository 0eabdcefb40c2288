"""Send the files kept with runs: only those that the server lacks, from where it has them, a part at a time."""

from __future__ import annotations

import time
from collections.abc import Iterable
from urllib.parse import quote

from .acked import Acked
from .followed_run import FollowedRun
from .sync_folder import RunPlace
from .transport import KeyRefusedError, RefusedRequestError, TooLargeError, Transport
from .wire import MAX_FILE_PART_BYTES, MAX_NAMES, FilesReply, FilesRequest, Hello

_MOST_PART_BYTES = min(4 << 20, MAX_FILE_PART_BYTES)
_LEAST_PART_BYTES = 64 << 10
_MOST_FAILURES = 3
_ROUND_S = 0.5


class FilePosts:
    """Sends files. Not thread-safe.

    Args:
        transport: talks to the server.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._part_bytes = _MOST_PART_BYTES
        self._offsets: dict[str, int] = {}
        self._failures: dict[str, int] = {}
        self._turns: dict[RunPlace, int] = {}
        self._turn = 0

    def send(self, runs: Iterable[FollowedRun], acked: Acked) -> tuple[int, bool]:
        """Send a part of a file of each run in turn, for a moment; return how many bytes, and whether there is more.

        Raises:
            SyncError: none of it can be sent now.
        """
        waiting = [run for run in runs if run.left_files and self._is_there(run)]
        n_bytes, until_s = 0, time.monotonic() + _ROUND_S
        for run in sorted(waiting, key=lambda run: self._turns.get(run.place, 0)):
            self._turns[run.place] = self._turn = self._turn + 1
            try:
                self._ask(run, acked)
                n_bytes += self._send_part(run, acked)
            except KeyRefusedError as error:
                self._transport.call("hello", {}, Hello)  # is it the key, or this run's project?
                run.parked_files.update(dict.fromkeys(run.left_files, f"refused: {error}"))
            except RefusedRequestError as error:
                run.parked_files.update(dict.fromkeys(run.left_files, f"refused: {error}"))
            if time.monotonic() > until_s:
                break  # the rows of all runs come first
        return n_bytes, any(run.left_files for run in waiting)

    def ask(self, runs: Iterable[FollowedRun], acked: Acked) -> None:
        """Ask which files of runs that the server knows are missing.

        Raises:
            SyncError: it does not answer as it should.
        """
        for run in runs:
            if run.left_files and self._is_there(run):
                self._ask(run, acked)

    @staticmethod
    def _is_there(run: FollowedRun) -> bool:
        """Say whether the server knows the run: files follow the first blocks."""
        return any(journal.acked > 0 and not journal.parked for journal in run.journals.values())

    def _ask(self, run: FollowedRun, acked: Acked) -> None:
        """Ask which of a run's files are missing."""
        unknown = sorted(run.left_files.keys() - run.asked_files)[:MAX_NAMES]
        if not unknown or run.project is None:
            return
        reply = self._transport.call("missing", FilesRequest(run.project, run.place[1], unknown), FilesReply)
        missing = {state.digest: state.offset for state in reply.missing}
        run.asked_files.update(unknown)
        for digest in unknown:
            if digest in missing:
                self._offsets[digest] = max(0, missing[digest])
            else:
                self._note_whole(run, digest, acked)

    def _send_part(self, run: FollowedRun, acked: Acked) -> int:
        digest = min((d for d in run.left_files if d in run.asked_files), key=lambda d: run.files[d], default=None)
        if digest is None or run.project is None:
            return 0
        offset = self._offsets.get(digest, 0)
        size = run.files[digest]
        try:
            with open(run.file_path(digest), "rb") as file:
                file.seek(offset)
                data = file.read(self._part_bytes)
        except OSError:
            run.files.pop(digest, None)  # replaced by a later version: no record names it any more
            return 0
        path = "/".join(quote(name, safe="") for name in (run.project, run.place[1], digest))
        try:
            ack = self._transport.put_file(f"{path}?offset={offset}&size={size}", data)
        except (TooLargeError, RefusedRequestError) as error:
            self._take_refusal(run, digest, error)
            return 0
        if ack.is_whole:
            self._note_whole(run, digest, acked)
            return len(data)
        if ack.offset <= offset or ack.offset > size:
            self._count_failure(run, digest, "the server does not take it")
        self._offsets[digest] = min(max(0, ack.offset), size)
        return max(0, ack.offset - offset)

    def _take_refusal(self, run: FollowedRun, digest: str, error: Exception) -> None:
        if isinstance(error, TooLargeError) and self._part_bytes > _LEAST_PART_BYTES:
            self._part_bytes = max(_LEAST_PART_BYTES, self._part_bytes // 2)
            self._count_failure(run, digest, str(error), most=8)
        else:
            run.parked_files[digest] = f"refused: {error}"

    def _count_failure(self, run: FollowedRun, digest: str, reason: str, most: int = _MOST_FAILURES) -> None:
        self._failures[digest] = self._failures.get(digest, 0) + 1
        if self._failures[digest] >= most:
            run.parked_files[digest] = f"refused: file {digest[:12]}: {reason}"

    def _note_whole(self, run: FollowedRun, digest: str, acked: Acked) -> None:
        run.acked_files.add(digest)
        acked.add_file(run.place, digest)
        self._offsets.pop(digest, None)
        self._failures.pop(digest, None)
