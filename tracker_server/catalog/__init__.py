"""Decisions about runs: deleted, archived."""
