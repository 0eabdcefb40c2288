"""Names and ids for new runs."""

from __future__ import annotations

import os

_FIRST = """
    amber brave bright calm clear cosmic crisp curious deft eager early fair fleet gentle golden grand happy
    honest keen kind light lively lucid mellow merry noble patient plain proud quick quiet rapid royal sharp
    silver smart snowy solar solid spring steady still sunny swift tidy vivid warm wise young
""".split()
_SECOND = """
    acorn badger beacon birch brook cedar cloud comet coral crane dawn delta dune ember falcon fern field finch
    fjord forest fox garden glade harbor hawk heron hill island lake lark lynx maple meadow moon otter owl peak
    pine plum pond raven reef river robin sparrow star stone swan tide valley willow wren
""".split()
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def new_run_id() -> str:
    """Return eight random letters and digits."""
    return "".join(_DIGITS[byte % 36] for byte in os.urandom(8))


def new_run_name(run_id: str, runs_folder: str) -> str:
    """Return two words chosen by the id and the ordinal of the run in its project's folder."""
    number = sum(map(ord, run_id)) + int.from_bytes(run_id[:4].encode(), "big")
    try:
        ordinal = len(os.listdir(runs_folder)) + 1
    except OSError:
        ordinal = 1
    return f"{_FIRST[number % len(_FIRST)]}-{_SECOND[number // len(_FIRST) % len(_SECOND)]}-{ordinal}"
