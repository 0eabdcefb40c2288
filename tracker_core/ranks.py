"""Which run the ranks of one distributed job write to: that which rank 0 begins, each rank as a writer of its own.

A process is a rank where a process group of PyTorch is initialised, or where RANK, WORLD_SIZE > 1 and
MASTER_ADDR:MASTER_PORT say so. Variables of SLURM or MPI alone say nothing: array jobs and sweeps have them too. The
n-th `init` of every rank belongs to the n-th of rank 0, which tells the others of it by `rank_channels`.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from .process import boot_id, host_name, process_start
from .records import Session
from .settings import Settings

PROCESS_VARIABLE = "TRACKER_RANK_PROCESS"
_LOOPBACK = ("localhost", "127.", "::1", "0.0.0.0")
_LOCAL_RANKS = ("LOCAL_RANK", "SLURM_LOCALID", "OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID")
_NODES = ("GROUP_RANK", "NODE_RANK", "SLURM_NODEID")


class Rank(msgspec.Struct, frozen=True):
    """The place of this process in a distributed job.

    Attributes:
        rank, size: which of how many processes.
        local_rank: which of those of its machine; None where that is not known.
        node: which of the machines, "" where that is not known.
        launch: names the job; the same in all ranks.
        address: MASTER_ADDR and MASTER_PORT, None where the process group was initialised without.
        restart: how often torchrun has started the processes anew.
        parent: the process that started this one.
        number: which `init` of the process this is, from 1 on.
    """

    rank: int
    size: int
    local_rank: int | None
    node: str
    launch: str
    address: tuple[str, int] | None
    restart: int
    parent: str
    number: int

    @property
    def writer(self) -> str:
        """The name of what this rank writes."""
        return "main" if self.rank == 0 else f"rank{self.rank}"


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """What rank 0 tells the others: its session, where it begins, and how to tell it from that of an earlier job."""

    session: Session
    next_step: int
    config: dict[str, Any] = {}
    launch: str
    restart: int
    parent: str
    number: int
    told_ns: int


_was_in_vain = False


def find_rank(environ: Mapping[str, str], number: int) -> Rank | None:
    """Return the place of this process in a distributed job, or None where it is in none."""
    group = _process_group()
    rank, size = group or (_number(environ, "RANK"), _number(environ, "WORLD_SIZE"))
    address = _address(environ)
    is_elastic = "TORCHELASTIC_RESTART_COUNT" in environ
    if rank is None or size is None or not 0 <= rank < size or (group is None and address is None):
        return None
    if size == 1 and not (is_elastic and address):
        return None
    launch = _launch(environ, address)
    starter = environ.get(PROCESS_VARIABLE, "").rpartition(":")
    if starter[0] == launch and starter[2] != str(os.getpid()):
        return None  # a rank started this process: a worker or a script of its own
    return Rank(
        rank=rank,
        size=size,
        local_rank=next((found for name in _LOCAL_RANKS if (found := _number(environ, name)) is not None), None),
        node=next((environ[name] for name in _NODES if environ.get(name, "").isdecimal()), _node_of(environ, rank)),
        launch=launch,
        address=address,
        restart=_number(environ, "TORCHELASTIC_RESTART_COUNT") or 0,
        parent=_parent(),
        number=number,
    )


def leave_mark(place: Rank) -> None:
    """Tell processes that this one starts from now on that they are no ranks, although they inherit its variables."""
    os.environ[PROCESS_VARIABLE] = f"{place.launch}:{os.getpid()}"


def samples_machine(place: Rank, environ: Mapping[str, str], primary_host: str) -> bool:
    """Say whether this rank is to record its machine: the first of each does, for all.

    Where each rank sees but one GPU, each samples, since no other can see its GPU.
    """
    if place.local_rank is None:
        return place.rank == 0 or host_name() != primary_host
    visible = [part for part in environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if part.strip()]
    return place.local_rank == 0 or len(visible) == 1


def agreement_of(place: Rank, session: Session, next_step: int, config: dict[str, Any]) -> Agreement:
    """Return what rank 0 tells of the run that it begins."""
    return Agreement(
        session=session,
        next_step=next_step,
        config=config,
        launch=place.launch,
        restart=place.restart,
        parent=place.parent,
        number=place.number,
        told_ns=time.time_ns(),
    )


def joined_session(place: Rank, agreed: Agreement, own: Session) -> Session:
    """Return `own`, a new session of this process, as that of a further writer of the run that rank 0 began."""
    first = agreed.session
    return msgspec.structs.replace(
        own,
        project=first.project,
        run=first.run,
        entity=first.entity,
        writer=place.writer,
        counter=first.counter,
        attempt=first.attempt,
        resumed=first.resumed,
        name=first.name,
        group=first.group,
        job_type=first.job_type,
        tags=first.tags,
        notes=first.notes,
        launch=place.launch,
        node=place.node,
    )


def is_meant(agreed: Agreement, settings: Settings) -> bool:
    """Say whether a rank that asks for a run with these settings means the one that rank 0 began."""
    has_same_id = settings.run_id in (None, agreed.session.run)
    return has_same_id and settings.project in (Settings().project, agreed.session.project)


def settings_of(place: Rank, settings: Settings, agreed: Agreement) -> Settings:
    """Return the settings of a rank other than 0: quiet, and without what another rank records of the machine."""
    if samples_machine(place, os.environ, agreed.session.host):
        return msgspec.structs.replace(settings, quiet=True)
    return msgspec.structs.replace(settings, quiet=True, system_interval_s=0.0, capture_environment=False)


def note_in_vain() -> bool:
    """Remember that rank 0 was waited for in vain, so that it is not for as long again. Says whether that is new."""
    global _was_in_vain
    is_new, _was_in_vain = not _was_in_vain, True
    return is_new


def patience_s(join_timeout_s: float) -> float:
    """Return for how long rank 0 is waited for."""
    return min(1.0, join_timeout_s) if _was_in_vain else join_timeout_s


def _process_group() -> tuple[int, int] | None:
    """Return rank and size of PyTorch's process group, where one is initialised in this process."""
    torch = sys.modules.get("torch.distributed")
    try:
        if torch is not None and torch.is_available() and torch.is_initialized():
            return int(torch.get_rank()), int(torch.get_world_size())
    except (AttributeError, RuntimeError, ValueError):  # it is being imported, or taken down
        pass
    return None


def _number(environ: Mapping[str, str], name: str) -> int | None:
    value = environ.get(name, "").strip()
    return int(value) if value.isdecimal() and len(value) < 10 else None


def _address(environ: Mapping[str, str]) -> tuple[str, int] | None:
    host, port = environ.get("MASTER_ADDR", "").strip(), _number(environ, "MASTER_PORT")
    return (host, port) if host and port else None


def _launch(environ: Mapping[str, str], address: tuple[str, int] | None) -> str:
    """Return what names a job, as far as the variables of its ranks say. An earlier one may have had the same name."""
    elastic_id = environ.get("TORCHELASTIC_RUN_ID", "")
    parts = [
        *(map(str, address or ("", ""))),
        "" if elastic_id in ("none", "None") else elastic_id,
        environ.get("SLURM_JOB_ID", ""),
        environ.get("SLURM_STEP_ID", ""),
        environ.get("SLURM_RESTART_COUNT", ""),
        f"{boot_id()} {host_name()}" if address and address[0].startswith(_LOOPBACK) else "",
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _node_of(environ: Mapping[str, str], rank: int) -> str:
    size = _number(environ, "LOCAL_WORLD_SIZE")
    return str(rank // size) if size else ""


def _parent() -> str:
    pid = os.getppid()
    started = process_start(pid)
    return f"{boot_id()}:{pid}:{started}" if started else ""
