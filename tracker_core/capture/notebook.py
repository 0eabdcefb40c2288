"""The notebook that this process is the kernel of: its path where that can be found out, and the cells it has run."""

from __future__ import annotations

import json
import os
import sys
from typing import Any
from urllib.parse import unquote

_SERVER_TIMEOUT_S = 1.0
_MAX_ANSWER_BYTES = 4 << 20


def shell() -> Any:
    """Return IPython's shell where this process is a notebook's kernel or an interactive IPython; else None."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None and hasattr(ipython, "get_ipython") else None


def is_kernel() -> bool:
    """Say whether this process is the kernel of a notebook."""
    return type(shell()).__name__ in ("ZMQInteractiveShell", "Shell")  # Jupyter and VS Code; Colab


def path() -> str:
    """Return the path or name of the notebook, or "". Asks the Jupyter server of this machine at most."""
    if not is_kernel():
        return ""
    named = shell().user_ns.get("__vsc_ipynb_file__") or os.environ.get("JPY_SESSION_NAME", "")
    if isinstance(named, str) and named.endswith(".ipynb"):
        return named
    return _ask_server()


def executed_cells(mask: Any) -> bytes | None:
    """Return a notebook of the code cells that have run, masked and without outputs; None where there are none."""
    history = getattr(getattr(shell(), "history_manager", None), "input_hist_raw", None)
    if not history:
        return None
    cells = [
        {"cell_type": "code", "execution_count": n, "metadata": {}, "outputs": [], "source": mask(source)}
        for n, source in enumerate(list(history))
        if source
    ]
    if not cells:
        return None
    metadata = {"language_info": {"name": "python", "version": ".".join(map(str, sys.version_info[:3]))}}
    notebook = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 4}
    return json.dumps(notebook, indent=1).encode(errors="replace")


def _ask_server() -> str:
    """Return the path of the session of this kernel, as the Jupyter server of this machine that has it knows it."""
    config = getattr(shell(), "config", None) or {}
    connection = str((config.get("IPKernelApp") or {}).get("connection_file", ""))
    kernel = os.path.basename(connection).removeprefix("kernel-").removesuffix(".json")
    folder = os.path.dirname(connection)
    if not kernel or not folder:
        return ""
    for name in sorted(os.listdir(folder)):
        if name.startswith(("jpserver-", "nbserver-")) and name.endswith(".json"):
            for session in _sessions(os.path.join(folder, name)):
                if session.get("kernel", {}).get("id") == kernel:
                    return unquote(str(session.get("path") or session.get("notebook", {}).get("path") or ""))
    return ""


def _sessions(server_file: str) -> list[dict[str, Any]]:
    """Return the sessions of a running Jupyter server; only this machine's loopback address is asked."""
    import http.client

    try:
        with open(server_file, encoding="utf-8") as file:
            server = json.load(file)
        connection = http.client.HTTPConnection("127.0.0.1", int(server["port"]), timeout=_SERVER_TIMEOUT_S)
        try:
            headers = {"Authorization": f"token {server.get('token', '')}"}
            connection.request("GET", f"{server.get('base_url', '/')}api/sessions", headers=headers)
            answer = json.loads(connection.getresponse().read(_MAX_ANSWER_BYTES))
        finally:
            connection.close()
    except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException):
        return []  # it has ended, or speaks TLS, or wants another key
    return [session for session in answer if isinstance(session, dict)] if isinstance(answer, list) else []
