"""Which journals of a run are shown, and how the run stands: running, or how it ended. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracker_core.records import CLOSING_STATES, State

if TYPE_CHECKING:  # the catalog alone, which artifacts need, does without NumPy
    from ..ingest.fold import DamageNote, JournalFold

PRIMARY_WRITER = "main"
# What `tracker run` writes as: it sees how the command ends, whatever happens to it.
LAUNCHER_WRITER = "launcher"
FINAL_STATES = CLOSING_STATES


@dataclass(frozen=True, slots=True)
class JournalStatus:
    """One journal of a run as `view_run` needs it. `modified_ns`, the file's mtime, stands in where no record says."""

    name: str
    writer: str
    session: str
    fold: JournalFold
    damage: list[DamageNote]
    is_alive: Callable[[], bool]
    modified_ns: int = 0


def in_session_order(journals: Sequence[JournalStatus]) -> list[JournalStatus]:
    """Return journals by (counter, start): one whose first record is lost comes first."""

    def place(journal: JournalStatus) -> tuple[int, int, str]:
        session = journal.fold.session
        return (session.counter, session.wall_time_ns, journal.name) if session else (-1, 0, journal.name)

    return sorted(journals, key=place)


def attempt_of(journals: Sequence[JournalStatus]) -> int:
    """Return the attempt that is shown: the highest."""
    return max((journal.fold.session.attempt for journal in journals if journal.fold.session), default=1)


def shown_journals(journals: Sequence[JournalStatus], attempt: int | None = None) -> list[JournalStatus]:
    """Return the journals of one attempt, all writers, in session order. None means the highest attempt.

    A journal whose first record is lost belongs to the attempt that is shown: what it holds is not hidden.
    """
    highest = attempt_of(journals)
    wanted = highest if attempt is None else attempt
    return [
        journal
        for journal in in_session_order(journals)
        if (journal.fold.session.attempt if journal.fold.session else highest) == wanted
    ]


def writer_journals(shown: Sequence[JournalStatus], writer: str = PRIMARY_WRITER) -> list[JournalStatus]:
    """Return those of one writer; "*" is all.

    A run without a primary writer shows as such what `tracker run` recorded, or else its first writer.
    """
    if writer == "*":
        return list(shown)
    found = [journal for journal in shown if journal.writer == writer]
    if not found and writer == PRIMARY_WRITER and shown:
        has_launcher = any(journal.writer == LAUNCHER_WRITER for journal in shown)
        writer = LAUNCHER_WRITER if has_launcher else shown[0].writer
        return [journal for journal in shown if journal.writer == writer]
    return found


def split_writer(writer: str | None) -> tuple[str | None, int | None]:
    """Return name and attempt of a writer as users ask for it: "rank1", or "rank1@2" and "@2" of the second attempt."""
    name, separator, attempt = (writer or "").rpartition("@")
    if not separator or not attempt.isdecimal() or len(attempt) > 9:
        return writer, None
    return name or None, int(attempt)


def journals_of(journals: Sequence[JournalStatus], writer: str | None) -> list[JournalStatus]:
    """Return the journals of a writer as users ask for it, None for the primary one; see `split_writer`."""
    name, attempt = split_writer(writer)
    return writer_journals(shown_journals(journals, attempt), name or PRIMARY_WRITER)


def recording_journals_of(
    journals: Sequence[JournalStatus], writer: str | None, has_records: Callable[[JournalFold], bool]
) -> list[JournalStatus]:
    """Return the journals whose output or system metrics are shown; `writer` as users ask for it."""
    name, attempt = split_writer(writer)
    return recording_journals(shown_journals(journals, attempt), name, has_records)


def recording_journals(
    shown: Sequence[JournalStatus], writer: str | None, has_records: Callable[[JournalFold], bool]
) -> list[JournalStatus]:
    """Return the journals whose output or system metrics are shown: what `tracker run` recorded, else the primary's."""
    if writer is not None:
        return writer_journals(shown, writer)
    launched = [journal for journal in shown if journal.writer == LAUNCHER_WRITER]
    return launched if any(has_records(journal.fold) for journal in launched) else writer_journals(shown)


@dataclass(frozen=True, slots=True)
class Ending:
    """How the run stands. `final` is what the deciding process said of its end, if it did."""

    state: str
    final: State | None
    decider: JournalStatus


def run_state(shown: Sequence[JournalStatus]) -> str:
    """Return running, finished, failed, killed, preempted or crashed, for the journals of one attempt."""
    return ending_of_run(shown).state


def ending_of_run(shown: Sequence[JournalStatus]) -> Ending:
    """Return how a run stands. Where `tracker run` began it that decides, unless that died without a word.

    Of the ranks of a distributed job it is the primary writer that decides; how each fares `ending_of` says.
    """
    newest = writer_journals(shown)[-1]
    launched = [journal for journal in shown if journal.writer == LAUNCHER_WRITER]
    if not launched:
        return ending_of(newest)
    launcher, own = ending_of(launched[-1]), ending_of(newest)
    if launcher.final is None:
        return launcher if launcher.state == "running" else own
    if _began_after(newest, launcher.final):
        return own  # a later session without `tracker run`
    if launcher.state in ("failed", "killed") and was_preempting(newest):
        return Ending("preempted", launcher.final, launcher.decider)
    return launcher


def ending_of(journal: JournalStatus) -> Ending:
    """Return how one process stands, or ended. What was inherited is no process: its end is none of the run."""
    state = None if is_inherited(journal) else journal.fold.state
    if state is not None and state.state in FINAL_STATES:
        return Ending(state.state, state, journal)
    if journal.is_alive():
        return Ending("running", None, journal)
    return Ending("preempted" if was_preempting(journal) else "crashed", None, journal)


def is_inherited(journal: JournalStatus) -> bool:
    """Say whether a journal is what the run took over from another when it began."""
    return journal.fold.session is not None and journal.fold.session.inherited


def was_preempting(journal: JournalStatus) -> bool:
    """Say whether a process expected to be stopped by its scheduler."""
    return journal.fold.state is not None and journal.fold.state.state in ("preempting", "preempted")


def _began_after(journal: JournalStatus, final: State) -> bool:
    session = journal.fold.session
    return session is not None and session.wall_time_ns > final.wall_time_ns
