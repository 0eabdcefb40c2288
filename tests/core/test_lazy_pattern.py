"""Patterns compiled at first use behave as those compiled at import, and each of them can be compiled."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator

import pytest

import tracker_core
from tracker_core.lazy_pattern import _LazyPattern, lazy_pattern


def test_it_has_the_methods_of_the_compiled_pattern() -> None:
    lazy, compiled = lazy_pattern(r"(\w)x", re.IGNORECASE), re.compile(r"(\w)x", re.IGNORECASE)
    assert lazy.findall("aX bx c") == compiled.findall("aX bx c")
    assert lazy.sub("-", "aX bx c") == compiled.sub("-", "aX bx c")
    assert (lazy.pattern, lazy.flags) == (compiled.pattern, compiled.flags)
    assert lazy.fullmatch("y") is None


def test_nothing_is_compiled_before_its_first_use() -> None:
    broken = lazy_pattern("(")
    with pytest.raises(re.error):
        broken.match("")


def lazy_patterns(value: object) -> Iterator[_LazyPattern]:
    if isinstance(value, _LazyPattern):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from lazy_patterns(item)


def test_every_pattern_of_the_package_can_be_compiled() -> None:
    found = []
    for info in pkgutil.walk_packages(tracker_core.__path__, "tracker_core."):
        if not info.name.startswith("tracker_core.autoload."):
            for value in vars(importlib.import_module(info.name)).values():
                found += lazy_patterns(value)
    assert len({id(pattern) for pattern in found}) > 50
    for pattern in found:
        re.compile(pattern.pattern)
