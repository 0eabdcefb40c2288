"""The routes that a browser opens: the one HTML page, the dashboard's files."""

from __future__ import annotations

from typing import Any

from starlette.responses import HTMLResponse, Response

from .access import Action, RouteTable
from .http_errors import error_response
from .static_files import Dashboard

_IMMUTABLE = "public, max-age=31536000, immutable"


_HIDDEN: dict[str, Any] = {"response_model": None, "include_in_schema": False}


def add_page_routes(routes: RouteTable, dashboard: Dashboard) -> None:
    """Declare the pages' routes."""

    @routes.add("GET", "/", Action.READ, per_project=True, **_HIDDEN)
    @routes.add("GET", "/alerts", Action.READ, per_project=True, **_HIDDEN)
    @routes.add("GET", "/p/{project}", Action.READ, **_HIDDEN)
    @routes.add("GET", "/p/{project}/alerts", Action.READ, **_HIDDEN)
    @routes.add("GET", "/p/{project}/r/{run_id}", Action.READ, **_HIDDEN)
    @routes.add("GET", "/artifacts", Action.READ, per_project=True, **_HIDDEN)
    @routes.add("GET", "/p/{project}/a", Action.READ, **_HIDDEN)
    @routes.add("GET", "/p/{project}/a/{name}", Action.READ, **_HIDDEN)
    @routes.add("GET", "/p/{project}/a/{name}/{which}", Action.READ, **_HIDDEN)
    @routes.add("GET", "/registry", Action.READ, per_project=True, **_HIDDEN)
    @routes.add("GET", "/registry/{model}", Action.READ, per_project=True, **_HIDDEN)
    def page() -> Response:
        return HTMLResponse(dashboard.page(), headers={"Cache-Control": "no-cache"})

    @routes.add("GET", "/favicon.ico", Action.READ, per_project=True, **_HIDDEN)
    def favicon() -> Response:
        file = dashboard.file("favicon.svg")
        return Response(status_code=204) if file is None else Response(file.content, media_type=file.media_type)

    @routes.add("GET", "/static/{version}/{name:path}", Action.READ, per_project=True, **_HIDDEN)
    def static(version: str, name: str) -> Response:
        file = dashboard.file(name)
        if file is None:
            return error_response(404, f"/static/{name}"[:300], "no such file", "a file of the dashboard", "reload")
        # An address of another version gets today's content, which must not be kept under it.
        caching = _IMMUTABLE if version == dashboard.version else "no-store"
        return Response(file.content, headers={"Cache-Control": caching}, media_type=file.media_type)
