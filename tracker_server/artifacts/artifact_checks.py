"""What is committed and changed is looked at first: it may come from anywhere. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from tracker_core.artifacts.names import (
    LATEST,
    check_alias,
    check_aliases,
    check_metadata,
    check_name,
    check_tags,
    check_ttl_days,
    check_type,
)
from tracker_core.artifacts.wire import NewVersion, Retention, RunRef, Use, VersionEdit
from tracker_core.errors import UsageError
from tracker_core.paths import check_project, check_run_id

MAX_TEXT_CHARS = 1 << 20
MAX_WHY_CHARS = 2000
_MAX_LABELS = 1000
_MAX_USED_AS_CHARS = 128
_INT64_MAX = (1 << 63) - 1
_UID = re.compile(r"[0-9a-f]{32}")


def checked_new(new: NewVersion) -> NewVersion:
    """Return a version to be committed with valid names; raises UsageError where one is not."""
    where = "artifact"
    return msgspec.structs.replace(
        new,
        uid=check_uid(new.uid),
        project=check_project(new.project, f"{where}, project"),
        name=check_name(new.name, f"{where}, name"),
        type=check_type(new.type, f"{where}, type"),
        aliases=_bounded(check_aliases(new.aliases), "aliases"),
        tags=_bounded(check_tags(new.tags), "tags"),
        description=check_text(new.description, f"{where}, description"),
        metadata=check_metadata(new.metadata, f"{where}, metadata"),
        created_ns=new.created_ns if 0 <= new.created_ns <= _INT64_MAX else 0,
        logged_by=None if new.logged_by is None else _checked_run(new.logged_by),
        history_step=_checked_step(new.history_step),
        ttl_days=_checked_ttl(new.ttl_days),
    )


def checked_edit(edit: VersionEdit) -> VersionEdit:
    """Return valid changes of a version; raises UsageError where one is not."""
    if LATEST in edit.add_aliases or LATEST in edit.remove_aliases:
        check_alias(LATEST)  # raises
    return msgspec.structs.replace(
        edit,
        add_aliases=_bounded(check_aliases(edit.add_aliases), "aliases"),
        remove_aliases=_bounded(check_aliases(edit.remove_aliases), "aliases"),
        tags=None if edit.tags is None else _bounded(check_tags(edit.tags), "tags"),
        description=None if edit.description is None else check_text(edit.description, "description"),
        metadata=None if edit.metadata is None else check_metadata(edit.metadata, "metadata"),
        ttl_days=edit.ttl_days if edit.ttl_days == -1 else _checked_ttl(edit.ttl_days),
    )


def checked_uses(uses: Sequence[Use]) -> list[Use]:
    """Return edges of the lineage with valid names; raises UsageError where one is not."""
    found = []
    for use in uses:
        check_uid(use.uid)
        _checked_run(use.run)
        check_text(use.used_as, "use of an artifact")
        at_ns = use.at_ns if 0 <= use.at_ns <= _INT64_MAX else 0
        found.append(msgspec.structs.replace(use, at_ns=at_ns, used_as=use.used_as[:_MAX_USED_AS_CHARS]))
    return found


def check_retention(retention: Retention) -> Retention:
    """Return valid rules of what is kept; raises UsageError otherwise."""
    best, where = retention.keep_best, "retention"
    counts = {"keep_last": retention.keep_last, "keep_best": None if best is None else best.n}
    for name, n in counts.items():
        if n is not None and not 1 <= n <= 1_000_000_000:
            raise UsageError(f"{where}, {name}", str(n)[:50], "1 or more", "leave the rule out to keep all versions")
    if best is not None and not check_text(best.metric, f"{where}, keep_best"):
        raise UsageError(f"{where}, keep_best", "no metric", "the name of a summary value", "name one")
    if retention.ttl_days is not None:
        check_ttl_days(retention.ttl_days, f"{where}, ttl_days")
    protected = [LATEST] if LATEST in retention.protected_aliases else []
    protected += check_aliases(list(retention.protected_aliases), f"{where}, protected_aliases")
    return msgspec.structs.replace(retention, protected_aliases=tuple(_bounded(protected, "protected_aliases")))


def check_uid(uid: object, where: str = "uid of a version") -> str:
    """Return a valid uid; raises UsageError otherwise."""
    if isinstance(uid, str) and _UID.fullmatch(uid):
        return uid
    raise UsageError(where, f"{uid!a:.100}", "32 hexadecimal digits in lower case", "take the one of the version")


def check_text(text: object, where: str) -> str:
    """Return a description or card, of at most a million characters; raises UsageError otherwise."""
    if not isinstance(text, str):
        raise UsageError(where, f"a {type(text).__name__}", "text", "pass a str")
    if len(text) > MAX_TEXT_CHARS:
        got, expected = f"{len(text):,} characters", f"at most {MAX_TEXT_CHARS:,}"
        raise UsageError(where, got, expected, "put the rest into a file of the artifact")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(where, f"{text!a:.100}", "valid Unicode text", "remove its lone surrogates") from None
    return text


def check_why(why: object, where: str = "why") -> str:
    """Return a reason, of at most 2000 characters; raises UsageError otherwise."""
    text = check_text(why, where)
    if len(text) > MAX_WHY_CHARS:
        raise UsageError(where, f"{len(text):,} characters", f"at most {MAX_WHY_CHARS:,}", "say it in fewer words")
    return text


def _bounded(labels: list[str], where: str) -> list[str]:
    if len(labels) > _MAX_LABELS:
        raise UsageError(where, f"{len(labels):,} of them", f"at most {_MAX_LABELS:,}", "leave some out")
    return labels


def _checked_ttl(days: float | None) -> float | None:
    return days if not days else check_ttl_days(days, "ttl_days")


def _checked_run(run: RunRef) -> RunRef:
    check_project(run.project, "artifact, run's project")
    check_run_id(run.run, "artifact, run")
    return run


def _checked_step(step: int | None) -> int | None:
    if step is None or 0 <= step <= _INT64_MAX:
        return step
    raise UsageError("artifact, history_step", str(step)[:50], "a step from 0 on", "leave it out")
