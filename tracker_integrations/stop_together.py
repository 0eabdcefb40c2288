"""Stop a training of several ranks at one and the same step, where only rank 0 knows that it is to stop.

Nothing is exchanged but two small entries of the process group's store, and never in a collective operation of ours:
what would keep the other ranks waiting if one did not take part.
"""

from __future__ import annotations

import sys
from typing import Any


class SharedStop:
    """What the ranks of a process group know of a stop. Every rank makes one for each training, in the same order.

    Args:
        training: the number of the training in this process, from 0 on.
        world_size: how many ranks there are.
        meets: whether there are steps before which every rank has waited for the others.
    """

    def __init__(self, training: int, world_size: int, meets: bool) -> None:
        self._key = f"tracker/stop/{training}"
        self._world_size = world_size
        self._store = _group_store() if meets else None
        self._is_announced = False
        if self._store is not None:
            self._store.add(f"{self._key}/ranks", 1)

    def announce(self, step: int) -> bool:
        """Tell all ranks, on rank 0, that they stop at the first meeting after `step`. False: some cannot be told."""
        if self._store is None or int(self._store.add(f"{self._key}/ranks", 0)) < self._world_size:
            return False
        if not self._is_announced:
            self._is_announced = True
            self._store.set(self._key, str(step))
        return True

    def is_due(self, step: int) -> bool:
        """Say whether all ranks stop at this meeting: a step before which each has waited for the others once more."""
        return self._store is not None and self._store.check([self._key]) and step > int(self._store.get(self._key))


def _group_store() -> Any:
    """Return the store of the initialised process group, or None."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return None
    from torch.distributed import distributed_c10d

    return distributed_c10d._get_default_store()
