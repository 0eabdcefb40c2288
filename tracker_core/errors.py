"""Errors that users see. Each says where it happened, what was got, what was expected and the remedy."""

from __future__ import annotations


class TrackerError(Exception):
    """Base of all errors raised by the tracker."""


class UsageError(TrackerError, ValueError):
    """The call itself is wrong. Raised at once; nothing logged before is lost.

    Args:
        where: the call and argument, as the user wrote it.
        got: what was passed.
        expected: what would have been right.
        remedy: what to do now.
    """

    def __init__(self, where: str, got: str, expected: str, remedy: str) -> None:
        super().__init__(where, got, expected, remedy)
        self.where, self.got, self.expected, self.remedy = where, got, expected, remedy

    def __str__(self) -> str:
        return f"{self.where}: got {self.got}, expected {self.expected}. Remedy: {self.remedy}."


class NotFoundError(TrackerError, LookupError):
    """A run, project or metric that was asked for does not exist. The message says where it was looked for."""


class NoRunError(UsageError, AttributeError):
    """`tracker_core.log`, `.config` or `.summary` was used with no run active in this process."""
