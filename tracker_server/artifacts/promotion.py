"""Promotion: an alias of a registered model moves to a version when what is required of its run is so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from tracker_core.artifacts.names import check_alias
from tracker_core.artifacts.source import ArtifactSource
from tracker_core.artifacts.wire import LinkedVersion, RunRef
from tracker_core.errors import NotFoundError, UsageError

from ..runs.filter_match import MISSING, compile_filter, reader_of
from ..runs.filter_syntax import parse_filter
from ..runs.filter_tree import And, Compare, Filter, In, Literal, Match, Not, Or, Path, format_path
from ..runs.run_details import RunDetails
from ..runs.run_view import RunView, json_number
from .artifact_checks import MAX_WHY_CHARS

_MAX_SHOWN_CHARS = 60


class RunLookup(Protocol):
    """Where runs are; part of `RunSource`."""

    def run(self, project: str, run_id: str) -> RunView: ...
    def details(self, project: str, run_id: str, writer: str | None = None) -> RunDetails: ...


class Gate(msgspec.Struct, frozen=True):
    """Something that is required of a run.

    Attributes:
        requirement: a filter of runs; docs/filters.md.
        is_met: whether the run is so.
        values: what it has of the values that the requirement names; "NaN" and the like are texts.
        reason: why it is not met, where that is not for the values.
    """

    requirement: str
    is_met: bool
    values: dict[str, Any] = {}
    reason: str = ""


class Promotion(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a promotion, or would.

    Attributes:
        model: the registered model.
        number: 3 of the version's "v3" there.
        artifact: "project/name:v7" of that version.
        run: "project/id" of the run that the gates look at, "" for none.
        from_: how the version was named.
        to: the alias that moves to it.
        replaced: the number of the version that had the alias; None where none had.
        gates: what was required.
        is_met: whether all gates are met.
        is_done: whether the alias was moved.
    """

    model: str
    number: int
    artifact: str
    run: str
    from_: str = msgspec.field(name="from")
    to: str
    replaced: int | None
    gates: list[Gate]
    is_met: bool
    is_done: bool


def promote(
    artifacts: ArtifactSource,
    runs: RunLookup,
    name: str,
    which: str,
    to: str,
    requirements: Sequence[str] = (),
    why: str = "",
    run: RunRef | None = None,
    is_move: bool = False,
    is_dry_run: bool = False,
) -> Promotion:
    """Move the alias `to` of a registered model to the version `which`, if all requirements are met.

    The version is looked up once: an alias that others move meanwhile changes nothing.

    Args:
        artifacts: where the registry is.
        runs: where the runs are.
        name: the registered model.
        which: an alias or "v3".
        to: the alias that moves.
        requirements: filters of runs.
        why: a reason, kept in the audit with the requirements.
        run: whose values count. Default: the run that logged the version. Another one must have used it.
        is_move: the alias `which` is taken off the version.
        is_dry_run: only say what would be done.

    Raises:
        NotFoundError: there is no such model, version or run.
        UsageError: an alias or a requirement is not valid, or `run` has nothing to do with the version.
    """
    check_alias(to, "promote(to=)")
    trees = [(text, _parsed(text)) for text in requirements]
    version = artifacts.resolve_linked(name, which)
    of = _run_of(artifacts, version, run)
    gates = check_gates(trees, runs, of)
    is_met = all(gate.is_met for gate in gates)
    is_done = is_met and not is_dry_run
    replaced = artifacts.model(name).aliases.get(to)
    if is_done:
        taken_off = [which] if is_move and which in version.aliases and which != to else []
        artifacts.set_model_aliases(name, version.number, [to], taken_off, _told(why, gates))
    return Promotion(
        model=name,
        number=version.number,
        artifact=f"{version.version.project}/{version.version.name}:{version.version.version}",
        run=f"{of.project}/{of.run}" if of else "",
        from_=which,
        to=to,
        replaced=None if replaced == version.number else replaced,
        gates=gates,
        is_met=is_met,
        is_done=is_done,
    )


def check_gates(trees: Sequence[tuple[str, Filter]], runs: RunLookup, of: RunRef | None) -> list[Gate]:
    """Return what came of each requirement; none is met where there is no run to look at."""
    if not trees:
        return []
    if of is None:
        return [Gate(text, False, reason="no run logged this version") for text, _ in trees]
    try:
        view = runs.run(of.project, of.run)
    except NotFoundError:
        return [Gate(text, False, reason=f"run {of.project}/{of.run} is not there") for text, _ in trees]
    return [_gate(text, tree, view, runs) for text, tree in trees]


def _parsed(text: str) -> Filter:
    if not text.strip():
        remedy = "write for example 'summary[\"val/accuracy\"] >= 0.92'; an empty one would let everything pass"
        raise UsageError("--require", "an empty requirement", "a filter of runs", remedy)
    return parse_filter(text)


def _run_of(artifacts: ArtifactSource, version: LinkedVersion, run: RunRef | None) -> RunRef | None:
    """Return the run whose values count."""
    if run is None or run == version.version.logged_by:
        return version.version.logged_by
    if all(use.run != run for use in artifacts.users(version.version.uid)):
        got = f"run {run.project}/{run.run}, which neither logged nor used v{version.number} of {version.model}"
        remedy = "call use_artifact() in the run that evaluates it"
        raise UsageError("--run", got, "a run that did", remedy)
    return run


def _gate(text: str, tree: Filter, view: RunView, runs: RunLookup) -> Gate:
    environment: dict[str, Any] = {}

    def environment_of(asked: RunView) -> Mapping[str, Any]:
        if not environment:
            environment.update(runs.details(asked.project, asked.id).environment)
        return environment

    found = {format_path(path): reader_of(path, environment_of)(view) for path in _paths(tree)}
    values = {name: json_number(value) for name, value in found.items() if value is not MISSING}
    lacking = [name for name, value in found.items() if value is MISSING]
    if lacking:
        # Without this `not summary.loss > 3` would be met by a run that never logged a loss.
        return Gate(text, False, values, f"run {view.project}/{view.id} has no {', '.join(lacking)}")
    return Gate(text, compile_filter(tree, environment_of)(view), values)


def _paths(tree: Filter) -> Iterator[Path]:
    """Yield the values that a filter compares."""
    match tree:
        case And(parts) | Or(parts):
            for part in parts:
                yield from _paths(part)
        case Not(part):
            yield from _paths(part)
        case Match(path, _, _):
            yield path
        case Compare(path, _, operand):
            yield from (one for one in (path, operand) if not isinstance(one, Literal))
        case In(item, container, _):
            yield from (one for one in (item, container) if not isinstance(one, Literal))


def _told(why: str, gates: Sequence[Gate]) -> str:
    """Return the reason with what was required and found, as the audit keeps it."""
    told = [f"{gate.requirement} ({', '.join(map(_shown, gate.values.values()))})" for gate in gates]
    text = f"required: {'; '.join(told)}" if told else ""
    both = f"{why} [{text}]" if why and text else why or text
    return both if len(both) <= MAX_WHY_CHARS else f"{both[: MAX_WHY_CHARS - 1]}…"


def _shown(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _MAX_SHOWN_CHARS else f"{text[: _MAX_SHOWN_CHARS - 1]}…"
