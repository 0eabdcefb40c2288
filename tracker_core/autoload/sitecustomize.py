"""Loaded by Python at its start in the processes of `tracker run`, which puts this folder first on PYTHONPATH.

The folder leaves `sys.path` at once, so that nothing in it hides the user's modules, and the `sitecustomize` that
Python would have loaded without it is run. Whatever goes wrong here, Python starts.
"""

import os
import sys


def _load():
    # type: () -> None
    folder = os.path.dirname(os.path.abspath(__file__))
    try:
        import _tracker_autoload  # type: ignore[import-not-found]  # noqa: F401
    except Exception as error:  # noqa: BLE001
        sys.stderr.write("tracker: autoload does not work here: %r\n" % (error,))  # noqa: UP031
    sys.path[:] = [path for path in sys.path if os.path.abspath(path) != folder]
    ours = sys.modules.pop(__name__, None)
    try:
        # The user's; Python reports its exceptions as if we were not here.
        import sitecustomize  # type: ignore[import-not-found]  # noqa: F401
    except ImportError as error:
        if getattr(error, "name", None) not in (__name__, None):
            raise
    finally:
        if ours is not None:
            sys.modules.setdefault(__name__, ours)


_load()
