"""Let transformers know report_to="tracker" without an import of tracker_core in the script.

Written here by `tracker autoload on`; `tracker autoload off` removes it. It waits until a framework that tracker_core
registers with is imported, and imports tracker_core then. It does nothing else, and needs 0.1 ms of a Python start.
"""

import sys

if False:  # for type checkers; importing typing takes longer than all of this
    from typing import Any  # noqa: F401

# The keys of tracker_core.framework_hook.HOOKS.
FRAMEWORKS = ("transformers.integrations.integration_utils",)


class WaitingFinder(object):  # noqa: UP004  `tracker run` may start any Python
    """Finds nothing itself. Asked for a framework's module, it lets tracker_core's own finder take over."""

    def find_spec(self, fullname, path=None, target=None):
        # type: (str, Any, Any) -> Any
        if fullname not in FRAMEWORKS:
            return None
        sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, WaitingFinder)]
        try:
            from tracker_core import framework_hook

            framework_hook.install()
        except Exception as error:  # noqa: BLE001  the import of a framework must not fail because of this
            if getattr(error, "name", None) != "tracker_core":  # uninstalled, which is no trouble
                sys.stderr.write("tracker: autoload could not import tracker_core: %r\n" % (error,))  # noqa: UP031
        for finder in list(sys.meta_path):  # Python goes on behind our place, where the new finder is not
            spec = finder.find_spec(fullname, path, target) if hasattr(finder, "find_spec") else None
            if spec is not None:
                return spec
        return None


def install():
    # type: () -> None
    """Begin to wait, once. Also where tracker_core is imported already, which makes it useless but harmless."""
    if sys.version_info < (3, 6):  # noqa: UP036
        return
    if not any(type(finder).__name__ == "WaitingFinder" for finder in sys.meta_path):
        sys.meta_path.insert(0, WaitingFinder())


install()
