"""Alembic's migrations of the PostgreSQL database, applied by `store_migrate`. SQLite's index needs none."""
