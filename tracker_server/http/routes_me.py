"""The route that tells a page who looks at it, so that it shows only what may be done."""

from __future__ import annotations

import msgspec
from fastapi import Request
from starlette.responses import Response

from .access import Action, RouteTable, principal_of
from .api_schema import documented
from .authorize import Scope
from .http_errors import json_response


class Me(msgspec.Struct):
    """Who asks: `scope` is read, write or admin, of `project` alone where that is not null.

    `has_key`: signed in with a key, and can sign out; else on the folder of whoever started the server.
    """

    name: str
    scope: str
    project: str | None
    has_key: bool


def add_me_route(routes: RouteTable, prefix: str) -> None:
    """Declare the route."""

    @routes.add("GET", f"{prefix}/me", Action.READ, per_project=True, **documented(Me))
    async def me(request: Request) -> Response:
        who = principal_of(request)
        scope = Scope.READ if who.scope is None else who.scope
        return json_response(Me(who.name, scope.value, who.project, bool(who.key_id)))
