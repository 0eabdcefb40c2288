"""The registry in this process: registered models that link versions, each change in a chain of hashes."""

from __future__ import annotations

from collections.abc import Sequence

from tracker_core.artifacts.names import check_aliases, check_name
from tracker_core.artifacts.wire import AuditEntry, LinkedVersion, RegisteredModel

from ..catalog.decisions import By
from ..store import store_registry
from ..store.store_audit import read_audit, read_registrations
from ..store.store_connection import StoreConnection
from .artifact_catalog import ArtifactCatalog
from .artifact_checks import check_text

_WHERE = "registered model"


class LocalRegistry:
    """The part of `ArtifactSource` that is the registry; safe between processes and threads.

    Args:
        catalog: where it is.
    """

    def __init__(self, catalog: ArtifactCatalog) -> None:
        self._catalog = catalog

    def models(self, text: str = "") -> list[RegisteredModel]:
        """Return registered models, the last changed first; `text` is part of the name."""
        return self._catalog.read(lambda connection: store_registry.read_models(connection, text), [])

    def model(self, name: str) -> RegisteredModel:
        """Return a registered model; raises NotFoundError where there is none."""
        return self._catalog.find(lambda connection: store_registry.read_model(connection, name), f"{_WHERE} {name!r}")

    def model_projects(self) -> dict[str, list[str]]:
        """Return, for every registered model, the projects whose versions it links."""
        return self._catalog.read(store_registry.read_model_projects, {})

    def linked(self, name: str) -> list[LinkedVersion]:
        """Return the versions of a registered model, newest first; raises NotFoundError."""
        return self._catalog.find(lambda connection: store_registry.read_linked(connection, name), f"{_WHERE} {name!r}")

    def resolve_linked(self, name: str, which: str = "latest") -> LinkedVersion:
        """Return a version by "v3" (of the model), an alias, or "latest"; raises NotFoundError."""
        return self._catalog.find(
            lambda connection: store_registry.find_linked(connection, name, which), f"{_WHERE} {name!r}"
        )

    def link(self, name: str, uid: str, aliases: Sequence[str] = (), why: str = "") -> LinkedVersion:
        """Put a version into a registered model, which is made where there is none; one that is in it stays.

        Raises:
            NotFoundError: there is no such version.
            UsageError: a name is not valid, or the model takes artifacts of another type.
        """
        check_name(name, f"{_WHERE}, name")
        wanted = check_aliases(aliases)

        def work(connection: StoreConnection, by: By) -> LinkedVersion:
            number = store_registry.link_version(connection, name, uid, wanted, by)
            return store_registry.find_linked(connection, name, f"v{number}")

        return self._catalog.write(work, why)

    def unlink(self, name: str, number: int, why: str = "") -> None:
        """Take a version out of a registered model, with its aliases there; raises NotFoundError."""
        self._catalog.write(lambda connection, by: store_registry.unlink_version(connection, name, number, by), why)

    def set_model_aliases(
        self, name: str, number: int, add: Sequence[str] = (), remove: Sequence[str] = (), why: str = ""
    ) -> LinkedVersion:
        """Move aliases to a version of a registered model, and take others off it; one that is not there is left out.

        Raises:
            NotFoundError: there is no such model or version.
            UsageError: an alias is not valid.
        """
        added, removed = check_aliases(add), check_aliases(remove)

        def work(connection: StoreConnection, by: By) -> LinkedVersion:
            store_registry.set_aliases(connection, name, number, added, removed, by)
            return store_registry.find_linked(connection, name, f"v{number}")

        return self._catalog.write(work, why)

    def set_card(self, name: str, card: str, why: str = "") -> RegisteredModel:
        """Change the card of a registered model, markdown; raises NotFoundError."""
        text = check_text(card, f"{_WHERE}, card")

        def work(connection: StoreConnection, by: By) -> RegisteredModel:
            store_registry.set_card(connection, name, text, by)
            return store_registry.read_model(connection, name)

        return self._catalog.write(work, why)

    def delete_model(self, name: str, why: str = "") -> None:
        """Delete a registered model; the versions that it links stay, and its audit too. Raises NotFoundError."""
        self._catalog.write(lambda connection, by: store_registry.delete_model(connection, name, by), why)

    def audit(self, name: str | None = None, after: int = 0, size: int = 1000) -> list[AuditEntry]:
        """Return changes in the order made, from behind number `after` on; of all models or of one."""
        return self._catalog.read(lambda connection: read_audit(connection, name, after, size), [])

    def registrations(self) -> dict[str, int]:
        """Return, for every name of a model, the number of the audit's entry of when one of that name was last made."""
        return self._catalog.read(read_registrations, {})
