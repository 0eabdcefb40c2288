"""`tracker cache`: how much of what was fetched from servers is kept here, and remove it."""

from __future__ import annotations

import argparse
import sys
import time

from tracker_core.errors import UsageError
from tracker_core.settings import load_settings

from .cli_runs import print_json
from .cli_system import with_unit

_GIB = 1 << 30
_DAY_S = 86_400


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `tracker cache`."""
    actions = ("show", "clean")
    parser.add_argument("action", choices=actions, nargs="?", default="show", help="show what it holds, or clean it")
    parser.add_argument(
        "--keep", metavar="GIB", type=float, default=0.0, help="with clean: leave the last used so much"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def cache(args: argparse.Namespace) -> int:
    """Show or clean the cache."""
    from ..blobs.file_cache import FileCache, user_cache_folder

    settings = load_settings()
    bound_gib = settings.cache_max_gib
    found = FileCache(user_cache_folder(settings.cache_dir), int(bound_gib * _GIB))
    if not args.keep >= 0:
        raise UsageError("--keep", f"{args.keep:g}", "0 or more GiB", "leave it out to remove everything")
    removed = found.trim(int(min(args.keep, 1e9) * _GIB)) if args.action == "clean" else 0
    files = found.files()
    n_bytes = sum(one.size_bytes for one in files)
    if args.json:
        facts = {"folder": found.folder, "n_files": len(files), "size_bytes": n_bytes, "removed_bytes": removed}
        print_json({**facts, "max_gib": bound_gib})
        return 0
    if args.action == "clean":
        sys.stdout.write(f"Removed {with_unit('_bytes', removed)}.\n")
    age = f", the longest unused for {(time.time() - files[0].used_s) / _DAY_S:.1f} days" if files else ""
    sys.stdout.write(f"{found.folder}: {len(files)} files, {with_unit('_bytes', n_bytes)} of {bound_gib:g} GiB{age}\n")
    return 0
