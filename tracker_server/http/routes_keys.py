"""The routes that make, list and revoke keys."""

from __future__ import annotations

import time

import msgspec
from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from ..catalog.decisions import By
from ..store.store_api_keys import ApiKey
from .access import Action, RouteTable, principal_of
from .api_keys import ApiKeys
from .api_schema import documented
from .http_body import read_body
from .http_errors import json_response


class KeyRow(msgspec.Struct):
    """A key. `project` is null for all; `revoked_s` null while it opens something. Times are s since 1970."""

    id: str
    name: str
    scope: str
    project: str | None
    created_s: float
    created_by: str
    revoked_s: float | None
    revoked_by: str


class KeyList(msgspec.Struct):
    keys: list[KeyRow]


class KeyWish(msgspec.Struct):
    """A key to be made: `scope` admin, write or read; `project` null for all."""

    name: str
    scope: str
    project: str | None = None


class NewKey(msgspec.Struct):
    """A key that was made. `key` is the secret, which is not told again."""

    key: str
    about: KeyRow


_decoder = msgspec.json.Decoder(KeyWish)


def add_key_routes(routes: RouteTable, keys: ApiKeys, prefix: str) -> None:
    """Declare the routes of keys."""

    @routes.add("GET", f"{prefix}/keys", Action.ADMIN, **documented(KeyList))
    def listing() -> Response:
        return json_response(KeyList([key_row(key) for key in keys.all_keys()]))

    @routes.add("POST", f"{prefix}/keys", Action.ADMIN, **documented(NewKey, body=KeyWish))
    async def create(request: Request) -> Response:
        wish = _decoder.decode(await read_body(request))
        by = By(principal_of(request).name, time.time_ns())
        secret, key = await run_in_threadpool(keys.create, wish.name, wish.scope, wish.project, by)
        return json_response(NewKey(secret, key_row(key)))

    @routes.add("DELETE", f"{prefix}/keys/{{key_id:path}}", Action.ADMIN, **documented(KeyRow))
    def revoke(key_id: str, request: Request) -> Response:
        by = By(principal_of(request).name, time.time_ns())
        return json_response(key_row(keys.revoke(key_id, by)))


def key_row(key: ApiKey) -> KeyRow:
    """Return a key as the API tells it."""
    revoked_s = None if key.revoked_ns is None else key.revoked_ns / 1e9
    created_s = key.created_ns / 1e9
    return KeyRow(key.key_id, key.name, key.scope, key.project, created_s, key.created_by, revoked_s, key.revoked_by)
