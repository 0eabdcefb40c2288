"""The chain of hashes over the changes of the registry: how an entry is hashed, and what is wrong with a chain. Pure.

The hash of an entry is the SHA-256 of the ASCII text of the JSON array

    [previous_hash, number, at_ns, who, action, model, version, detail, why]

with object keys sorted, no spaces, and everything beyond ASCII as \\uXXXX escapes: what
`json.dumps(values, sort_keys=True, separators=(",", ":"))` of Python gives. The first entry has number 1 and, as its
previous hash, 64 zeros. As each hash covers the one before, none can be changed, added or left out in the middle
without changing all that follow. That entries are missing at the end shows only against a hash noted elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tracker_core.artifacts.wire import AuditEntry

FIRST_PREVIOUS = "0" * 64
_MAX_TROUBLES = 100


def next_entry(
    last: tuple[int, str] | None,
    at_ns: int,
    who: str,
    action: str,
    model: str,
    version: int | None,
    detail: Mapping[str, Any],
    why: str,
) -> AuditEntry:
    """Return the entry that follows the one of this number and hash; None for `last` begins a chain."""
    number, previous_hash = (1, FIRST_PREVIOUS) if last is None else (last[0] + 1, last[1])
    unhashed = AuditEntry(
        number=number,
        at_ns=at_ns,
        who=who,
        action=action,
        model=model,
        version=version,
        detail=dict(detail),
        why=why,
        previous_hash=previous_hash,
        hash="",
    )
    return msgspec.structs.replace(unhashed, hash=entry_hash(unhashed))


def entry_hash(entry: AuditEntry) -> str:
    """Return the hash that an entry should have, hexadecimal."""
    e = entry
    values = [e.previous_hash, e.number, e.at_ns, e.who, e.action, e.model, e.version, e.detail, e.why]
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


@dataclass(slots=True)
class ChainCheck:
    """Checks a chain entry by entry, from its beginning.

    Attributes:
        n_entries: how many were seen.
        head: the last hash that was seen.
        troubles: what is wrong, at most a hundred.
    """

    n_entries: int = 0
    head: str = FIRST_PREVIOUS
    troubles: list[str] = field(default_factory=list)
    _number: int = 0

    def add(self, entries: Iterable[AuditEntry]) -> None:
        """Check the entries that follow."""
        for entry in entries:
            for trouble in self._look(entry):
                if len(self.troubles) < _MAX_TROUBLES:
                    self.troubles.append(trouble)
            self.n_entries, self._number, self.head = self.n_entries + 1, entry.number, entry.hash

    def _look(self, entry: AuditEntry) -> Iterable[str]:
        if entry.number != self._number + 1:
            yield f"entry {entry.number}: number {self._number + 1} is missing before it"
        if entry.previous_hash != self.head:
            yield f"entry {entry.number}: it does not follow the one before it"
        if entry.hash != entry_hash(entry):
            yield f"entry {entry.number}: it was changed: its content does not have its hash"
