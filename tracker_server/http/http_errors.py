"""Errors as the HTTP API tells them: where, got, expected, remedy."""

from __future__ import annotations

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

from tracker_core.errors import NotFoundError, UsageError

from ..catalog.decisions import CatalogError
from ..ingest.journal_tail import NotKeptError
from ..runs.filter_syntax import SearchError
from ..store.store_connection import DatabaseAwayError
from .access import Action, RefusedError
from .security_headers import SECURITY_HEADERS
from .sign_in_pages import NOT_ALLOWED

_DOING = {
    Action.PUBLIC: "see",
    Action.READ: "read",
    Action.WRITE: "send runs to",
    Action.CHANGE: "change",
    Action.ADMIN: "administer",
}


class ErrorDetail(msgspec.Struct, omit_defaults=True):
    """What went wrong and what to do; `position` is how many characters of a filter or sort key are before it."""

    where: str
    got: str
    expected: str
    remedy: str
    position: int | None = None


class ErrorBody(msgspec.Struct):
    """The body of every reply that is an error."""

    error: ErrorDetail


def json_response(value: object, status_code: int = 200) -> Response:
    """Return `value`, of msgspec Structs and plain types, as a JSON reply that is never cached."""
    headers = {"Cache-Control": "no-store"}
    return Response(msgspec.json.encode(value), status_code, headers, media_type="application/json")


def error_response(status_code: int, where: str, got: str, expected: str, remedy: str) -> Response:
    """Return an error reply."""
    return json_response(ErrorBody(ErrorDetail(where, got, expected, remedy)), status_code)


def too_many_tries(where: str, seconds: int) -> Response:
    """Return the answer to a wrong key after too many others."""
    reply = error_response(429, where, "too many wrong keys", "a valid key", f"try again in {seconds} s")
    reply.headers["Retry-After"] = str(seconds)
    return reply


class TooLargeError(Exception):
    """A request's body is larger than its route accepts; the argument says how large that is."""


def add_error_handlers(app: FastAPI) -> None:
    """Make the application answer known errors in this form."""
    _answer_questions(app)
    _answer_refused(app)
    _answer_bodies(app)
    _answer_faults(app)


def _answer_questions(app: FastAPI) -> None:
    """Answer what is wrong with what was asked for."""

    @app.exception_handler(UsageError)
    async def usage(_: Request, error: UsageError) -> Response:
        return error_response(422, error.where, error.got, error.expected, error.remedy)

    @app.exception_handler(SearchError)
    async def search(_: Request, error: SearchError) -> Response:
        detail = ErrorDetail(error.where, error.got, error.expected, error.remedy, error.position)
        return json_response(ErrorBody(detail), 400)

    @app.exception_handler(NotFoundError)
    async def not_found(request: Request, error: NotFoundError) -> Response:
        return error_response(404, request.url.path[:300], str(error)[:500], "something that exists", "check the name")

    @app.exception_handler(RequestValidationError)
    async def invalid_query(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0] if error.errors() else {}
        where = ".".join(str(part) for part in first.get("loc", ()))
        got = repr(first.get("input"))[:200]
        return error_response(422, where, got, str(first.get("msg", "a valid request")), "see /api/v1/openapi.json")

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        where = f"{request.method} {request.url.path}"[:300]
        reply = error_response(error.status_code, where, str(error.detail), "a documented route", "check the address")
        for name, value in (error.headers or {}).items():
            reply.headers[name] = value
        return reply


def _answer_refused(app: FastAPI) -> None:
    """Answer who may not do what was asked for."""

    @app.exception_handler(RefusedError)
    async def refused(request: Request, error: RefusedError) -> Response:
        where = f"{request.method} {request.url.path}"[:300]
        if not error.is_known:
            remedy = "send a key in the header Authorization: Bearer"
            return error_response(401, where, "no valid key or cookie", "a signed-in caller", remedy)
        if request.method == "GET" and not request.url.path.startswith("/api/"):
            return HTMLResponse(NOT_ALLOWED, 403, {"Cache-Control": "no-store"})
        got = f"the key {error.principal.name!r}, which may not do this"[:300]
        place = "the whole server" if error.project is None else f"project {error.project!r}"[:200]
        expected = f"a key that may {_DOING[error.action]} {place}"
        return error_response(403, where, got, expected, "ask an admin of the server for one: tracker keys create")


def _answer_bodies(app: FastAPI) -> None:
    """Answer what is wrong with the body of a request."""

    @app.exception_handler(msgspec.ValidationError)
    async def invalid(request: Request, error: msgspec.ValidationError) -> Response:
        remedy = "see /api/v1/openapi.json"
        return error_response(422, f"body of {request.url.path}"[:300], str(error)[:500], "the documented form", remedy)

    @app.exception_handler(msgspec.DecodeError)
    async def malformed(request: Request, error: msgspec.DecodeError) -> Response:
        where = f"body of {request.url.path}"[:300]
        return error_response(400, where, str(error)[:500], "valid JSON", "send the body as JSON in UTF-8")

    @app.exception_handler(TooLargeError)
    async def too_large(request: Request, error: TooLargeError) -> Response:
        where = f"body of {request.url.path}"[:300]
        return error_response(413, where, "a larger body", f"at most {error} bytes", "ask for less at once")


def _answer_faults(app: FastAPI) -> None:
    """Answer what is wrong here."""

    @app.exception_handler(CatalogError)
    async def catalog(_: Request, error: CatalogError) -> Response:
        return error_response(503, error.where, error.got[:500], error.expected, error.remedy)

    @app.exception_handler(DatabaseAwayError)
    async def away(_: Request, error: DatabaseAwayError) -> Response:
        remedy = "try again when it is back; what runs log meanwhile is kept"
        return error_response(503, error.place, error.reason[:500], "a database that answers", remedy)

    @app.exception_handler(NotKeptError)
    async def not_kept(request: Request, error: NotKeptError) -> Response:
        remedy = "restore a backup with: tracker db restore"
        return error_response(500, request.url.path[:300], str(error)[:500], "an intact chunk in the store", remedy)

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> Response:
        # This one is sent from outside the gate, which therefore adds no headers. The log has the traceback.
        got = f"a fault of the server: {type(error).__name__}"
        reply = error_response(500, request.url.path[:300], got, "an answer", "see the server's log and report it")
        reply.headers.update(SECURITY_HEADERS)
        return reply
