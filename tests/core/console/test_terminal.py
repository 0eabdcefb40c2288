"""The terminal model: what lines a stream of text shows."""

from __future__ import annotations

import io
import itertools
import random
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console as RichConsole
from rich.progress import Progress
from tqdm import tqdm

from tracker_core.console.terminal import MAX_LINE_BYTES, MAX_LINE_CHARS, Terminal, plain_text


def shown(*texts: str) -> list[str]:
    """Return the lines that these texts, written one after the other, show in the end."""
    terminal = Terminal(itertools.count().__next__)
    for text in texts:
        terminal.write(text)
    return [line.text for line in sorted(terminal.take_changed())]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        ("a", ["a"]),
        ("a\nb\n", ["a", "b"]),
        ("a\r\nb\r\n", ["a", "b"]),
        ("\n\na\n", ["", "", "a"]),
        ("10%\r20%\r100%\n", ["100%"]),
        ("100%\r20%\n", ["20%%"]),
        ("100%\r20%\x1b[K\n", ["20%"]),
        ("abc\x1b[2Kd\n", ["   d"]),
        ("abcd\x1b[2D\x1b[1Ke\n", ["  ed"]),
        ("abc\b\bX\n", ["aXc"]),
        ("\b\b\bX\n", ["X"]),
        ("a\tb\n", ["a       b"]),
        ("12345678\t9\n", ["12345678        9"]),
        ("a\x1b[5Cb\n", ["a     b"]),
        ("abcdef\x1b[3GX\n", ["abXdef"]),
        ("one\ntwo\x1b[A\rONE\n", ["ONE", "two"]),
        ("one\ntwo\nthree\x1b[2F!\x1b[2E!", ["!ne", "two", "!hree"]),
        ("one\x1b[5Btwo", ["onetwo"]),  # no further down than there are lines
        ("one\ntwo\nthree\x1b[2A\r\x1b[J", ["", "", ""]),
        ("\x1b[9Aone\n", ["one"]),
        ("a\0\x07\x0e\x7fb\x9b\x85\n", ["ab"]),
        ("a\x0bb\x0cc", ["a", "b", "c"]),
        ("\x1b]0;title\x07a\x1b]2;t\x1b\\b\n", ["ab"]),
        ("\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\\n", ["link"]),
        ("\x1bP1;2|sixel\x1b\\a\x1b_kitty\x1b\\b\x1b^pm\x1b\\c\n", ["abc"]),
        ("\x1b]0;never ended\nnext\n", ["", "next"]),
        ("\x1b[?25la\x1b[?25h\x1b7b\x1b8\x1b(Bc\x1b=\x1b>\x1b[10;20r\x1b[6n\n", ["abc"]),
        ("a  \n", ["a"]),
        ("a\ud800b\udfff\n", ["a\ufffdb\ufffd"]),
        ("a\u2028b\n", ["a b"]),
        ("\x1b", []),
        ("\x1b[", []),
        ("\x1b\x1b[1mx\n", ["\x1b[1mx\x1b[0m"]),
    ],
)
def test_a_text_shows_what_a_terminal_would_show(text: str, lines: list[str]) -> None:
    assert shown(text) == lines
    assert shown(*text) == lines


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("\x1b[31mred\x1b[0m plain", "\x1b[31mred\x1b[0m plain"),
        ("\x1b[31mred\x1b[m plain", "\x1b[31mred\x1b[0m plain"),
        ("\x1b[1m\x1b[31mboth\x1b[22monly red", "\x1b[1;31mboth\x1b[0;31monly red\x1b[0m"),
        ("\x1b[31m\x1b[32m\x1b[33mlast", "\x1b[33mlast\x1b[0m"),
        ("\x1b[38;5;208mx\x1b[39my", "\x1b[38;5;208mx\x1b[0my"),
        ("\x1b[38;2;1;2;3;48;5;4mx", "\x1b[38;2;1;2;3;48;5;4mx\x1b[0m"),
        ("\x1b[38:2::1:2:3mx", "\x1b[38;2;1;2;3mx\x1b[0m"),
        ("\x1b[38;5;999mx\x1b[38;9mx\x1b[99999mx\x1b[>4;2mx\x1b[?1mx", None),
        ("\x1b[4:3mwavy\x1b[4:0m", "\x1b[4:3mwavy\x1b[0m"),
        ("\x1b[1;3;4;7;9ma\x1b[22;23;24;27;29mb", "\x1b[1;3;4;7;9ma\x1b[0mb"),
        ("\x1b[41m  \x1b[0m   ", "\x1b[41m  \x1b[0m"),
        ("\x1b[31mab\r\x1b[0mc", "c\x1b[31mb\x1b[0m"),
    ],
)
def test_colours_are_kept_in_their_shortest_form(text: str, line: str | None) -> None:
    assert shown(text) == [line or plain_text(shown(text)[0])]


def test_a_colour_that_is_on_goes_on_in_the_next_line() -> None:
    assert shown("\x1b[31ma\nb\x1b[0m\nc\n") == ["\x1b[31ma\x1b[0m", "\x1b[31mb\x1b[0m", "c"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("学習\rX", "X 習"),
        ("学習\b\bX", "学X"),
        ("学習\b\b\bX", " X習"),
        ("ab学習\x1b[4D\x1b[K", "ab"),
        ("学習\x1b[1D\x1b[K", "学"),
        ("e\u0301x\b\bE", "Ex"),
        ("e\u0301", "e\u0301"),
        ("a\xad\rb", "b\xad"),
        ("👩\u200d👩\u200d👧!", "👩\u200d👩\u200d👧!"),
        ("█▌ 45%|\r██", "██ 45%|"),
    ],
)
def test_wide_and_combining_characters_take_their_columns(text: str, line: str) -> None:
    assert shown(text) == [line]


def test_accents_written_apart_from_their_letter_belong_to_it() -> None:
    assert shown("e", "\u0301", "x") == ["e\u0301x"]
    assert shown("学", "\u0301x") == ["学\u0301x"]
    assert shown("\u0301x") == ["x"]
    assert shown("\t", "\u0301", "\u0301x") == ["        x"]


def test_only_changed_lines_come_out_with_the_stamp_of_their_last_change() -> None:
    terminal = Terminal(itertools.count().__next__)
    terminal.write("a\nb", 1)
    assert terminal.take_changed() == [(0, 1, "a"), (1, 1, "b")]
    assert terminal.take_changed() == []
    terminal.write("c", 2)
    assert terminal.take_changed() == [(1, 2, "bc")]
    terminal.write("\n", 3)
    assert terminal.take_changed() == []
    terminal.write("\r\x1b[K", 4)
    assert terminal.take_changed() == []


def test_terminals_that_share_numbers_keep_the_order_of_appearance() -> None:
    new_number = itertools.count().__next__
    out, err = Terminal(new_number), Terminal(new_number)
    out.write("out be")
    err.write("err\n")
    out.write("gins\nout 2\n")
    assert out.take_changed() == [(0, 0, "out begins"), (2, 0, "out 2")]
    assert err.take_changed() == [(1, 0, "err")]


def test_the_cursor_reaches_the_last_64_lines() -> None:
    lines = shown("".join(f"{i}\n" for i in range(100)) + "\x1b[500A\rtop")
    assert lines[37] == "top"
    assert lines[:37] == [str(i) for i in range(37)]


def test_a_long_line_is_cut_and_says_by_how_much() -> None:
    text = "x" * (MAX_LINE_CHARS + 1234)
    assert shown(text) == ["x" * MAX_LINE_CHARS + " … 1,234 more characters left out"]
    assert shown(text + "\rshort\x1b[K\n") == ["short"]
    assert shown("x" * MAX_LINE_CHARS) == ["x" * MAX_LINE_CHARS]


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"\x1b[38;2;{i % 256};1;2mx" for i in range(MAX_LINE_CHARS)),
        "a" + "\u0301" * 100_000,
        ("a" + "\u0301" * 15) * MAX_LINE_CHARS,
        "\U0001f600" * MAX_LINE_CHARS,
        "\x1b[99999999C\x1b[99999GX" * 100,
        "\t" * 1_000_000 + "x",
    ],
    ids=["colours", "accents", "many accents", "wide", "far moves", "tabs"],
)
def test_no_line_takes_more_bytes_than_a_record_holds(text: str) -> None:
    (line,) = shown(text)
    assert len(line.encode()) <= MAX_LINE_BYTES + 50


@pytest.mark.parametrize(
    "pattern",
    ["\x1b", "\x1b[", "\x1b[1;", "\x1b]", "\x1b]0;x", "\x1bP\x1b", "x", "\r", "\rx", "\b", "\t", "\0", "\n",
     "\x1b[Ax\n", "\x1b[mx", "\ud800", "e\u0301", "学\b", "\x1b[9999Cx\r", "\x1b[2K", "\x1b[J", "\x1b7"],
)  # fmt: skip
def test_hostile_text_takes_linear_time_and_bounded_memory(pattern: str) -> None:
    n = 200_000 // len(pattern)
    terminal = Terminal(itertools.count().__next__)
    began_s = time.thread_time()
    for _ in range(4):
        terminal.write(pattern * (n // 4))
        terminal.take_changed()
    assert time.thread_time() - began_s < 10  # takes 0.4 s at most; quadratic time would take minutes
    assert len(terminal._unfinished) < 300
    assert sum(len(line.cells) for line in terminal._lines) <= 64 * MAX_LINE_CHARS


MOVES = [f"\x1b[{what}" for what in ("A", "B", "K", "1K", "2K", "J", "3C", "2D", "4G", "31m", "0m", "1;4")]
WRITTEN = st.lists(st.one_of(st.text(max_size=5), st.sampled_from([*"\n\r\b\t\x07学", "e\u0301", "\x1b]0;", *MOVES])))


@settings(max_examples=300, deadline=None)
@given(WRITTEN, st.randoms(use_true_random=False))
def test_what_is_shown_does_not_depend_on_how_writes_are_cut(parts: list[str], rng: random.Random) -> None:
    text = "".join(parts)
    cuts = sorted(rng.randrange(len(text) + 1) for _ in range(5))
    pieces = [text[a:b] for a, b in itertools.pairwise([0, *cuts, len(text)])]
    lines = shown(*pieces)
    assert lines == shown(text)
    for line in lines:
        assert not re.search("[\x00-\x1a\x1c-\x1f\x7f-\x9f\ud800-\udfff]", line)
        assert "\x1b" not in plain_text(line)
        line.encode()


def test_tqdm_bars_collapse_to_their_last_state() -> None:
    file = io.StringIO()
    for _ in tqdm(range(3), desc="outer", file=file, mininterval=0, ascii=False):
        for _ in tqdm(range(50), desc="inner", file=file, mininterval=0, ascii=False, leave=False):
            pass
    lines = [line for line in shown(file.getvalue()) if line]
    assert len(lines) == 1
    assert lines[0].startswith("outer: 100%|██████████| 3/3 [")


def test_tqdm_bars_side_by_side_keep_a_line_each() -> None:
    file = io.StringIO()
    bars = [tqdm(total=10, desc=f"bar {i}", position=i, file=file, mininterval=0, ascii=False) for i in range(4)]
    for _ in range(10):
        for bar in bars:
            bar.update()
    for bar in bars:
        bar.close()
    lines = [line for line in shown(file.getvalue()) if line]
    assert [line[:11] for line in lines] == [f"bar {i}: 100%" for i in range(4)]


def test_rich_progress_collapses_to_one_line_a_task() -> None:
    file = io.StringIO()
    console = RichConsole(file=file, force_terminal=True, width=100, color_system="truecolor", _environ={})
    with Progress(console=console, auto_refresh=False) as progress:
        tasks = [progress.add_task(name, total=10) for name in ("one", "two", "three")]
        for _ in range(10):
            for task in tasks:
                progress.update(task, advance=1)
            progress.refresh()
        console.print("in between")
    lines = [plain_text(line) for line in shown(file.getvalue())]
    assert lines[0] == "in between"
    assert [line.split()[0] for line in lines[1:4]] == ["one", "two", "three"]
    assert all("100%" in line for line in lines[1:4])
    assert "\x1b[" in shown(file.getvalue())[1]


def test_keras_style_bars_of_backspaces_collapse() -> None:
    bar = "".join("\b" * (20 if i else 0) + f"{i:>3}/100 [====>....]" for i in range(101))
    assert shown(bar + "\n") == ["100/100 [====>....]"]
