"""Artifacts: versioned sets of files that runs log and use."""
