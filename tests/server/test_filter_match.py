"""Which runs a filter takes."""

from __future__ import annotations

import datetime
import math
import shlex
import time

import pytest
from hypothesis import given, settings

from tracker_server.runs.filter_match import compile_filter
from tracker_server.runs.filter_syntax import parse_filter
from tracker_server.runs.filter_tree import And, Compare, Exists, Field, In, Literal, Match, Not, Or
from tracker_server.runs.filter_values import searcher, seconds_of
from tracker_server.runs.run_view import flat

from .filter_cases import MAPPINGS, T0_NS, TREES, VIEWS, metric, view

RUNS = {
    "a": view(
        "a",
        (metric("val/loss", 3.0, 1.0, 2.0), metric("loss", math.nan, math.nan)),
        name="resnet50",
        state="finished",
        tags=["baseline", "big"],
        config={"lr": 1e-3, "opt": "adam", "model": {"depth": 50, "b.c": 1}, "sizes": [1, 2], "amp": True, "no": None},
        summary={"val/loss": 2.0, "loss": math.nan, "note": "ok"},
        created_ns=T0_NS,
        ended_ns=T0_NS + 60 * 10**9,
        exit_code=0,
        n_rows=3,
    ),
    "b": view(
        "b",
        (metric("val/loss", 0.5),),
        name="vit",
        state="failed",
        config={"lr": 1e-2, "opt": 3, "model": "flat", "none": 0},
        summary={"val/loss": {"min": 0.5}, "loss": math.inf},
        created_ns=T0_NS + 86_400 * 10**9,
        exit_code=1,
        signal="SIGTERM",
    ),
    "c": view("c", notes="nothing logged", group="g"),
}
ENVIRONMENTS = {
    "a": {"user": "ann", "command": ["python", "a b.py"], "git": {"commit": "abc"}, "packages": {"torch": "2.13.0"}},
    "b": {"user": "bob"},
    "c": {},
}


def found(text, runs=RUNS, now_s=None):
    matches = compile_filter(parse_filter(text), lambda run: ENVIRONMENTS[run.id], now_s)
    return "".join(name for name, run in runs.items() if matches(run))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "abc"),
        ("config.lr < 5e-3", "a"),
        ("config.lr > 5e-3", "b"),
        ("1e-4 < config.lr <= 1e-3", "a"),
        ("5e-3 > config.lr", "a"),
        ('config.lr < 5e-3 and "baseline" in tags and state == "finished" and name ~ "resnet.*"', "a"),
        # a key that is not there compares as false, and only `not` makes that true
        ("config.lr == 1e-3", "a"),
        ("config.lr != 1e-3", "b"),
        ("not config.lr == 1e-3", "bc"),
        ("config.lr exists", "ab"),
        ("not config.lr exists", "c"),
        # types never raise: text is neither more nor less than a number
        ("config.opt < 5", "b"),
        ("config.opt < 'b'", "a"),
        ("config.opt != 'adam'", "b"),
        ("config.sizes < 5", ""),
        # None is a value of its own
        ("config.no is None", "a"),
        ("config.no exists", "a"),
        ("config.no != 3", "a"),
        ("config.opt is not None", "ab"),
        ("exit_code is None", "c"),
        ("exit_code == 0", "a"),
        ("exit_code", None),
        # nested, dotted
        ("config.model.depth == 50", "a"),
        ("config['model.depth'] == 50", "a"),
        ("config.model['b.c'] == 1", "a"),
        ("config.model exists", "ab"),
        ("config.model == 'flat'", "b"),
        ("config.model != 'flat'", ""),
        # lists
        ("tags == 'big'", "a"),
        ("tags != 'big'", "bc"),
        ("'big' not in tags", "bc"),
        ("tags == ['baseline', 'big']", "a"),
        ("tags == []", "bc"),
        ("tags ~ '^base'", "a"),
        ("tags !~ '^base'", "bc"),
        ("config.sizes == 2", "a"),
        ("2 in config.sizes", "a"),
        ("config.sizes == [1, 2]", "a"),
        ("3 not in config.sizes", "a"),
        ("config.opt in ['adam', 'sgd']", "a"),
        ("config.opt not in ['adam', 'sgd']", "b"),
        ("config.opt in [3]", "b"),
        ("config.sizes in [2, 9]", "a"),
        ("config.sizes not in [2, 9]", ""),
        ("config.amp in [1]", "a"),
        ("config.no in [None]", "a"),
        ("config.model in ['flat']", "b"),
        ("summary.loss in [nan]", "a"),
        ("state in []", ""),
        ("'res' in name", "a"),
        ("3 in name", ""),
        ("config.opt in name", ""),
        # truth is 1, as in Python
        ("config.amp == True", "a"),
        ("config.amp == 1", "a"),
        ("config.none == False", "b"),
        # NaN equals NaN, and is neither more nor less than anything
        ("summary.loss == nan", "a"),
        ("summary.loss != nan", "b"),
        ("summary.loss < 1 or summary.loss >= 1", "b"),
        ("summary.loss == inf", "b"),
        # aggregates of the metric's points
        ("summary['val/loss'] == 2", "a"),
        ("summary['val/loss'].last < 2.5", "ab"),
        ("summary['val/loss'].min <= 0.5", "b"),
        ("summary['val/loss'].max == 3", "a"),
        ("summary['val/loss'].mean == 2", "a"),
        ("summary['val/loss'].first == 3.0", "a"),
        ("summary.loss.min == nan", "a"),
        ("summary.note.min exists", ""),
        ("summary['val/loss'].min < summary['val/loss'].last", "a"),
        # fields
        ("id == 'c' or group == 'g'", "c"),
        ("name !~ 'resnet|vit'", "c"),
        ("name ~ '(?i)RESNET'", "a"),
        ("config.opt ~ '3'", ""),
        ("config.opt !~ '3'", "a"),
        ("duration >= 60", "a"),
        ("n_rows > 0 and attempt == 1 and project == 'p' and entity == 'local'", "a"),
        ("signal == 'SIGTERM'", "b"),
        ("ended is None", "bc"),
        ("user == 'ann'", "a"),
        ("command ~ 'a b.py'", "a"),
        ("environment.git.commit == 'abc'", "a"),
        ("environment.packages.torch ~ '^2'", "a"),
        ("user == ''", "c"),
        # times
        ("created == created", "abc"),
        ("created > '2023-11-15T12:00+00:00'", "b"),
        ("'2023-11-14' < created < '2023-11-15T12:00:00Z'", "ac"),
        ("created < 1700000001", "ac"),
        ("created != 'a'", None),
    ],
)
def test_a_filter_takes(text, expected):
    if expected is None:
        with pytest.raises(ValueError, match="expected"):
            parse_filter(text)
    else:
        assert found(text) == expected


def test_times_may_count_back_from_now():
    now_s = T0_NS / 1e9 + 3 * 86_400
    assert found("created > '50 hours ago'", now_s=now_s) == "b"
    assert found("created > '1 week ago'", now_s=now_s) == "abc"
    assert found("created > '1 second ago'", now_s=now_s) == ""


def test_what_is_a_time():
    utc = datetime.UTC
    assert seconds_of("2026-01-31T12:00+00:00", 0) == datetime.datetime(2026, 1, 31, 12, tzinfo=utc).timestamp()
    assert seconds_of("2026-01-31", 0) == datetime.datetime(2026, 1, 31).timestamp()
    assert seconds_of(" 2 days ago ", 200_000.0) == 200_000 - 172_800
    for text in ("", "today", "0000-01-01", "2026-13-01", "9" * 50, "9999999 days ago", "٢ days ago", "-1 days ago"):
        assert seconds_of(text, 0) is None
    seconds_of("0001-01-01", 0)
    seconds_of("9999-12-31T23:59:59-23:59", 0)


def test_a_pattern_that_would_take_others_for_ever_is_matched_at_once():
    began = time.perf_counter()
    assert not searcher("(a+)+$")("a" * 100_000 + "b")
    assert not searcher("(a|a)*b$")("a" * 100_000)
    assert not searcher("(.*)(.*)(.*)(.*)(.*)x")("a" * 10_000)
    assert time.perf_counter() - began < 20


def test_patterns_look_at_whatever_text_is_there():
    assert searcher("größe")("die größe") and searcher("^$")("") and searcher(".")("\0")
    searcher("a")("\ud800")


# -- against an evaluator that knows nothing of closures


def naive(tree, run, environment):
    match tree:
        case And(parts):
            return all(naive(part, run, environment) for part in parts)
        case Or(parts):
            return any(naive(part, run, environment) for part in parts)
        case Not(part):
            return not naive(part, run, environment)
        case Exists(path):
            return bool(at(path, run, environment)) or bool(below(path, run, environment))
        case Match(path, pattern, is_negated):
            texts = [texts_in(value) for value in at(path, run, environment)]
            return any(
                found is not None and any(searcher(pattern)(text) for text in found) != is_negated for found in texts
            )
        case Compare(path, operator, operand):
            pairs = [(a, b) for a in at(path, run, environment) for b in at(operand, run, environment)]
            return any(compared(a, operator, b) for a, b in pairs)
        case In(item, container, is_negated):
            pairs = [(a, b) for a in at(item, run, environment) for b in at(container, run, environment)]
            return any(is_in(a, b, isinstance(container, Literal), is_negated) for a, b in pairs)
    raise AssertionError(tree)


def at(operand, run, environment):
    """Return the value in a list, or an empty one."""
    if isinstance(operand, Literal):
        return [list(operand.value) if isinstance(operand.value, tuple) else operand.value]
    if isinstance(operand, Field):
        if operand.name == "command":
            words = environment.get("command")
            return [shlex.join(map(str, words)) if isinstance(words, list) else ""]
        if operand.name == "user":
            return [value for value in [environment.get("user", "")] if not isinstance(value, dict)]
        names = {"duration": "duration_s", "created": "created_ns", "ended": "ended_ns"}
        return [getattr(run, names.get(operand.name, operand.name))]
    if operand.aggregate and operand.key in run.metrics:
        return [getattr(run.metrics[operand.key].stats, operand.aggregate)]
    key = operand.key + (f".{operand.aggregate}" if operand.aggregate else "")
    return [value for value in [places(root_of(operand, run, environment)).get(key, {})] if not isinstance(value, dict)]


def below(operand, run, environment):
    if isinstance(operand, Field):
        return operand.name == "user" and isinstance(environment.get("user"), dict)
    key = operand.key + (f".{operand.aggregate}" if operand.aggregate else "")
    return key in places(root_of(operand, run, environment))


def root_of(operand, run, environment):
    return environment if operand.root == "environment" else getattr(run, operand.root)


def places(values, prefix=""):
    """Return every value, mappings too, under its flat key; the outermost of those under one key."""
    known = {f"{prefix}{key}": value for key, value in values.items()}
    for key, value in values.items():
        if isinstance(value, dict):
            for inner, found_value in places(value, f"{prefix}{key}.").items():
                known.setdefault(inner, found_value)
    return known


def texts_in(value):
    if isinstance(value, str):
        return [value]
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else None


def same(a, b):
    return a == b or (isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b))


def equal(a, b):
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return any(same(item, b) for item in a) if isinstance(a, list) else same(a, b)


def compared(a, operator, b):
    if operator in ("==", "!="):
        return equal(a, b) == (operator == "==")
    are_numbers = isinstance(a, (int, float)) and isinstance(b, (int, float))
    if not are_numbers and not (isinstance(a, str) and isinstance(b, str)):
        return False
    return {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[operator]


def is_in(a, b, is_list_as_written, is_negated):
    if is_list_as_written:
        return any(equal(a, item) for item in b) != is_negated
    if isinstance(b, str):
        return isinstance(a, str) and (a in b) != is_negated
    return isinstance(b, list) and equal(b, a) != is_negated


@settings(deadline=None)
@given(tree=TREES, run=VIEWS, environment=MAPPINGS)
def test_the_compiled_filter_says_what_the_naive_evaluator_says(tree, run, environment):
    assert compile_filter(tree, lambda _: environment)(run) is naive(tree, run, environment)


@given(values=MAPPINGS)
def test_every_flat_key_of_a_run_can_be_asked_for(values):
    from tracker_server.runs.filter_match import MISSING, look_up

    for key in flat(values):
        assert look_up(values, key) is not MISSING


def test_a_filter_of_the_greatest_length_is_answered_at_once():
    runs = [view(str(i), config={"x": i + 0.5, "sizes": [i] * 10, "note": "a" * 1000}) for i in range(1000)]
    numbers = ",".join(map(str, range(950)))
    for text in (
        f"config.x in [{numbers}] or config.sizes not in [{numbers}]",
        " or ".join(["config.x < 0 < config.y"] * 250),
        " or ".join([f"config.note ~ '(a|b)*(a+)+c{i}'" for i in range(50)]),
        " or ".join(["'aab' in config.note"] * 400),
    ):
        matches = compile_filter(parse_filter(text))
        began = time.perf_counter()
        for run in runs:
            matches(run)
        assert time.perf_counter() - began < 60, text[:50]
