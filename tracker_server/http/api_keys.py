"""Keys of a server: what they look like, making and revoking them, and finding whose a key or a browser's cookie is.

A key is `tk_`, 30 random characters (178 bits), and the CRC-32 of all that in 6, so that what is no key of ours is
known for that without looking it up, by us and by those who search for lost keys.
"""

from __future__ import annotations

import hashlib
import math
import re
import secrets
import string
import threading
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tracker_core.errors import NotFoundError, UsageError
from tracker_core.paths import check_project

from ..catalog.decisions import By
from ..store.store_api_keys import (
    ApiKey,
    BrowserSession,
    delete_session,
    insert_first_key,
    insert_key,
    insert_session,
    read_keyring,
    read_keys,
    revoke_key,
)
from ..store.store_catalog import CatalogDatabase
from .authorize import Principal, Scope

KEY_PREFIX = "tk_"
SESSION_AGE_S = 14 * 86_400
FIRST_KEY_NAME = "first admin key"
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_N_RANDOM, _N_CHECK = 30, 6
_SHAPE = re.compile(rf"{KEY_PREFIX}[0-9A-Za-z]{{{_N_RANDOM + _N_CHECK}}}")
_MAX_NAME_CHARS = 100


def new_key() -> str:
    """Return a new random key."""
    start = KEY_PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(_N_RANDOM))
    return start + _check_of(start)


def is_key(text: str) -> bool:
    """Say whether a text has the form of a key, with the right characters at its end."""
    return bool(_SHAPE.fullmatch(text)) and text[-_N_CHECK:] == _check_of(text[:-_N_CHECK])


def digest_of(secret: str) -> str:
    """Return what is kept of a key or a cookie. A slow hash would add nothing: there are 178 random bits in it."""
    return hashlib.sha256(secret.encode()).hexdigest()


def principal_of_key(key: ApiKey) -> Principal:
    """Return who asks with a key."""
    return Principal(key.name, Scope(key.scope), key.project, key.key_id)


@dataclass(frozen=True, slots=True)
class _Known:
    """What the catalog says of keys and browsers at one moment. `at_s` is by the monotonic clock."""

    keys: Mapping[str, ApiKey] = field(default_factory=dict)
    by_digest: Mapping[str, ApiKey] = field(default_factory=dict)
    sessions: Mapping[str, BrowserSession] = field(default_factory=dict)
    stamp: object = None
    at_s: float = -math.inf


class ApiKeys:
    """The keys in a catalog. Thread-safe; what other processes change is seen by `refresh`.

    Args:
        database: where the catalog is.
    """

    def __init__(self, database: CatalogDatabase) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._known = _Known()

    @property
    def is_known(self) -> bool:
        """Whether the catalog was ever read."""
        return self._known.at_s > 0

    @property
    def age_s(self) -> float:
        """How long ago it was looked at last."""
        return time.monotonic() - self._known.at_s

    def refresh(self, wait_s: float | None = None) -> None:
        """Look for what changed; cheap where nothing did.

        Args:
            wait_s: about how long to wait for one that writes to the catalog. Default: as long as a write waits.

        Raises:
            CatalogError: the catalog cannot be read. What was known before holds.
        """
        with self._lock:
            # The moment and the stamp first: what changes while the catalog is read is seen next time.
            at_s, stamp = time.monotonic(), self._database.stamp()
            known = self._known
            if stamp is None or stamp != known.stamp:
                keys, sessions = self._database.read(read_keyring, wait_s) or ([], [])
                by_id, by_digest = {key.key_id: key for key in keys}, {key.digest: key for key in keys}
                known = _Known(by_id, by_digest, {session.digest: session for session in sessions})
            self._known = replace(known, stamp=stamp, at_s=at_s)

    def find(self, key: str) -> ApiKey | None:
        """Return the live key of this text, as of the last `refresh`."""
        if not is_key(key):
            return None
        # How long a look-up of a digest takes tells nothing of the key that it is of.
        found = self._known.by_digest.get(digest_of(key))
        return found if found is not None and found.is_live else None

    def find_session(self, cookie: str) -> ApiKey | None:
        """Return the live key with which the browser that has this cookie was signed in, as of the last `refresh`."""
        known = self._known
        session = known.sessions.get(digest_of(cookie))
        if session is None or session.expires_ns <= time.time_ns():
            return None
        key = known.keys.get(session.key_id)
        return key if key is not None and key.is_live else None

    def is_live(self, key_id: str) -> bool:
        """Say whether a key is not revoked, as of the last `refresh`."""
        key = self._known.keys.get(key_id)
        return key is not None and key.is_live

    # -- each of these raises CatalogError where the catalog cannot be read or written, and has then changed nothing

    def all_keys(self) -> list[ApiKey]:
        """Return all keys, revoked ones too, in the order in which they were made."""
        return self._database.read(read_keys) or []

    def has_live_key(self) -> bool:
        """Say whether there is any key that is not revoked."""
        return any(key.is_live for key in self.all_keys())

    def create(self, name: str, scope: str, project: str | None, by: By) -> tuple[str, ApiKey]:
        """Make a key. Returns it and what is kept of it: nobody can see it again.

        Raises:
            UsageError: a value is not valid, or a live key has this name already.
        """
        secret, key = _make(name, scope, project, by)
        other = self._database.write(lambda connection: insert_key(connection, key))
        if other is not None:
            remedy = f"choose another name, or revoke that one: tracker keys revoke {other.key_id}"
            raise UsageError("name of a key", f"{name!r}, which key {other.key_id} has", "a name of its own", remedy)
        self.refresh()
        return secret, key

    def make_first(self, by: By) -> str | None:
        """Make an admin key where there was never any key. Returns it, else None; of several processes one makes it."""
        secret, key = _make(FIRST_KEY_NAME, Scope.ADMIN.value, None, by)
        is_made = self._database.write(lambda connection: insert_first_key(connection, key))
        self.refresh()
        return secret if is_made else None

    def revoke(self, name_or_id: str, by: By) -> ApiKey:
        """Revoke a key: it opens nothing any more, and browsers signed in with it are signed out.

        Returns:
            The key as it was; one that was revoked before is left alone.

        Raises:
            NotFoundError: there is no such key.
        """
        key = self._database.write(lambda connection: revoke_key(connection, name_or_id, by))
        if key is None:
            raise NotFoundError(f"there is no key {name_or_id[:100]!r}; `tracker keys list` lists them")
        self.refresh()
        return key

    def sign_in(self, key: ApiKey) -> str:
        """Return the cookie of a browser that is signed in with a key from now on."""
        cookie, now_ns = secrets.token_urlsafe(32), time.time_ns()
        session = BrowserSession(digest_of(cookie), key.key_id, now_ns, now_ns + SESSION_AGE_S * 10**9)
        self._database.write(lambda connection: insert_session(connection, session, key))
        self.refresh()
        return cookie

    def sign_out(self, cookie: str) -> None:
        """End the session that a cookie is of, if there is one."""
        key = self.find_session(cookie)
        if key is not None:
            self._database.write(lambda connection: delete_session(connection, digest_of(cookie), key, time.time_ns()))
            self.refresh()


def _make(name: str, scope: str, project: str | None, by: By) -> tuple[str, ApiKey]:
    where = "tracker keys create"
    if not 1 <= len(name) <= _MAX_NAME_CHARS or not name.isprintable() or name != name.strip():
        expected = f"1 to {_MAX_NAME_CHARS} characters that can be printed"
        raise UsageError(where, f"the name {name[:200]!r}", expected, "name what or whom the key is for")
    if scope not in list(Scope):
        raise UsageError(where, f"the scope {scope[:100]!r}", ", ".join(Scope), "choose one of these")
    if project is not None:
        check_project(project, where)
        if scope == Scope.ADMIN:
            remedy = "leave the project out, or make a key that may write"
            raise UsageError(where, "an admin key for one project", "an admin key for the whole server", remedy)
    secret = new_key()
    return secret, ApiKey(secrets.token_hex(4), name, scope, project, digest_of(secret), by.at_ns, by.who)


def _check_of(text: str) -> str:
    number, digits = zlib.crc32(text.encode()), ""
    for _ in range(_N_CHECK):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
