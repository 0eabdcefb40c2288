"""Artifacts and the registry in this process: the catalog of versions over the store of their bytes."""
