"""What can go wrong between this process and a server."""

from __future__ import annotations

from ..errors import TrackerError


class ServerError(TrackerError):
    """A server was asked and gave no answer that is one. Says where, what was got, what was expected, the remedy."""

    def __init__(self, where: str, got: str, expected: str, remedy: str) -> None:
        super().__init__(where, got, expected, remedy)
        self.where, self.got, self.expected, self.remedy = where, got, expected, remedy

    def __str__(self) -> str:
        return f"{self.where}: got {self.got}, expected {self.expected}. Remedy: {self.remedy}."


class ServerAwayError(ServerError):
    """Nothing answers at the address, or not in time, or it says that it cannot answer now."""


class BrokenReplyError(ServerAwayError):
    """The reply ended before its end."""


class WrongKeyError(ServerError):
    """The server does not know the key, or wants one (401)."""


class NotPermittedError(ServerError):
    """The key may not do this, or not in this project (403)."""


class NoTrackerServerError(ServerError):
    """What answers is no tracker server: a captive portal, a proxy, a redirect, another program."""


class ServerVersionError(ServerError):
    """The server is of a version that this one does not understand."""


class RequestTooLargeError(ServerError):
    """The server, or a proxy before it, takes no request as large (413)."""
