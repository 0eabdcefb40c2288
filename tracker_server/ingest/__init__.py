"""Ingest: find journals, follow them, and add their records up."""
