"""The routes that a browser opens: signing in, the one HTML page, the dashboard's files."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from .access import Access, RouteTable
from .gate import small_page
from .http_errors import error_response
from .local_auth import LocalAuth
from .static_files import Dashboard

_COOKIE_AGE_S = 365 * 86400
_IMMUTABLE = "public, max-age=31536000, immutable"


def add_page_routes(routes: RouteTable, auth: LocalAuth, dashboard: Dashboard) -> None:
    """Declare the pages' routes."""
    hidden = {"response_model": None, "include_in_schema": False}

    @routes.add("GET", "/login", Access.PUBLIC, **hidden)
    async def login(request: Request, key: str = "") -> Response:
        cookies = request.headers.get("cookie", "")
        if not auth.take_login_key(key) and not auth.is_signed_in(cookies, ""):
            text = "This link was used already, or is not one of this server. Run <code>tracker ui</code> again."
            return HTMLResponse(small_page("Link used up", text), 401, {"Cache-Control": "no-store"})
        return _signed_in(request, auth)

    @routes.add("GET", "/", Access.SIGNED_IN, **hidden)
    @routes.add("GET", "/p/{project}", Access.SIGNED_IN, **hidden)
    @routes.add("GET", "/p/{project}/r/{run_id}", Access.SIGNED_IN, **hidden)
    def page() -> Response:
        return HTMLResponse(dashboard.page(), headers={"Cache-Control": "no-cache"})

    @routes.add("GET", "/favicon.ico", Access.SIGNED_IN, **hidden)
    def favicon() -> Response:
        file = dashboard.file("favicon.svg")
        return Response(status_code=204) if file is None else Response(file.content, media_type=file.media_type)

    @routes.add("GET", "/static/{version}/{name:path}", Access.SIGNED_IN, **hidden)
    def static(version: str, name: str) -> Response:
        file = dashboard.file(name)
        if file is None:
            return error_response(404, f"/static/{name}"[:300], "no such file", "a file of the dashboard", "reload")
        # An address of another version gets today's content, which must not be kept under it.
        caching = _IMMUTABLE if version == dashboard.version else "no-store"
        return Response(file.content, headers={"Cache-Control": caching}, media_type=file.media_type)


def _signed_in(request: Request, auth: LocalAuth) -> Response:
    if request.headers.get("sec-fetch-site", "none") in ("none", "same-origin"):
        reply: Response = RedirectResponse("/", status_code=303)
    else:
        # A SameSite=Strict cookie is not sent along a redirect that another site began; it is from this page on.
        page = small_page("Signed in", 'Opening <a href="/">the dashboard</a> ...')
        reply = HTMLResponse(page.replace("<title>", '<meta http-equiv="refresh" content="0;url=/"><title>', 1))
    reply.set_cookie(
        auth.cookie_name, auth.cookie_value, max_age=_COOKIE_AGE_S, httponly=True, samesite="strict", path="/"
    )
    reply.headers["Cache-Control"] = "no-store"
    return reply
