"""Keep secrets out of the record. Pure; the rule is told to users in docs/capture.md.

Masked are the values of secret environment variables wherever they stand, tokens of a well-known shape, values under
secret names, and credentials in addresses. Numbers, truth values and ordinary hyper-parameters stay as they are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..lazy_pattern import lazy_pattern
from .secret_names import Strength, is_secret, strength
from .secret_shapes import Span, private_key_spans, token_spans, url_spans

if TYPE_CHECKING:
    from ..settings import Settings

MASK = "***"
_MIN_LITERAL_CHARS = 8
# Values that no one would call secret, although someone set them under a secret name; masking them would eat words.
_HARMLESS = frozenset("password changeme disabled required optional undefined postgres username anonymous".split())
# Every secret name contains one of these; the name is then read in full.
_STEMS = "passw|passphrase|passcode|pwd|secret|credential|token|auth|cookie|key|_pass|sshpass|signature|sig=|jwt"
_NAME = lazy_pattern(r"[\w.-]{0,80}")
_SPACED_KEY = lazy_pattern(r"yek (?:ipa|ssecca|terces|etavirp)(?![A-Za-z])", re.IGNORECASE)  # backwards: "API key"
_QUOTE = r"""(?:\\?["'`])"""
_NAME_END = rf"{_QUOTE}?\]?"
_EQUALS = lazy_pattern(rf"{_NAME_END}[ \t]{{0,40}}(?::=|=>|=(?!=))[ \t]{{0,8}}")
_ANNOTATED = lazy_pattern(r"[ \t]?:[ \t]?[A-Za-z_][\w.\[\]|]{0,60}(?: \| \w{1,20})?[ \t]?=[ \t]?(?=[\"'rbfuRBFU])")
_COLON = lazy_pattern(rf"{_NAME_END}[ \t]{{0,8}}:(?!:)[ \t]{{0,8}}")
_OPTION = lazy_pattern(rf"{_QUOTE}?,?[ \t]{{1,8}}(?!--)")
_CALL = lazy_pattern(rf"{_QUOTE},[ \t]{{0,8}}(?=[\"'])")
_ELEMENT = lazy_pattern(r">(?=[^<>\s]+</)")
_SCHEME = lazy_pattern(r"(?:bearer|basic|token|digest|apikey|key)[ \t]+", re.IGNORECASE)
_QUOTED = lazy_pattern(  # up to the closing quote, or the end of the line where there is none
    r"""[rbfuRBFU]{0,2}(?:\\["']([^"'\\\n]*)|"((?:[^"\\\n]|\\.)*)|'((?:[^'\\\n]|\\.)*)|`([^`\n]*))"""
)
_BARE = lazy_pattern(r"""[^\s"'`,;&<>(){}\[\]|\\]+""")
_SHELL = lazy_pattern(r"""[^\s"'`]+""")
_TEMPLATE = lazy_pattern(r"\$[{(]")
_LINE = lazy_pattern(r"""[^"'`\r\n]+""")
_AT_LINE_START = lazy_pattern(r"(?:[+\- ]?(?:export |set |ENV |ARG )?)\Z")
_CODE_WORD = lazy_pattern(r"[A-Za-z_]+(?:\.[A-Za-z_]+)*")
_MAX_VALUE_CHARS = 8192


class Masker:
    """Masks secrets in text, config values, commands and addresses. Immutable, thus safe to share among threads.

    Args:
        environ: the environment, whose secret values are masked wherever they stand.
        extra_names: further names to mask the values of, in any case; `*` stands for anything.
        extra_values: further secret values.
    """

    def __init__(
        self, environ: Mapping[str, str], extra_names: Iterable[str] = (), extra_values: Iterable[str] = ()
    ) -> None:
        self._extra_names = tuple(_plain_name(name) for name in extra_names if name)
        stems = [max(re.split(r"[*_?\[\]]+", name), key=len) for name in self._extra_names]
        self._stems = re.compile("|".join([_STEMS, *(re.escape(stem) for stem in stems if stem)]))
        self._literals = self._find_literals(environ, extra_values)

    def _find_literals(self, environ: Mapping[str, str], extra_values: Iterable[str]) -> tuple[str, ...]:
        values = set(extra_values)
        for name, value in environ.items():
            if is_secret(self.strength(name), value):
                values.add(value)
            if "://" in value:
                values.update(value[start:end].partition(":")[2] for start, end in url_spans(value))
        kept = {value for value in values if len(value) >= _MIN_LITERAL_CHARS and value.lower() not in _HARMLESS}
        if kept:
            from urllib.parse import quote  # slow to import

            kept |= {quote(value, safe="") for value in kept if value.isprintable()}
        return tuple(sorted(kept, key=len, reverse=True))

    def strength(self, name: str) -> Strength:
        """Return how surely something of this name is a secret."""
        if self._extra_names:
            from fnmatch import fnmatchcase

            plain = _plain_name(name)
            if any(fnmatchcase(plain, pattern) for pattern in self._extra_names):
                return Strength.NAMED
        return strength(name)

    def text(self, text: str) -> str:
        """Return text with its secrets masked. Takes time linear in its length."""
        spans = [
            *self._literal_spans(text),
            *token_spans(text),
            *private_key_spans(text),
            *url_spans(text),
            *self._named_spans(text),
        ]
        return _masked(text, spans) if spans else text

    def value(self, name: str, value: Any) -> Any:
        """Return a config value, nested or not, with its secrets masked; numbers and truth values stay."""
        if value is None or isinstance(value, (bool, int, float)):
            return value
        return self._value(self.strength(name), value)

    def _value(self, how_sure: Strength, value: Any) -> Any:
        if isinstance(value, str):
            return MASK if is_secret(how_sure, value) else self.text(value)
        if isinstance(value, Mapping):
            return {
                self.text(key) if isinstance(key, str) else key: self._value(
                    max(how_sure, self.strength(key)) if isinstance(key, str) else how_sure, item
                )
                for key, item in value.items()
            }
        if isinstance(value, (list, tuple)):
            items = [self._value(how_sure, item) for item in value]
            return tuple(items) if isinstance(value, tuple) else items
        return value

    def command(self, arguments: Iterable[str]) -> list[str]:
        """Return the words of a command with its secrets masked, those after `--name` and `name=` among them."""
        masked: list[str] = []
        before = Strength.NONE  # of the option before this word
        for argument in arguments:
            name, equals, value = argument.partition("=")
            if is_secret(before, argument):
                masked.append(MASK)
            elif equals and is_secret(self.strength(name), value):
                masked.append(f"{self.text(name)}={MASK}")
            else:
                masked.append(self.text(argument))
            before = self.strength(argument) if argument.startswith("-") and not equals else Strength.NONE
        return masked

    def url(self, url: str) -> str:
        """Return an address without its user and password, and with its secret parameters masked."""
        scheme, separator, rest = url.partition("://")
        if separator:
            spans = list(url_spans(url))
            if spans:
                rest = url[spans[0][1] + 1 :]
            elif "@" in rest.partition("/")[0] and not rest.startswith("git@"):
                rest = rest.partition("@")[2]
            return self.text(f"{scheme}://{rest}")
        user, at, path = url.partition("@")
        if at and ":" in path and user != "git" and "/" not in user:  # user@host:path
            return self.text(path)
        return self.text(url)

    def _literal_spans(self, text: str) -> Iterator[Span]:
        for literal in self._literals:
            at = text.find(literal)
            while at >= 0:
                yield at, at + len(literal)
                at = text.find(literal, at + len(literal))

    def _named_spans(self, text: str) -> Iterator[Span]:
        """Yield the values of `name=value`, `"name": "value"`, `--name value` and the like under secret names."""
        lower = text.lower()
        if len(lower) != len(text):  # the one letter that grows in lower case
            lower = text.replace("İ", "i").lower()
        done = 0
        for hit in self._stems.finditer(lower):
            if hit.start() < done:
                continue
            start, done = _name_around(text, hit.start())
            how_sure = self.strength(_joined_name(text, start, done))
            if how_sure == Strength.NONE:
                continue
            span = _value_after(text, start, done, how_sure)
            if span is not None:
                yield span
                done = span[1]


def masker_for(settings: Settings, environ: dict[str, str] | None = None) -> Masker:
    """Return the masker of an environment, made anew only when that or the names to mask have changed.

    Args:
        settings: the names to mask, and the server's key.
        environ: the environment. Default: this process's, as it is now.
    """
    global _made
    state = (dict(os.environ) if environ is None else environ, tuple(settings.secret_names), settings.api_key)
    made = _made  # several threads may ask at once
    if made is None or made[0] != state:
        made = _made = (state, Masker(state[0], state[1], [settings.api_key] if settings.api_key else []))
    return made[1]


_made: tuple[tuple[dict[str, str], tuple[str, ...], str | None], Masker] | None = None


def _plain_name(name: str) -> str:
    return name.lower().lstrip("-").replace("-", "_").replace(".", "_")


def _name_around(text: str, at: int) -> tuple[int, int]:
    """Return where the name begins and ends that has a stem at a position."""
    before = _NAME.match(text[max(0, at - 80) : at][::-1])
    after = _NAME.match(text, at)
    assert before is not None and after is not None  # both may be empty
    return at - before.end(), after.end()


def _joined_name(text: str, start: int, end: int) -> str:
    """Return the name, with the word before it where that makes "API key" of a "key"."""
    name = text[start:end]
    if name.lower() == "key" and _SPACED_KEY.match(text[max(0, start - 12) : end][::-1]):
        return "api_key"
    if name.lower() == "key" and text[start - 1 : start] in ("?", "&"):
        return "parameter_key"
    return "signature" if name.lower() == "sig" and text[start - 1 : start] in ("?", "&") else name


def _value_after(text: str, start: int, end: int, how_sure: Strength) -> Span | None:
    """Return where the secret value of the name text[start:end] is, if it has one."""
    is_call = text[max(0, start - 2) : start] in ('("', "('")
    is_option = text.startswith("--", start)
    is_line = text[start:end].lower().endswith(("authorization", "cookie"))  # headers with several parts
    other = _OPTION if is_option else _CALL if is_call else None
    for pattern in (_EQUALS, None if is_line else _ANNOTATED, _COLON, other, _ELEMENT):
        separator = pattern.match(text, end) if pattern else None
        if separator is None:
            continue
        value = separator.end()
        quoted = _QUOTED.match(text, value, value + _MAX_VALUE_CHARS)
        if quoted:
            return _checked(text, quoted.span(quoted.lastindex or 0), how_sure)
        is_shell = pattern is _EQUALS and separator.group() == "=" and _is_at_line_start(text, start)
        if is_shell and text.startswith(text[start:end], value):
            return None  # token=token
        return _bare_value(text, value, how_sure, is_line and pattern is _COLON, is_shell or is_option)
    return None


def _is_at_line_start(text: str, start: int) -> bool:
    line = text.rfind("\n", max(0, start - 12), start) + 1
    return (line > 0 or start < 12) and _AT_LINE_START.match(text, line or 0, start) is not None


def _bare_value(text: str, at: int, how_sure: Strength, is_line: bool, is_shell: bool) -> Span | None:
    """Return the span of a value without quotes; code that makes the value is none."""
    scheme = _SCHEME.match(text, at)
    pattern = _LINE if is_line else _SHELL if is_shell else _BARE
    match = pattern.match(text, scheme.end() if scheme else at)
    if match is None or _TEMPLATE.match(text, at):
        return None
    if not is_line and not is_shell:
        if text[match.end() : match.end() + 1] in ("(", "["):
            return None
        if _CODE_WORD.fullmatch(match.group()) and ("." in match.group() or strength(match.group())):
            return None
    return _checked(text, match.span(), how_sure, is_line)


def _checked(text: str, span: Span, how_sure: Strength, is_line: bool = False) -> Span | None:
    start, end = span
    scheme = _SCHEME.match(text, start, end)
    start = scheme.end() if scheme and scheme.end() < end else start
    value = text[start:end]
    if value[:1].isspace():
        return None  # what follows the closing quote of "password: "
    return (start, end) if is_secret(how_sure, value) or (is_line and len(value) >= 8) else None


def _masked(text: str, spans: list[Span]) -> str:
    """Return text with the spans replaced; those that overlap share one mask."""
    pieces, done = [], 0
    for start, end in sorted(spans):
        if start >= done:
            pieces += [text[done:start], MASK]
        done = max(done, end)
    pieces.append(text[done:])
    return "".join(pieces)
