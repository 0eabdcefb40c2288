"""The text of a run filter becomes a tree, or an error that says where in the text it is wrong. Pure.

    filter     = or_part
    or_part    = and_part ("or" and_part)*
    and_part   = not_part ("and" not_part)*
    not_part   = "not" not_part | "(" or_part ")" | comparison
    comparison = operand ((operator operand)+ | "exists" | "is" ["not"] "None")
    operator   = "==" | "!=" | "<" | "<=" | ">" | ">=" | "~" | "!~" | "in" | "not" "in"
    operand    = path | literal | "[" [literal ("," literal)*] "]"
    path       = FIELD | ROOT ("." NAME | "[" TEXT "]")+
    literal    = TEXT | ["-" | "+"] NUMBER | "True" | "False" | "None"

NUMBER has "inf" and "nan" among it. `a < b < c` is `a < b and b < c`, as in Python.
"""

from __future__ import annotations

import difflib
import math
import re
import time
from dataclasses import dataclass

from tracker_core.errors import UsageError

from .filter_tree import (
    AGGREGATES,
    EVERY_RUN,
    FIELDS,
    ORDERINGS,
    ROOTS,
    TIME_FIELDS,
    Compare,
    Exists,
    Field,
    Filter,
    In,
    Key,
    Literal,
    Match,
    Not,
    Operand,
    Path,
    Scalar,
    all_of,
    any_of,
)
from .filter_values import PatternError, searcher, seconds_of

MAX_CHARACTERS = 10_000
MAX_TERMS = 500
MAX_DEPTH = 50
MAX_PATTERNS = 50
_MAX_DIGITS = 400
_CONSTANTS: dict[str, Scalar] = {"True": True, "False": False, "None": None, "inf": math.inf, "nan": math.nan}
_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_TOKENS = re.compile(
    r"""(?P<space>\s+)
    |(?P<number>(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9]+)?)
    |(?P<text>r?(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'))
    |(?P<name>[^\W\d]\w*)
    |(?P<sign>==|!=|<=|>=|!~|[<>~()\[\],.+-])""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"', "'": "'"}
_REMEDIES = {
    "=": "write == to compare",
    "&": "write and",
    "|": "write or",
    "!": "write not, != or !~",
    "/": 'write a name with such characters as summary["val/loss"]',
    "-": 'write a name with such characters as config["a-b"]',
    ":": 'write a name with such characters as config["a:b"]',
    **{quote: f"end the text with {quote}" for quote in "\"'"},
}
_SEE = "see docs/filters.md"
_EXAMPLE = "write a comparison, such as config.debug == True or config.debug exists"


class SearchError(UsageError):
    """A filter, sort key or cursor is wrong. `position` counts the characters of its text before the wrong place."""

    def __init__(self, where: str, got: str, expected: str, remedy: str, position: int | None = None) -> None:
        super().__init__(where, got, expected, remedy)
        self.position = position


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    position: int


def parse_filter(text: str) -> Filter:
    """Return the tree of a filter; empty text takes every run.

    Raises:
        SearchError: the text is no filter, or beyond a bound on its length, terms, depth or patterns.
    """
    parser = _Parser(text, "filter")
    return EVERY_RUN if parser.is_at_end else parser.whole_filter()


def parse_path(text: str, what: str = "sort") -> Path:
    """Return the field or key that a text names; `what` is for errors, which are as those of `parse_filter`."""
    return parse_paths(text, what, 1)[0]


def parse_paths(text: str, what: str, most: int) -> list[Path]:
    """Return the fields and keys that a text names, with commas between them."""
    return _Parser(text, what).whole_paths(most)


def _tokens(text: str, what: str) -> list[_Token]:
    if len(text) > MAX_CHARACTERS:
        got, expected = f"{len(text)} characters", f"at most {MAX_CHARACTERS}"
        raise SearchError(what, got, expected, "ask for less at once", MAX_CHARACTERS)
    wrong = re.search("[\0\ud800-\udfff]", text)
    if wrong:
        raise _error(what, wrong.start(), "a character that no text holds", "readable text", "take it out")
    tokens, position = [], 0
    while position < len(text):
        found = _TOKENS.match(text, position)
        if found is None:
            character = text[position]
            expected = "the end of the text" if character in "\"'" else "a name, value or operator"
            raise _error(what, position, _shown(text[position:]), expected, _REMEDIES.get(character, _SEE))
        kind = found.lastgroup or "name"
        if kind != "space":
            tokens.append(_Token(kind, found[0], position))
        position = found.end()
    return [*tokens, _Token("end", "", len(text))]


def _error(what: str, position: int, got: str, expected: str, remedy: str) -> SearchError:
    return SearchError(f"{what}, character {position + 1}", got, expected, remedy, position)


def _shown(text: str) -> str:
    return repr(text if len(text) <= 30 else text[:30] + "…")


class _Parser:
    """Recursive descent over the tokens of one text; `MAX_DEPTH` bounds the recursion."""

    def __init__(self, text: str, what: str) -> None:
        self._what = what
        self._tokens = _tokens(text, what)
        self._next = 0
        self._n_terms = 0
        self._n_patterns = 0

    @property
    def is_at_end(self) -> bool:
        return self._token.kind == "end"

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def whole_filter(self) -> Filter:
        tree = self._or_part(0)
        if not self.is_at_end:
            raise self._wrong("and, or, or the end", _SEE)
        return tree

    def whole_paths(self, most: int) -> list[Path]:
        paths = [self._path()]
        while len(paths) < most and self._take(","):
            paths.append(self._path())
        if not self.is_at_end:
            raise self._wrong("the end", _SEE)
        return paths

    def _path(self) -> Path:
        position = self._token.position
        return self._as_path(self._operand(), position, 'write for example summary["val/loss"].min')

    def _or_part(self, depth: int) -> Filter:
        parts = [self._and_part(depth)]
        while self._take("or"):
            parts.append(self._and_part(depth))
        return any_of(parts)

    def _and_part(self, depth: int) -> Filter:
        parts = [self._not_part(depth)]
        while self._take("and"):
            parts.append(self._not_part(depth))
        return all_of(parts)

    def _not_part(self, depth: int) -> Filter:
        if depth > MAX_DEPTH:
            raise self._too_many("parentheses and not, one within the other", MAX_DEPTH, "write it flatter")
        if self._take("not"):
            return Not(self._not_part(depth + 1))
        if self._take("("):
            tree = self._or_part(depth + 1)
            if not self._take(")"):
                raise self._wrong("and, or, or )", "close the parenthesis")
            return tree
        return self._comparison()

    def _comparison(self) -> Filter:
        position = self._token.position
        left = self._operand()
        if self._take("exists"):
            self._count_term()
            return Exists(self._as_path(left, position))
        parts: list[Filter] = []
        while operator := self._operator():
            self._count_term()
            right_position = self._token.position
            right = self._operand()
            parts.append(self._leaf(left, operator, right, position, right_position))
            left, position = right, right_position
        if not parts:
            is_bare = self.is_at_end or self._token.text in ("and", "or", ")")
            remedy = _EXAMPLE if is_bare else _REMEDIES.get(self._token.text, _SEE)
            raise self._wrong("an operator such as ==, <, in or ~", remedy)
        return all_of(parts)

    def _operator(self) -> str | None:
        """Take an operator, if there is one; `is` counts as ==."""
        token = self._token
        if token.kind == "sign" and (token.text in _FLIPPED or token.text in ("~", "!~")):
            self._next += 1
            return token.text
        if self._take("in"):
            return "in"
        if self._take("is"):
            operator = "!=" if self._take("not") else "=="
            if self._token.text != "None":
                raise self._wrong("None", "write == to compare with anything else")
            return operator
        if token.text == "not" and token.kind == "name":
            self._next += 1
            if not self._take("in"):
                raise self._wrong("in", "write not in, or put not before the comparison")
            return "not in"
        return None

    def _leaf(self, left: Operand, operator: str, right: Operand, left_at: int, right_at: int) -> Filter:
        if isinstance(left, Literal) and isinstance(right, Literal):
            raise self._wrong_at(left_at, "two values", "a field or key on one side", _SEE)
        if operator in ("in", "not in"):
            is_scalar = isinstance(right, Literal) and not isinstance(right.value, tuple)
            if is_scalar or (isinstance(left, Literal) and isinstance(left.value, tuple)):
                at = right_at if is_scalar else left_at
                raise self._wrong_at(at, "this value", 'such as "a" in tags or state in ["failed", "killed"]', _SEE)
            return In(left, right, operator == "not in")
        if operator in ("~", "!~"):
            return self._match(self._as_path(left, left_at), right, right_at, operator == "!~")
        if isinstance(left, Literal):
            left, right, right_at, operator = self._as_path(right, right_at), left, left_at, _FLIPPED[operator]
        self._check_operand(left, operator, right, right_at)
        return Compare(left, operator, right)

    def _match(self, path: Path, pattern: Operand, position: int, is_negated: bool) -> Match:
        if not isinstance(pattern, Literal) or not isinstance(pattern.value, str):
            raise self._wrong_at(position, "no text", "a pattern in quotes", 'write for example name ~ "resnet.*"')
        self._n_patterns += 1
        if self._n_patterns > MAX_PATTERNS:
            raise self._too_many("patterns", MAX_PATTERNS, 'join them, such as "a|b|c"')
        try:
            searcher(pattern.value)
        except PatternError as error:
            expected = "a regular expression without look-around and back-references (RE2)"
            raise self._wrong_at(position, f"a pattern with {error}", expected, "correct the pattern") from None
        return Match(path, pattern.value, is_negated)

    def _check_operand(self, path: Path, operator: str, operand: Operand, position: int) -> None:
        if not isinstance(operand, Literal):
            return
        if isinstance(operand.value, tuple) and operator in ORDERINGS:
            raise self._wrong_at(
                position, "a list", f"a number or text after {operator}", "compare lists with == or in"
            )
        is_time = isinstance(path, Field) and path.name in TIME_FIELDS
        if is_time and isinstance(operand.value, str) and seconds_of(operand.value, time.time()) is None:
            remedy = 'write for example "2026-01-31", "2026-01-31T12:00+01:00" or "2 days ago"'
            raise self._wrong_at(position, _shown(operand.value), "a time", remedy)

    def _operand(self) -> Operand:
        token = self._token
        if token.kind == "text" or token.kind == "number" or token.text in ("-", "+"):
            return Literal(self._scalar())
        if self._take("["):
            return Literal(self._items())
        if token.kind != "name":
            raise self._wrong("a field, key or value", _SEE)
        if token.text in _CONSTANTS:
            return Literal(self._scalar())
        self._next += 1
        if token.text in ROOTS:
            return self._key(token.text)
        if token.text not in FIELDS:
            raise self._unknown_field(token)
        return Field(token.text)

    def _key(self, root: str) -> Key:
        parts = []
        while part := self._key_part(root):
            parts.append(part)
        if not parts:
            raise self._wrong(f"a key of the {root}", f'write {root}.name or {root}["name"]')
        names = [text for text, _ in parts]
        last, is_quoted = parts[-1]
        if root == "summary" and last in AGGREGATES and not is_quoted and len(parts) > 1:
            return Key(root, ".".join(names[:-1]), last)
        return Key(root, ".".join(names))

    def _key_part(self, root: str) -> tuple[str, bool] | None:
        """Take `.name` or `["name"]`, if there is one; return the name, and whether it stood in quotes."""
        if self._take("."):
            if self._token.kind != "name":
                raise self._wrong("a name", f'write other names as {root}["a name"]')
            return self._advance().text, False
        if not self._take("["):
            return None
        if self._token.kind != "text":
            raise self._wrong("a name in quotes", f'write for example {root}["val/loss"]')
        name = _unquoted(self._advance().text)
        if not self._take("]"):
            raise self._wrong("]", "close the bracket")
        return name, True

    def _items(self) -> tuple[Scalar, ...]:
        items: list[Scalar] = []
        while not self._take("]"):
            items.append(self._scalar())
            if not self._take(",") and self._token.text != "]":
                raise self._wrong(", or ]", "separate the values of a list by commas")
        return tuple(items)

    def _scalar(self) -> Scalar:
        is_signed = self._token.text in ("-", "+") and self._token.kind == "sign"
        is_negative = is_signed and self._advance().text == "-"
        token = self._token
        if token.kind == "number" or (token.kind == "name" and token.text in ("inf", "nan")):
            number = self._number(self._advance())
            return -number if is_negative and number == number else number
        if is_signed or (token.kind != "text" and not (token.kind == "name" and token.text in _CONSTANTS)):
            raise self._wrong("a number" if is_signed else "a value", _SEE)
        self._next += 1
        return _unquoted(token.text) if token.kind == "text" else _CONSTANTS[token.text]

    def _number(self, token: _Token) -> int | float:
        if token.kind == "name":
            return math.inf if token.text == "inf" else math.nan
        text = token.text.replace("_", "")
        if len(text) > _MAX_DIGITS:
            raise self._wrong_at(token.position, "a very long number", f"at most {_MAX_DIGITS} digits", "shorten it")
        return int(text) if text.isdecimal() else float(text)

    def _as_path(self, operand: Operand, position: int, remedy: str = "write the field first") -> Path:
        if isinstance(operand, Literal):
            raise self._wrong_at(position, "a value", "a field or key", remedy)
        return operand

    def _unknown_field(self, token: _Token) -> SearchError:
        close = difflib.get_close_matches(token.text[:50], [*FIELDS, *ROOTS, *_CONSTANTS], n=1)
        remedy = f"did you mean {close[0] if close else f'config.{token.text[:50]}'}?"
        expected = "config.NAME, summary.NAME, environment.NAME, or one of " + ", ".join(FIELDS)
        return self._wrong_at(token.position, f"the name {_shown(token.text)}", expected, remedy)

    def _count_term(self) -> None:
        self._n_terms += 1
        if self._n_terms > MAX_TERMS:
            raise self._too_many("comparisons", MAX_TERMS, "use in with a list, or ~ with a pattern")

    def _take(self, text: str) -> bool:
        if self._token.text != text or self._token.kind not in ("name", "sign"):
            return False
        self._next += 1
        return True

    def _advance(self) -> _Token:
        token = self._token
        self._next += 1
        return token

    def _too_many(self, what: str, most: int, remedy: str) -> SearchError:
        return self._wrong_at(self._token.position, f"more than {most} {what}", f"at most {most}", remedy)

    def _wrong(self, expected: str, remedy: str) -> SearchError:
        token = self._token
        got = "the end" if token.kind == "end" else _shown(token.text)
        return self._wrong_at(token.position, got, expected, remedy)

    def _wrong_at(self, position: int, got: str, expected: str, remedy: str) -> SearchError:
        return _error(self._what, position, got, expected, remedy)


def _unquoted(text: str) -> str:
    """Return the text between quotes. Only a few escapes are ours: \\d and the like stay, for patterns."""
    if text[0] == "r":
        return text[2:-1]
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[0]), text[1:-1], flags=re.DOTALL)
