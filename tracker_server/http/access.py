"""What each route does, and to which project. A route cannot be declared without; the guard asks before it runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import Depends, FastAPI, Request

from .authorize import NOBODY, Principal, authorize
from .authorize import Action as Action

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
PROJECT = "project"
_PRINCIPAL, _IS_LIVE, _ROUTE = "principal", "is_live", "route"


class RefusedError(Exception):
    """Who asks may not do this. `is_known` says whether a valid key or cookie was sent."""

    def __init__(self, principal: Principal, action: Action, project: str | None) -> None:
        super().__init__(principal.name, action, project)
        self.is_known = principal.scope is not None
        self.principal, self.action, self.project = principal, action, project


@dataclass(frozen=True, slots=True)
class Route:
    """A declared route.

    Attributes:
        method, path: which requests it answers.
        action: what it does.
        per_project: it names no project in its path, and asks `authorize` itself for each project that it touches.
    """

    method: str
    path: str
    action: Action
    per_project: bool
    endpoint: Callable[..., Any]
    options: dict[str, Any]


class RouteTable:
    """Routes that cannot be declared without saying what they do."""

    def __init__(self) -> None:
        self.routes: list[Route] = []
        self._public: set[str] = set()

    def add(
        self, method: str, path: str, action: Action, per_project: bool = False, **options: Any
    ) -> Callable[[Endpoint], Endpoint]:
        """Return a decorator that serves `path`.

        The guard lets a principal through that may do `action` to the project in the path. Without one it is to be
        allowed on the whole server, unless `per_project` says that the route asks `authorize` for each project itself:
        then a key for any project comes through. A public path has no parameters, so that it is matched exactly.
        """
        if action is Action.PUBLIC and "{" in path:
            raise ValueError(f"route {path}: a public route cannot have parameters; declare what it does")
        if per_project and f"{{{PROJECT}}}" in path:
            raise ValueError(f"route {path}: the guard asks for the project in its path; leave per_project out")
        if action is Action.PUBLIC:
            self._public.add(path)

        def register(endpoint: Endpoint) -> Endpoint:
            self.routes.append(Route(method, path, action, per_project, endpoint, options))
            return endpoint

        return register

    def attach(self, app: FastAPI) -> None:
        """Make the application serve all routes declared so far, each behind its guard."""
        for route in self.routes:
            guard = [Depends(_guard(route))]
            app.add_api_route(route.path, route.endpoint, methods=[route.method], dependencies=guard, **route.options)

    def is_public(self, path: str) -> bool:
        """Say whether a request path is that of a public route."""
        return path in self._public


def set_principal(scope: Any, principal: Principal, is_live: Callable[[], Awaitable[bool]]) -> None:
    """Say of an ASGI request who asks, and how to learn later whether they still may."""
    scope.setdefault("state", {}).update({_PRINCIPAL: principal, _IS_LIVE: is_live})


def principal_of(request: Request) -> Principal:
    """Return who asks, as the gate found out."""
    return principal_in(request.scope)


def principal_in(scope: Any) -> Principal:
    """Return who sent an ASGI request, as the gate found out."""
    found: Principal = scope.get("state", {}).get(_PRINCIPAL, NOBODY)
    return found


async def is_still_known(request: Request) -> bool:
    """Say whether who asks is not revoked meanwhile; for replies that go on for long."""
    is_live: Callable[[], Awaitable[bool]] = request.scope["state"][_IS_LIVE]
    return await is_live()


def route_of(scope: Any) -> str:
    """Return the declared path of the route that answered a request, "" where none did."""
    return str(scope.get("state", {}).get(_ROUTE, ""))


def require(principal: Principal, action: Action, project: str | None) -> None:
    """Raise RefusedError unless `principal` may do `action` to a project, or with None to the whole server."""
    if not authorize(principal, action, project):
        raise RefusedError(principal, action, project)


def _guard(route: Route) -> Callable[[Request], Any]:
    async def guard(request: Request) -> None:
        request.scope.setdefault("state", {})[_ROUTE] = route.path
        principal = principal_of(request)
        project = principal.project if route.per_project else request.path_params.get(PROJECT)
        require(principal, route.action, project)

    return guard
