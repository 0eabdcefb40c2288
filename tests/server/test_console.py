"""The output of a run: every line once, as last written, however it lies in journals, memory and index."""

from __future__ import annotations

import sqlite3

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker_core.errors import NotFoundError
from tracker_core.records import Console, ConsoleLine
from tracker_server.ingest.console_chunks import MAX_CHUNK_LINES, ConsoleTail, decode_lines, decode_numbers, lines_of
from tracker_server.query.console_log import ConsoleLog, ConsolePiece, matching_lines, without_ansi
from tracker_server.query.folder import LocalFolder
from tracker_server.query.run_console import ConsoleMatches

from .conftest import T0_NS, Journal
from .test_folder import delete_index

LONG = "x" * 3000


def texts_of(folder, writer=None, run="a"):
    return [line.text for line in folder.console("p", run, writer).lines()]


def opened(path, **options):
    folder = LocalFolder(path, **options)
    folder.refresh()
    return folder


# -- lines and pieces


def piece_of(numbers):
    lines = lines_of(ConsoleLine(number, 1, 1, f"{number}") for number in numbers)
    first, last = int(lines.numbers[0]), int(lines.numbers[-1])
    gaps = None if last - first + 1 == len(lines) else lines.numbers
    return ConsolePiece(first, last, gaps, lambda: lines)


NUMBERS = st.one_of(
    st.lists(st.integers(0, 40), min_size=1, max_size=12),
    st.builds(lambda first, n: list(range(first, first + n)), st.integers(0, 40), st.integers(1, 15)),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(NUMBERS, max_size=8), st.integers(0, 45), st.integers(0, 45))
def test_each_line_is_found_in_the_latest_piece_that_holds_it(pieces, first, limit):
    log = ConsoleLog([piece_of(numbers) for numbers in pieces])
    owner = {number: index for index, numbers in enumerate(pieces) for number in numbers}
    ordered = sorted(owner)
    assert len(log) == len(ordered)
    found = [(n, span.piece) for span in log.spans(first, first + limit) for n in range(span.start, span.stop)]
    assert found == [(number, owner[number]) for number in ordered[first : first + limit]]
    for index, numbers in enumerate(pieces):
        distinct = sorted(set(numbers))
        places = log.places_of(index, np.array(distinct)).tolist()
        assert places == [ordered.index(n) if owner[n] == index else -1 for n in distinct]


def test_lines_survive_being_compressed_exactly():
    odd = ["", "\x1b[31mred\x1b[0m", "tab\t", "ünï\u2028code\r", "x" * 5000, "\x85"]
    lines = [ConsoleLine(3 * i, T0_NS + i, 1 + i % 2, text) for i, text in enumerate(odd)]
    tail = ConsoleTail()
    tail.add(7, lines)
    [chunk] = tail.seal(8)
    back = decode_lines(chunk)
    assert back.texts() == odd and back.streams == bytes([1, 2, 1, 2, 1, 2])
    assert back.numbers.tolist() == [0, 3, 6, 9, 12, 15] and back.wall_time_ns.tolist() == [T0_NS + i for i in range(6)]
    assert (chunk.first_sequence, chunk.last_sequence) == (7, 7)


def test_chunks_stay_small_and_lines_without_a_gap_cost_no_numbers():
    tail = ConsoleTail()
    tail.add(1, [ConsoleLine(i, 1, 1, "text") for i in range(3 * MAX_CHUNK_LINES)])
    chunks = tail.seal(2)
    assert [chunk.n_lines for chunk in chunks] == [MAX_CHUNK_LINES] * 3
    assert all(chunk.numbers == b"" for chunk in chunks)
    assert decode_numbers(5, 3, b"").tolist() == [5, 6, 7]


def test_what_waits_in_memory_is_compressed_once_it_is_much():
    tail = ConsoleTail()
    for i in range(5):
        tail.add(i, [ConsoleLine(i * 3000 + n, 1, 1, "text") for n in range(3000)])
        tail.pack(i)
    assert sum(chunk.n_lines for chunk in tail.chunks) >= 9000
    assert len(tail.open_lines()) <= 6000


def test_text_is_searched_in_any_case_and_without_its_colours():
    text = "Loss 1\n\x1b[31mlo\x1b[0mss 2\nnothing\n\nlast LOSS loss\n"
    assert matching_lines(text, "loSS") == [0, 1, 4]
    assert matching_lines(text, "1\x1b") == [] and matching_lines(text, "absent") == []
    assert without_ansi("\x1b]0;title\x07a\x1b[2Kb\x1b(c\x1b[1;38;5;1md") == "abd"


# -- a folder


def test_lines_come_back_in_order_with_times_streams_and_sessions(tracker_dir):
    journal = Journal(tracker_dir)
    journal.lines("one", "two", first=0)
    journal.lines("oops", first=2, stream=2)
    window = opened(tracker_dir).console("p", "a").window(0, 500)
    assert [(line.number, line.text, line.stream) for line in window.lines] == [
        (0, "one", 1),
        (1, "two", 1),
        (2, "oops", 2),
    ]
    assert window.n_lines == 3 and window.lines[2].session == journal.session.hex()
    assert window.lines[2].wall_time_ns == T0_NS + 2_000_000


def test_a_line_is_as_written_last_also_across_seals(tracker_dir):
    journal = Journal(tracker_dir)
    journal.lines("start", "  0%", first=0)
    folder = opened(tracker_dir, seal_bytes=1)
    for percent in range(10, 101, 10):
        journal.lines(f"{percent:3}% {LONG}" * 10, first=1)
        journal.row(percent, note=LONG * 25)
        folder.refresh()
    journal.lines("done", first=2)
    folder.refresh()
    for reader in (folder, opened(tracker_dir)):
        texts = texts_of(reader)
        assert len(texts) == 3 and texts[1].startswith("100%") and texts[2] == "done"
    journal.end()
    folder.refresh()
    folder.close()
    assert texts_of(opened(tracker_dir))[::2] == ["start", "done"]


def test_windows_reach_over_sessions_which_count_on(tracker_dir):
    for counter in (1, 2):
        journal = Journal(tracker_dir, counter=counter)
        journal.lines(*[f"{counter}.{i}" for i in range(5)], first=0)
        journal.end()
    console = opened(tracker_dir).console("p", "a")
    assert [line.text for line in console.window(3, 4).lines] == ["1.3", "1.4", "2.0", "2.1"]
    assert [line.number for line in console.window(3, 4).lines] == [3, 4, 5, 6]
    assert [line.text for line in console.last(2).lines] == ["2.3", "2.4"]
    assert console.n_lines() == 10
    assert console.window(10, 5).lines == [] and console.window(1 << 50, 5).first == 10
    assert console.search(".2", 1) == ConsoleMatches(2, [(2, "1.2")])


def test_only_the_latest_attempt_is_shown(tracker_dir):
    for attempt in (1, 2):
        Journal(tracker_dir, counter=attempt, attempt=attempt).lines(f"attempt {attempt}", first=0)
    assert texts_of(opened(tracker_dir)) == ["attempt 2"]


def test_what_tracker_run_recorded_is_shown_before_what_the_process_did(tracker_dir):
    Journal(tracker_dir).lines("own", first=0)
    assert texts_of(opened(tracker_dir)) == ["own"]
    Journal(tracker_dir, writer="launcher").lines("whole", first=0)
    folder = opened(tracker_dir)
    assert texts_of(folder) == ["whole"] and texts_of(folder, "main") == ["own"]
    details = folder.details("p", "a")
    assert (details.console_writer, details.console_writers) == ("launcher", ["launcher", "main"])
    with pytest.raises(NotFoundError, match="no writer 'rank7'; it has launcher, main"):
        folder.console("p", "a", "rank7")


def test_missing_numbers_leave_no_hole(tracker_dir):
    journal = Journal(tracker_dir)
    journal.lines("begin", first=0)
    journal.lines("end", first=1_000_000, n_left_out=999_999)
    folder = opened(tracker_dir)
    assert texts_of(folder) == ["begin", "end"]
    assert folder.run("p", "a").n_console_left_out == 999_999


def test_changes_of_output_are_told_as_such(tracker_dir):
    journal, folder = Journal(tracker_dir), LocalFolder(tracker_dir)
    folder.refresh()
    journal.lines("x", first=0)
    assert [change.kinds for change in folder.refresh()] == [("console",)]


@pytest.mark.parametrize("number", [-1, 1 << 53, (1 << 64) - 1, -(1 << 63)])
def test_a_line_number_that_cannot_be_is_damage_and_hurts_nothing_else(tracker_dir, number):
    journal = Journal(tracker_dir)
    journal.lines("before", first=0)
    journal.put(Console(wall_time_ns=-5, lines=[ConsoleLine(number, 1, 1, "bad")]))
    journal.put(Console(wall_time_ns=1, lines=[ConsoleLine(1, -(1 << 63), 1 << 40, "a\nb")], n_left_out=1 << 63))
    journal.row(0, note=LONG * 30)
    journal.row(1, note=LONG * 30)
    for is_sealed in (False, True):
        if is_sealed:
            journal.end()
        folder = opened(tracker_dir, seal_bytes=1)
        assert texts_of(folder) == ["before", "a b"]
        assert "cannot be understood" in folder.run("p", "a").damage[0].reason
        folder.close()


def test_numbers_far_apart_cost_no_memory(tracker_dir):
    journal = Journal(tracker_dir)
    for i in range(200):
        journal.lines(f"line {i}", first=i * (1 << 44))
    journal.end()
    folder = opened(tracker_dir)
    folder.close()
    again = opened(tracker_dir)
    assert texts_of(again) == [f"line {i}" for i in range(200)]
    assert again.console("p", "a").search("line 19", 100).n_matches == 11


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), NUMBERS),
        st.tuples(st.sampled_from(["refresh", "seal_elsewhere", "delete_index", "reopen", "fill", "read"]), st.none()),
    ),
    min_size=3,
    max_size=16,
)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_every_line_is_as_last_written_whatever_happens_to_the_index(tmp_path_factory, steps):
    tracker_dir = tmp_path_factory.mktemp("t") / ".tracker"
    journal, folder = Journal(tracker_dir), LocalFolder(tracker_dir, seal_bytes=1)
    model: dict[int, str] = {}
    for count, (action, numbers) in enumerate([*steps, ("read", None)]):
        if action == "write":
            lines = [ConsoleLine(number, 1, 1, f"{number} of {count} {i}") for i, number in enumerate(numbers)]
            journal.put(Console(wall_time_ns=1, lines=lines))
            model.update((line.number, line.text) for line in lines)
        elif action == "fill":
            journal.row(count, note=LONG * 25)
        elif action == "refresh":
            folder.refresh()
        elif action == "seal_elsewhere":
            other = opened(tracker_dir, seal_bytes=1)
            other.close()
        elif action == "delete_index":
            delete_index(tracker_dir)
        elif action == "reopen":
            folder.close()
            folder = LocalFolder(tracker_dir, seal_bytes=1)
        else:
            folder.refresh()
            expected = [model[number] for number in sorted(model)]
            assert texts_of(folder) == expected
            assert folder.console("p", "a").n_lines() == len(expected)
            matches = folder.console("p", "a").search(" of ", 3)
            assert matches.n_matches == len(expected)
            assert matches.matches == list(enumerate(expected))[:3]
    folder.close()


def test_an_index_that_goes_away_between_two_lines_costs_none(tracker_dir):
    journal = Journal(tracker_dir)
    expected = [f"line {i}" for i in range(12_000)]
    for start in range(0, 12_000, 1000):
        journal.lines(*expected[start : start + 1000], first=start)
    journal.end()
    opened(tracker_dir).close()
    folder = opened(tracker_dir)
    lines = folder.console("p", "a").lines()
    found = [next(lines).text]
    with sqlite3.connect(tracker_dir / "index.sqlite") as database:
        database.execute("DELETE FROM console_chunk")
        database.execute("UPDATE index_info SET value = 'other' WHERE name = 'build'")
    delete_index(tracker_dir)
    found.extend(line.text for line in lines)
    assert found == expected


def test_a_million_lines_are_cheap_to_page_through_and_to_search(tracker_dir):
    journal = Journal(tracker_dir)
    for start in range(0, 1_000_000, 500):
        journal.lines(*[f"step {i} loss 0.1" for i in range(start, start + 500)], first=start)
    journal.lines("last", first=1_000_000)
    folder = opened(tracker_dir)
    [tail] = folder._runs._tails.values()
    assert len(tail.console.open_lines()) < 20_000 and len(tail.console.chunks) < 10
    console = folder.console("p", "a")
    assert console.window(654_321, 500).lines[0].text == "step 654321 loss 0.1"
    assert console.search("step 777777 ", 10).matches == [(777_777, "step 777777 loss 0.1")]
    assert console.search("STEP", 10).n_matches == 1_000_000
