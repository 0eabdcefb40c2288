"""The statements about keys and about browsers signed in with them, each within a transaction that the caller opens.

Of a key and of a browser's cookie only the SHA-256 is here, so that who reads the database cannot use them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, inspect, select, update

from ..catalog.decisions import By
from .store_catalog_schema import api_key, browser_session, decision

# Of one key; the oldest ends when there would be more.
_MAX_SESSIONS = 100


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key, without its secret.

    Attributes:
        key_id: under which it is revoked.
        name: of what or whom it is; no two that are not revoked have the same.
        scope: "admin", "write" or "read".
        project: the only one that it is for, None for all.
        digest: SHA-256 of the key, hexadecimal.
        created_ns, created_by, revoked_ns, revoked_by: ns since the Unix epoch; None and "" while it is not revoked.
    """

    key_id: str
    name: str
    scope: str
    project: str | None
    digest: str
    created_ns: int
    created_by: str
    revoked_ns: int | None = None
    revoked_by: str = ""

    @property
    def is_live(self) -> bool:
        """Whether it opens anything."""
        return self.revoked_ns is None


@dataclass(frozen=True, slots=True)
class BrowserSession:
    """A browser that was signed in with a key. `digest` is the SHA-256 of its cookie, hexadecimal."""

    digest: str
    key_id: str
    created_ns: int
    expires_ns: int


def read_keys(connection: Connection) -> list[ApiKey]:
    """Return all keys in the order in which they were made."""
    if not inspect(connection).has_table(api_key.name):  # a catalog of an earlier version
        return []
    c = api_key.c
    names = (c.key_id, c.name, c.scope, c.project, c.digest, c.created_ns, c.created_by, c.revoked_ns, c.revoked_by)
    query = select(*names).order_by(c.created_ns, c.key_id)
    return [ApiKey(*row) for row in connection.execute(query)]


def read_keyring(connection: Connection) -> tuple[list[ApiKey], list[BrowserSession]]:
    """Return all keys, and all browsers that are signed in."""
    keys = read_keys(connection)
    if not keys:
        return [], []
    c = browser_session.c
    query = select(c.digest, c.key_id, c.created_ns, c.expires_ns).where(c.expires_ns > time.time_ns())
    return keys, [BrowserSession(*row) for row in connection.execute(query)]


def insert_key(connection: Connection, key: ApiKey) -> ApiKey | None:
    """Keep a new key. Returns the live one that has its name already, and then keeps nothing."""
    c = api_key.c
    if connection.execute(select(c.key_id).where(c.name == key.name, c.revoked_ns.is_(None))).first():
        return next(one for one in read_keys(connection) if one.name == key.name and one.is_live)
    row = {name: getattr(key, name) for name in ApiKey.__slots__}
    connection.execute(insert(api_key), [row])
    _log(connection, "create key", key, By(key.created_by, key.created_ns))
    return None


def insert_first_key(connection: Connection, key: ApiKey) -> bool:
    """Keep a key where there was never one; say whether that was so."""
    if connection.execute(select(api_key.c.key_id).limit(1)).first() is not None:
        return False
    return insert_key(connection, key) is None


def revoke_key(connection: Connection, name_or_id: str, by: By) -> ApiKey | None:
    """Revoke a key, named by its id or, while it is live, its name; sign out all browsers signed in with it.

    Returns the key as it was; None where there is none.
    """
    keys = read_keys(connection)
    found = next((key for key in keys if key.key_id == name_or_id), None)
    found = found or next((key for key in keys if key.is_live and key.name == name_or_id), None)
    if found is None or not found.is_live:
        return found
    change = {"revoked_ns": by.at_ns, "revoked_by": by.who}
    connection.execute(update(api_key).where(api_key.c.key_id == found.key_id).values(**change))
    connection.execute(delete(browser_session).where(browser_session.c.key_id == found.key_id))
    _log(connection, "revoke key", found, by)
    return found


def insert_session(connection: Connection, session: BrowserSession, key: ApiKey) -> None:
    """Keep a browser that was signed in; forget those whose time is over."""
    c = browser_session.c
    connection.execute(delete(browser_session).where(c.expires_ns <= session.created_ns))
    newest = select(c.digest).where(c.key_id == key.key_id).order_by(c.created_ns.desc(), c.digest)
    surplus = list(connection.execute(newest.offset(_MAX_SESSIONS - 1)).scalars())
    if surplus:
        connection.execute(delete(browser_session).where(c.digest.in_(surplus)))
    row = {name: getattr(session, name) for name in BrowserSession.__slots__}
    connection.execute(insert(browser_session), [row])
    _log(connection, "sign in", key, By(key.name, session.created_ns))


def delete_session(connection: Connection, digest: str, key: ApiKey, at_ns: int) -> None:
    """Forget a browser that was signed in."""
    connection.execute(delete(browser_session).where(browser_session.c.digest == digest))
    _log(connection, "sign out", key, By(key.name, at_ns))


def _log(connection: Connection, action: str, key: ApiKey, by: By) -> None:
    """Add to the log of decisions, by which others also notice that something changed."""
    reason = f"{key.scope} key {key.name}"
    row = {"at_ns": by.at_ns, "who": by.who, "action": action, "project": key.project or "", "run_id": key.key_id}
    connection.execute(insert(decision), [{**row, "reason": reason}])
