"""Who may call a route. What is not declared here is refused by the gate."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, TypeVar

from fastapi import FastAPI

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


class Access(Enum):
    """PUBLIC: anyone who reaches the port under an allowed Host. SIGNED_IN: with the cookie or the token."""

    PUBLIC = "public"
    SIGNED_IN = "signed in"


class RouteTable:
    """Routes that cannot be declared without saying who may call them."""

    def __init__(self) -> None:
        self.access: dict[str, Access] = {}
        self._routes: list[tuple[str, str, Callable[..., Any], dict[str, Any]]] = []

    def add(self, method: str, path: str, access: Access, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Return a decorator that serves `path`. A public path has no parameters, so that it is matched exactly."""
        if access is Access.PUBLIC and "{" in path:
            raise ValueError(f"route {path}: a public route cannot have parameters; declare it SIGNED_IN")
        self.access[path] = access

        def register(endpoint: Endpoint) -> Endpoint:
            self._routes.append((method, path, endpoint, options))
            return endpoint

        return register

    def attach(self, app: FastAPI) -> None:
        """Make the application serve all routes declared so far."""
        for method, path, endpoint, options in self._routes:
            app.add_api_route(path, endpoint, methods=[method], **options)

    def is_public(self, path: str) -> bool:
        """Say whether a request path is that of a public route."""
        return self.access.get(path) is Access.PUBLIC
