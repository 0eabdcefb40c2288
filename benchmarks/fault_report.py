"""Turn what faults did to loggers into a table of what survived and a page with every cell's facts."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contenders import Contender
from fault_runs import DISK_MIB, HANG_LIMIT_S, KILL_WINDOW_S, READ_ONLY_LIMIT_S, Fault
from fault_tasks import (
    CHILDREN_LIMIT_S,
    N_AFTER,
    N_BEFORE,
    N_CHILD_ROWS,
    N_DURING,
    N_PARENT_ROWS,
    N_POOL_ROUNDS,
)
from rich.table import Table
from tables import markdown_table

OutcomeDict = dict[str, Any]
_CALLS = {"full": "log", "log": "log", "child": "the child's log"}


@dataclass(slots=True)
class Cells:
    """Contender -> fault -> one outcome per round, or the reason why there is none."""

    outcomes: dict[str, dict[str, list[OutcomeDict | str]]] = field(default_factory=dict)

    def add(self, contender: str, fault: str, outcome: OutcomeDict | str) -> None:
        """Append one round's outcome."""
        self.outcomes.setdefault(contender, {}).setdefault(fault, []).append(outcome)

    def fill_from(self, old: dict[str, dict[str, list[OutcomeDict | str]]]) -> None:
        """Take the outcomes of contenders that are not there."""
        self.outcomes = old | self.outcomes


@dataclass(frozen=True, slots=True)
class Page:
    """All that is shown and written."""

    contenders: list[Contender]
    faults: list[Fault]
    cells: Cells
    machine: dict[str, str]
    versions: dict[str, str]
    problems: dict[str, str]
    n_rounds: int
    began: str

    def terminal_table(self) -> Table:
        """Return the short table for the terminal."""
        table = Table(title="Faults", show_lines=True)
        for name in self._header():
            table.add_column(name)
        for line in self._short_lines():
            table.add_row(*(cell.replace("**", "") for cell in line))
        return table

    def write(self, folder: Path, name: str) -> list[Path]:
        """Write the page and all outcomes as `<name>.md` and `<name>.json`; return where they are."""
        folder.mkdir(parents=True, exist_ok=True)
        page, data = folder / f"{name}.md", folder / f"{name}.json"
        page.write_text(self._markdown(), encoding="utf-8")
        content = {
            "began": self.began,
            "n_rounds": self.n_rounds,
            "machine": self.machine,
            "versions": self.versions,
            "problems": self.problems,
            "outcomes": self.cells.outcomes,
        }
        data.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return [page, data]

    def _header(self) -> list[str]:
        return ["logger", *(fault.title for fault in self.faults)]

    def _short_lines(self) -> list[list[str]]:
        return [
            [contender.title, *(_short(self._of(contender, fault)) for fault in self.faults)]
            for contender in self.contenders
        ]

    def _of(self, contender: Contender, fault: Fault) -> list[OutcomeDict | str]:
        return self.cells.outcomes.get(contender.name, {}).get(fault.name, [])

    def _markdown(self) -> str:
        parts = [
            "# Faults, beside other loggers",
            f"Written by `python benchmarks/faults_beside_peers.py` on {self.began} UTC.",
            markdown_table(self._header(), self._short_lines(), is_text=True),
            _HOW,
            f"Every cell was measured {self.n_rounds} times; where the rounds differ, the range is given.",
        ]
        for fault in self.faults:
            header = ["logger", "training survived", "rows lost", "hung", "what was raised, said and noted"]
            lines = [[c.title, *_long(self._of(c, fault))] for c in self.contenders]
            parts += [f"## {fault.title}", markdown_table(header, lines, is_text=True)]
        machine = "\n".join(f"- {name}: {value}" for name, value in self.machine.items())
        versions = "\n".join(f"- {c.title}: {self.versions.get(c.name, 'not known')}" for c in self.contenders)
        parts += ["## Machine and versions", f"{machine}\n{versions}"]
        if self.problems:
            parts += ["## Left out", "\n".join(f"- {name}: {text}" for name, text in self.problems.items())]
        return "\n\n".join(parts) + "\n"


def _short(rounds: list[OutcomeDict | str]) -> str:
    """Return how the training fared and what was lost, in few words."""
    measured = [outcome for outcome in rounds if not isinstance(outcome, str)]
    if not measured:
        return f"n/a: {rounds[0]}" if rounds else "n/a"
    lost = f"{_lost(measured)} lost" if any(any(o["logged"].values()) for o in measured) else ""
    doubled = _range([o["n_doubled"] for o in measured])
    fates = list(dict.fromkeys(_fate(outcome) for outcome in measured))
    parts = [" or ".join(fate for fate in fates if fate), lost, f"{doubled} doubled" if doubled != "0" else ""]
    return "; ".join(part for part in parts if part)


def _fate(outcome: OutcomeDict) -> str:
    if outcome["is_killed"]:
        return ""
    if outcome["is_hung"]:
        return "**hangs**"
    if outcome["raised"]:
        return f"**raises** in {', '.join(_CALLS.get(phase, phase) for phase in outcome['raised'])}"
    return "goes on" if outcome["survived"] else "**dies**"


def _long(rounds: list[OutcomeDict | str]) -> list[str]:
    """Return the cells of the detailed table."""
    measured = [outcome for outcome in rounds if not isinstance(outcome, str)]
    if not measured:
        return [f"n/a: {rounds[0]}" if rounds else "n/a", "", "", ""]
    n_doubled = _range([o["n_doubled"] for o in measured])
    lost = _lost(measured) + (f"; {n_doubled} doubled" if n_doubled != "0" else "")
    survived = "it is killed" if measured[0]["is_killed"] else _count([o["survived"] for o in measured])
    return [survived, lost, _count([o["is_hung"] for o in measured]), "; ".join(_texts(measured)).replace("|", "\\|")]


def _texts(measured: list[OutcomeDict]) -> list[str]:
    """Return each different text once; of texts that differ in figures only the first."""
    found: dict[str, str] = {}
    for outcome in measured:
        texts = [f"raised in {phase}: {text}" for phase, text in outcome["raised"].items()]
        for text in [*texts, f"said: {outcome['said']}" if outcome["said"] else "", outcome["note"]]:
            if text:
                found.setdefault("".join(c for c in text if not c.isdigit())[:40], f"{text[:240]}")
    return list(found.values())


def _lost(measured: list[OutcomeDict]) -> str:
    """Return `lost of logged` by part, as a range where the rounds differ."""
    parts = []
    for title in measured[0]["logged"]:
        logged = [outcome["logged"].get(title, 0) for outcome in measured]
        if any(logged):
            lost = _range([outcome["lost"].get(title, 0) for outcome in measured])
            parts.append(f"{title + ' ' if title else ''}{lost} of {_range(logged)}")
        elif title:
            parts.append(f"{title} 0 of 0")
    return ", ".join(parts) or "0 of 0"


def _range(values: list[int]) -> str:
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,}-{high:,}"


def _count(values: list[bool]) -> str:
    if all(values):
        return "yes"
    return f"{sum(values)} of {len(values)} times" if any(values) else "no"


_HOW = f"""\
A row is lost when its `log` had returned without raising and it cannot be read back afterwards by the logger's own
reader: `Api` (ours), wandb's protobuf classes over the frames of its `.wandb` file (wandb 0.31 has no public reader of
it), the SQLite tables (trackio, mlflow), TensorBoard's loader (tensorboardX), `aim storage reindex` and `aim.Repo`, and
the reader of `swanlab sync`. All loggers run with their documented defaults, offline, on a folder of their own, and log
ten numbers a row with 1 ms between two calls. "Goes on" means that no call raised, so that a training loop without a
`try` of its own reaches its end. A call that raised is not counted as lost: the caller knows of it.

- SIGKILL: at a random instant {KILL_WINDOW_S[0]:g} to {KILL_WINDOW_S[1]:g} s after the first row. Once only of the
  process that trains (as when memory runs out), whose helper processes may end in peace; once of all (as when a
  scheduler or a container ends a job).
- Disk full: a tmpfs of {DISK_MIB} MiB. {N_BEFORE:,} rows, 1 s of rest, the disk is filled to the last byte,
  {N_DURING:,} rows, 1 s of rest, the space is freed, {N_AFTER:,} rows, finish. Calls that raise are counted and the
  loop goes on, to see whether the logger recovers.
- Read-only folder: the folder is on a file system mounted read-only before `init`. Folders for temporary files and
  caches can be written.
- Fork: {N_PARENT_ROWS} rows, then `os.fork`; the child logs {N_CHILD_ROWS} rows through the inherited object and ends
  with `os._exit`, as `multiprocessing`'s children do; the parent logs {N_PARENT_ROWS} rows beside it and
  {N_PARENT_ROWS} afterwards. Rows carry no step here, so that none is refused for its order. Some of these loggers ask
  forked children to call `init` themselves; this is about what happens to who does not know that.
- Pool: {N_PARENT_ROWS} rows, `multiprocessing.Pool(2)` by fork, whose processes log {N_CHILD_ROWS} rows together,
  close, join, {N_PARENT_ROWS} rows. The last fault forks a pool {N_POOL_ROUNDS} times between rows, and its processes
  do not log, like those of a data loader.
- Hung: a child that has not ended after {CHILDREN_LIMIT_S:g} s, or a process in which for {HANG_LIMIT_S} s
  ({READ_ONLY_LIMIT_S} s where the folder is read-only) no call has returned. It is killed then, and what can be read
  is counted."""
