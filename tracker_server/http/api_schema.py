"""The API's description in OpenAPI, made from the msgspec Structs that the routes answer with."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import FastAPI
from starlette.responses import Response

from .access import Action, RouteTable
from .http_errors import ErrorBody, json_response

_REF = "#/components/schemas/{name}"
_described: dict[str, type] = {"ErrorBody": ErrorBody}


def documented(reply: type | None, body: type | None = None) -> dict[str, Any]:
    """Return the options of a route that describe its JSON reply and body; None leaves out what is not JSON."""
    options: dict[str, Any] = {"response_model": None}
    for struct in (reply, body):
        if struct is not None:
            _described[struct.__name__] = struct
    errors = {"description": "where, got, expected, remedy", "content": _json("ErrorBody")}
    options["responses"] = {"default": errors}
    if reply is not None:
        options["responses"][200] = {"description": "success", "content": _json(reply.__name__)}
    if body is not None:
        options["openapi_extra"] = {"requestBody": {"required": True, "content": _json(body.__name__)}}
    return options


def describe(app: FastAPI, routes: RouteTable, path: str) -> None:
    """Make `app.openapi()` hold the schemas of all documented Structs, and declare a route that serves it."""
    make = app.openapi

    def openapi() -> dict[str, Any]:
        if not app.openapi_schema:
            schema = make()
            _, components = msgspec.json.schema_components(_described.values(), ref_template=_REF)
            schema.setdefault("components", {}).setdefault("schemas", {}).update(components)
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]

    @routes.add("GET", path, Action.READ, per_project=True, response_model=None, include_in_schema=False)
    def description() -> Response:
        return json_response(openapi())


def _json(name: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _REF.format(name=name)}}}
