"""Who may do what: one pure question, which every route and every list asks. What is not allowed here is refused."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum


class Action(Enum):
    """What a route does.

    PUBLIC: what anybody may see who reaches the port under an allowed Host. READ: show what a project has. WRITE: send
    runs to it. CHANGE: archive, delete, stop and edit its runs. ADMIN: what concerns the server, such as keys.
    """

    PUBLIC = "public"
    READ = "read"
    WRITE = "write"
    CHANGE = "change"
    ADMIN = "admin"


class Scope(StrEnum):
    """What a key is for."""

    ADMIN = "admin"
    WRITE = "write"
    READ = "read"


_ALLOWED = {
    Scope.READ: frozenset({Action.READ}),
    Scope.WRITE: frozenset({Action.READ, Action.WRITE, Action.CHANGE}),
    Scope.ADMIN: frozenset({Action.READ, Action.WRITE, Action.CHANGE, Action.ADMIN}),
}


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks.

    Attributes:
        name: as decisions name it.
        scope: what it may do; None for somebody unknown.
        project: the only project where it may do so, None for all.
        key_id: of the key that it holds, "" where there is none.
    """

    name: str
    scope: Scope | None
    project: str | None = None
    key_id: str = ""


NOBODY = Principal("nobody", None)


def local_owner(name: str) -> Principal:
    """Return whoever started `tracker ui` on their own folder: they may do everything."""
    return Principal(name, Scope.ADMIN)


def authorize(principal: Principal, action: Action, resource: str | None) -> bool:
    """Say whether `principal` may do `action` to a project, or with None to the server and all of its projects."""
    if action is Action.PUBLIC:
        return True
    if principal.scope is None or action not in _ALLOWED[principal.scope]:
        return False
    return principal.project is None or principal.project == resource
