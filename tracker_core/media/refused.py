"""Rich values of wandb that there are none of here: said by name, with what to do instead."""

from __future__ import annotations

from typing import Any, NoReturn

from ..errors import UsageError


class _Refused:
    """Raises when one is made."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self._refuse()

    def _refuse(self) -> NoReturn:
        name = type(self).__name__
        remedy = "keep its file with the run by run.save(), or draw it as an Image or a Plotly figure"
        raise UsageError(f"{name}()", f"a {name}, which is not shown here", "an Image, Table or the like", remedy)


class Object3D(_Refused):
    """Raises UsageError: points and meshes are not shown here."""


class Molecule(_Refused):
    """Raises UsageError: molecules are not shown here."""
