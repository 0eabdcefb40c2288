"""The text of a filter: what parses to what, and errors that say where the text is wrong."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker_server.runs.filter_syntax import SearchError, parse_filter, parse_path
from tracker_server.runs.filter_tree import EVERY_RUN, Field, Key, format_filter, format_path

from .filter_cases import PATHS, TREES


@given(tree=TREES)
def test_a_tree_printed_parses_back_to_the_same_tree(tree):
    text = format_filter(tree)
    again = parse_filter(text)
    assert again == tree and repr(again) == repr(tree) and format_filter(again) == text


@given(path=PATHS)
def test_a_path_printed_parses_back_to_the_same_path(path):
    assert parse_path(format_path(path)) == path


@given(text=st.text(max_size=60))
def test_any_text_is_a_filter_or_an_error_with_a_place_in_it(text):
    check(text)


PIECES = (
    "config.lr summary summary.x.min name tags state and or not in is None True nan exists ( ) [ ] == != < <= ~ !~ , ."
    ' - 1e-3 .5 "a" \'b\' r"\\d" "a(" created "2 days ago" / = & \\ "'
).split(" ")


@given(pieces=st.lists(st.sampled_from(PIECES), max_size=15))
def test_any_pieces_in_any_order_are_a_filter_or_an_error_with_a_place(pieces):
    check(" ".join(pieces))


def check(text):
    try:
        tree = parse_filter(text)
    except SearchError as error:
        assert error.where.startswith("filter") and error.got and error.expected and error.remedy
        assert error.position is not None and 0 <= error.position <= len(text)
    else:
        assert parse_filter(format_filter(tree)) == tree


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("1e-4 < config.lr <= 1e-2", "config.lr > 0.0001 and config.lr <= 0.01"),
        ("'x' == config.a == config.b", 'config.a == "x" and config.a == config.b'),
        ("a_b", None),
        ("config['a.b'] == 1", "config.a.b == 1"),
        ("config.a['b c'] == 1", 'config["a.b c"] == 1'),
        ("summary.loss.min<1", "summary.loss.min < 1"),
        ("summary['loss.min']<1", 'summary["loss.min"] < 1'),
        ("summary['val/loss'].mean<1", 'summary["val/loss"].mean < 1'),
        ("config.loss.min<1", "config.loss.min < 1"),
        ("((name==1))", "name == 1"),
        ("name==1 or name==2 and not (name==3 or name==4)", "name == 1 or name == 2 and not (name == 3 or name == 4)"),
        ("(name==1 and name==2) and name==3", "name == 1 and name == 2 and name == 3"),
        ("exit_code == None and exit_code is not None", "exit_code is None and exit_code is not None"),
        ("name in [1, -2., +3, nan, -inf, True, None,]", "name in [1, -2.0, 3, nan, -inf, True, None]"),
        ("config.n == 10_000", "config.n == 10000"),
        (r'name ~ "a\d\"\n\b"', r'name ~ "a\\d\"\n\\b"'),
        (r"name ~ r'a\n'", r'name ~ "a\\n"'),
        ("not not config.x exists", "not not config.x exists"),
        ("config.größe == 1", "config.größe == 1"),
        ("config.and == 1", "config.and == 1"),
        ('created > "2 days ago"', 'created > "2 days ago"'),
    ],
)
def test_what_is_written_means(text, canonical):
    if canonical is None:
        with pytest.raises(SearchError):
            parse_filter(text)
    else:
        assert format_filter(parse_filter(text)) == canonical


def test_an_empty_filter_takes_every_run():
    assert parse_filter("") == parse_filter("  \n") == EVERY_RUN


@pytest.mark.parametrize(
    ("text", "position", "expected", "remedy"),
    [
        ("name", 4, "operator", "comparison, such as"),
        ("name ==", 7, "a field, key or value", ""),
        ("name = 3", 5, "operator", "write =="),
        ("name == 1 && name == 2", 10, "operator", "write and"),
        ("name == 1 and", 13, "a field, key or value", ""),
        ("(name == 1", 10, ")", "close the parenthesis"),
        ("name == 1)", 9, "and, or, or the end", ""),
        ("nmae == 1", 0, "config.NAME", "did you mean name?"),
        ("lr < 1", 0, "config.NAME", "did you mean config.lr?"),
        ("state == true", 9, "config.NAME", "did you mean True?"),
        ("config == 1", 7, "a key of the config", "config.name"),
        ("config. == 1", 8, "a name", 'config["a name"]'),
        ("config[1] == 1", 7, "a name in quotes", ""),
        ("summary.val/loss < 1", 11, "operator", 'summary["val/loss"]'),
        ("config.lr-decay < 1", 9, "operator", 'config["a-b"]'),
        ("config['a == 1", 7, "the end of the text", "'"),
        ("1 < 2", 0, "a field or key", ""),
        ("name ~ 3", 7, "a pattern in quotes", ""),
        ("name ~ 'a(b'", 7, "regular expression", "correct the pattern"),
        ("name ~ '(?=a)'", 7, "look-around", ""),
        (r"name ~ '(a)\1'", 7, "back-references", ""),
        ("name in 'abc'", 8, "in tags", ""),
        ("name < [1]", 7, "a number or text", "=="),
        ("name in [1 2]", 11, ", or ]", ""),
        ("name is 3", 8, "None", "=="),
        ("name not 3", 9, "in", ""),
        ("created > 'yesterweek'", 10, "a time", "2026-01-31"),
        ("'a' exists", 0, "a field or key", ""),
        ("name == -'a'", 9, "a number", ""),
        ("name == " + "9" * 5000, 8, "400 digits", ""),
        ("name == 'a\0'", 10, "readable text", "take it out"),
        ("name == '\ud800'", 9, "readable text", "take it out"),
        ("name == 1; DROP TABLE runs; --", 9, "operator", ""),
        ("__import__('os').system('id') == 1", 0, "config.NAME", ""),
    ],
)
def test_an_error_says_where_it_is_and_what_to_write(text, position, expected, remedy):
    with pytest.raises(SearchError) as caught:
        parse_filter(text)
    error = caught.value
    assert error.position == position, error
    assert error.where == f"filter, character {position + 1}"
    assert expected in error.expected and remedy in error.remedy, error


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("name == '" + "x" * 10_000 + "'", "10010 characters"),
        (" or ".join(["id == 1"] * 501), "more than 500 comparisons"),
        ("(" * 5000 + "name", "more than 50 parentheses"),
        ("not " * 51 + "id == 1", "more than 50 parentheses"),
        (" or ".join(["name ~ 'a'"] * 51), "more than 50 patterns"),
        ("id" + "<id" * 501, "more than 500 comparisons"),
    ],
)
def test_beyond_a_bound_the_error_names_it(text, got):
    with pytest.raises(SearchError, match="at most"):
        parse_filter(text)
    with pytest.raises(SearchError, match=got):
        parse_filter(text)


def test_up_to_the_bounds_a_filter_is_taken():
    parse_filter(" or ".join(["id == 1"] * 500))
    parse_filter("(" * 50 + "id == 1" + ")" * 50)
    parse_filter("not " * 50 + "id == 1")
    assert len(parse_filter("id in [" + "1," * 4990 + "]").container.value) == 4990


def test_the_longest_texts_are_refused_or_taken_at_once():
    for piece in ("(", "[", "not ", "'", '\\"', "config.", "1,", "~", "a" * 100, "9", "1e", "<id", "\\", " "):
        began = time.perf_counter()
        check((piece * 10_000)[:10_000])
        assert time.perf_counter() - began < 2.0, piece


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("name", Field("name")),
        ("summary['val/loss'].min", Key("summary", "val/loss", "min")),
        ("config.a.b", Key("config", "a.b")),
    ],
)
def test_a_path_alone(text, path):
    assert parse_path(text) == path


@pytest.mark.parametrize("text", ["", "1", "'name'", "name name", "name == 1", "nope", "config", "[1]"])
def test_what_is_no_path_is_refused(text):
    with pytest.raises(SearchError) as caught:
        parse_path(text)
    assert caught.value.where.startswith("sort, character ")
