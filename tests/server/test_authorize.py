"""Who may do what, as a table."""

from __future__ import annotations

import itertools

import pytest

from tracker_server.http.access import RouteTable
from tracker_server.http.authorize import NOBODY, Action, Principal, Scope, authorize, local_owner

PRINCIPALS = {
    "nobody": NOBODY,
    "owner": local_owner("me"),
    "admin": Principal("a", Scope.ADMIN),
    "write": Principal("w", Scope.WRITE),
    "read": Principal("r", Scope.READ),
    "write p": Principal("wp", Scope.WRITE, "p"),
    "read p": Principal("rp", Scope.READ, "p"),
}
# Principal -> what it may do to: project p, project q, the whole server.
TABLE = {
    "nobody": ("", "", ""),
    "owner": ("read write change admin", "read write change admin", "read write change admin"),
    "admin": ("read write change admin", "read write change admin", "read write change admin"),
    "write": ("read write change", "read write change", "read write change"),
    "read": ("read", "read", "read"),
    "write p": ("read write change", "", ""),
    "read p": ("read", "", ""),
}


@pytest.mark.parametrize(("who", "action"), list(itertools.product(PRINCIPALS, Action)))
def test_the_table_holds(who: str, action: Action) -> None:
    for resource, allowed in zip(("p", "q", None), TABLE[who], strict=True):
        is_expected = action is Action.PUBLIC or action.value in allowed.split()
        assert authorize(PRINCIPALS[who], action, resource) is is_expected, resource


@pytest.mark.parametrize("project", ["P", "p ", " p", "p\0", "", "p/", "*", "%70", "p\u200b"])
def test_a_project_is_itself_and_no_other_that_looks_like_it(project: str) -> None:
    assert not authorize(PRINCIPALS["write p"], Action.READ, project)


def test_a_key_for_a_project_without_a_name_is_not_one_for_all() -> None:
    nameless = Principal("x", Scope.WRITE, "")
    assert not authorize(nameless, Action.READ, "p") and not authorize(nameless, Action.READ, None)


def test_a_route_cannot_be_declared_without_what_it_does() -> None:
    with pytest.raises(TypeError):
        RouteTable().add("GET", "/x")  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="public route cannot have parameters"):
        RouteTable().add("GET", "/x/{name}", Action.PUBLIC)
    with pytest.raises(ValueError, match="leave per_project out"):
        RouteTable().add("GET", "/x/{project}", Action.READ, per_project=True)
