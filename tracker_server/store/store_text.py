"""Text as the store's columns hold it: every text of Unicode, sorted by code point, in each database."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Dialect, String, TypeDecorator
from sqlalchemy.types import TypeEngine

# PostgreSQL's text cannot hold the character NUL. It becomes two characters that begin with a private one.
_NUL, _ESCAPE = "\x00", "\ue000"
_ESCAPED_NUL, _ESCAPED_ESCAPE = "\ue000\ue000", "\ue000\ue001"


class Text_C(TypeDecorator[str]):  # noqa: N801
    """Text that compares by code point on SQLite and PostgreSQL alike, and may hold any character."""

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Name the collation where the database's own may be another."""
        return dialect.type_descriptor(String(collation="C") if dialect.name == "postgresql" else String())

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Return what the database stores."""
        if value is None or dialect.name != "postgresql":
            return value
        return escape_nul(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        """Return what was given."""
        if value is None or dialect.name != "postgresql":
            return value
        return unescape_nul(value)


def escape_nul(text: str) -> str:
    """Return a text without NUL, another one for every text."""
    if _NUL not in text and _ESCAPE not in text:
        return text
    return text.replace(_ESCAPE, _ESCAPED_ESCAPE).replace(_NUL, _ESCAPED_NUL)


def unescape_nul(text: str) -> str:
    """Return the text that `escape_nul` was given."""
    if _ESCAPE not in text:
        return text
    return text.replace(_ESCAPED_NUL, _NUL).replace(_ESCAPED_ESCAPE, _ESCAPE)
