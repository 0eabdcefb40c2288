"""Errors as a server tells them and as they are raised here, so that they are the same as those of a folder."""

from __future__ import annotations

import msgspec

from tracker_core.artifacts.errors import DamagedChunkError, MissingChunksError
from tracker_core.errors import NotFoundError, TrackerError, UsageError
from tracker_core.remote.server_errors import ServerAwayError, ServerError

from ..catalog.decisions import CatalogError
from ..ingest.journal_tail import NotKeptError
from ..query.folder_index import LostPieceError
from ..runs.filter_syntax import SearchError
from ..store.store_connection import DatabaseAwayError
from .exact_wire import Fault

# Stands for the place where the server has its runs; who asks knows it by the server's address.
_PLACE = "\x00place\x00"
KNOWN = (
    NotFoundError,
    UsageError,
    SearchError,
    CatalogError,
    LostPieceError,
    NotKeptError,
    DatabaseAwayError,
    MissingChunksError,
    DamagedChunkError,
)
_STATUSES = {"not_found": 404, "usage": 422, "search": 400, "missing": 409}
_MAX_DIGESTS = 10_000
_decoder = msgspec.msgpack.Decoder(Fault)


def fault_of(error: Exception, place: str) -> Fault:
    """Return an error of `KNOWN` as it is told; `place` is not."""
    found = _fault_of(error)
    texts = ("message", "where", "got", "expected", "remedy")
    shown = {name: getattr(found, name).replace(place, _PLACE)[:20_000] for name in texts}
    return msgspec.structs.replace(found, **shown)


def status_of(fault: Fault) -> int:
    """Return the status of a reply that is an error."""
    return _STATUSES.get(fault.kind, 500)


def error_of(content: bytes, address: str) -> Exception:
    """Return the error that a server tells; `address` is the server's."""
    try:
        fault = _decoder.decode(content)
    except msgspec.MsgspecError:
        return _odd_fault(address)
    told = (fault.where, fault.got, fault.expected, fault.remedy)
    where, got, expected, remedy = parts = [text.replace(_PLACE, address) for text in told]
    message = fault.message.replace(_PLACE, address)
    match fault.kind:
        case "not_found":
            return NotFoundError(message)
        case "usage":
            return UsageError(*parts)
        case "search":
            return SearchError(where, got, expected, remedy, fault.position)
        case "catalog":
            return CatalogError(*parts)
        case "lost":
            return LostPieceError()
        case "away":
            return ServerAwayError(*parts)
        case "missing":
            return MissingChunksError(where, fault.digests)
        case "damaged" if fault.digests:
            return DamagedChunkError(where, fault.digests[0])
        case "fault":
            return ServerError(*parts)
    return _odd_fault(address)


def _fault_of(error: Exception) -> Fault:
    if isinstance(error, DatabaseAwayError):
        remedy = "try again when it is back; what runs log meanwhile is kept"
        return Fault("away", "", "the server's database", error.reason, "a database that answers", remedy)
    if isinstance(error, NotFoundError):
        return Fault("not_found", str(error))
    if isinstance(error, LostPieceError):
        return Fault("lost")
    if isinstance(error, MissingChunksError):
        return Fault("missing", where=error.where, digests=sorted(error.digests)[:_MAX_DIGESTS])
    if isinstance(error, DamagedChunkError):
        return Fault("damaged", where=error.where, digests=[error.digest])
    if isinstance(error, (UsageError, SearchError, CatalogError)):
        kind = "search" if isinstance(error, SearchError) else "usage" if isinstance(error, UsageError) else "catalog"
        parts = (error.where, error.got, error.expected, error.remedy)
        return Fault(kind, "", *parts, getattr(error, "position", None))
    remedy = "look at the server's log, and restore a backup with: tracker db restore"
    return Fault("fault", "", "the server's store", str(error), "an intact chunk", remedy)


def _odd_fault(address: str) -> TrackerError:
    return ServerError(address, "an error in a form that is not known", "a known form", "compare `tracker --version`")
