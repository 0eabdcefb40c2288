"""What the tracker tells the user while training: single lines on stderr, never an exception."""

from __future__ import annotations

import sys


def say(message: str) -> None:
    """Print one line for the user."""
    try:
        sys.stderr.write(f"tracker: {message}\n")
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError, RuntimeError):
        pass  # stderr is closed, full or missing; there is nobody to tell


def warn(message: str) -> None:
    """Print one line about something that went wrong."""
    say(f"warning: {message}")
