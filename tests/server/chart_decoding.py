"""Decodes the binary chart answer, as a client would from its description."""

from __future__ import annotations

import json
from typing import Any

import numpy as np


def decode_chart(data: bytes) -> dict[str, Any]:
    """Return the header, with `x` and, in each of `runs` and `groups`, `cells` as arrays."""
    length = int.from_bytes(data[:4], "little")
    header = json.loads(data[4 : 4 + length])
    start = 4 + length
    assert start % 8 == 0
    for line in [*header["runs"], *header["groups"]]:
        line["cells"] = {}
    for entry in header.pop("arrays"):
        assert entry["offset"] % 8 == 0
        dtype = np.dtype(f"<{entry['dtype']}")
        values = np.frombuffer(data, dtype, entry["length"], start + entry["offset"])
        if entry["name"] == "x":
            header["x"] = values
        elif "group" in entry:
            header["groups"][entry["group"]]["cells"][entry["name"]] = values
        else:
            header["runs"][entry["run"]]["cells"][entry["name"]] = values
    return header
