"""Some of the clients of `sync_load.py`, a thread each: write a journal and post what is new of it, once a second.

What they say on the wire is what the sender says. They are threads of few processes and not senders of their own, so
that the server, which shares the machine with them, is what is measured. Prints JSON: what every post took.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
import sys
import threading
import time
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import zstandard

from tracker_core.journal_file import JournalFile, RowLayout
from tracker_core.journal_format import Kind
from tracker_core.paths import journal_path
from tracker_core.records import KIND_OF, Record, Session, State, encode
from tracker_core.sync import wire

N_METRICS = 10
PROJECT = "load"
_DRAIN_S = 120.0


@dataclass
class Client:
    """One machine that trains: a journal of its own, and a connection."""

    folder: Path
    port: int
    key: str
    number: int
    rows_s: int
    seconds: float
    ack_s: list[float] = field(default_factory=list)
    n_troubles: int = 0
    troubles: set[str] = field(default_factory=set)
    n_rows: int = 0
    n_sent: int = 0

    def __post_init__(self) -> None:
        self._session = secrets.token_bytes(16)
        run = f"run{self.number:03}"
        self.path = journal_path(str(self.folder), PROJECT, run, "main", self._session)
        self._name = wire.JournalName(PROJECT, run, "main", self._session.hex())
        self._journal = JournalFile(self.path, self._session)
        self._journal.open()
        fields = {"session": self._session.hex(), "run": run, "project": PROJECT, "writer": "main", "mode": "online"}
        self._put(Session(wall_time_ns=time.time_ns(), **fields))
        self._layout = RowLayout(tuple(f"train/metric{i}" for i in range(N_METRICS)), "d" * N_METRICS, Kind.ROW)
        self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        self._compressor = zstandard.ZstdCompressor()

    def train(self, began_s: float) -> None:
        """Log and send, once a second, each client at its own instant within it; then send what is left."""
        phase_s = (self.number % 64) / 64
        for second in range(round(self.seconds)):
            _sleep_until(began_s + second + phase_s)
            self._log()
            self._send()
        self._put(State(wall_time_ns=time.time_ns(), state="finished"))
        self._journal.close()
        deadline_s = time.monotonic() + _DRAIN_S
        while not self._send() and time.monotonic() < deadline_s:
            time.sleep(0.2)

    def _log(self) -> None:
        for _ in range(self.rows_s):
            values = tuple(self.n_rows * 0.001 + i for i in range(N_METRICS))
            self._journal.put_row(self._layout, self.n_rows, time.time_ns(), values)
            self.n_rows += 1

    def _put(self, record: Record) -> None:
        self._journal.put(KIND_OF[type(record)], encode(record))

    def _send(self) -> bool:
        """Post what is not acknowledged; returns whether all is."""
        data = Path(self.path).read_bytes()[self.n_sent : self.n_sent + wire.MAX_BLOCK_DATA_BYTES]
        part = wire.JournalPart(self._name, self.n_sent, 0.0, zlib.crc32(data), data)
        body = self._compressor.compress(msgspec.msgpack.encode(wire.BlocksRequest([part], [self._name])))
        began_s = time.perf_counter()
        try:
            reply = self._post(body)
        except (OSError, http.client.HTTPException, msgspec.MsgspecError) as error:
            self._connection.close()
            self.n_troubles += 1
            self.troubles.add(f"{type(error).__name__}: {error}"[:200])
            return False
        self.ack_s.append(time.perf_counter() - began_s)
        (ack,) = reply.acks
        if ack.trouble:
            self.n_troubles += 1
            self.troubles.add(f"{ack.trouble} {ack.reason}")
        self.n_sent = ack.size_bytes
        return self.n_sent == os.path.getsize(self.path)

    def _post(self, body: bytes) -> wire.BlocksReply:
        headers = {
            "Authorization": f"Bearer {self.key}",
            "Content-Type": wire.CONTENT_TYPE,
            "Content-Encoding": "zstd",
            wire.PROTOCOL_HEADER: str(wire.PROTOCOL),
        }
        self._connection.request("POST", "/api/v1/sync/blocks", body, headers)
        reply = self._connection.getresponse()
        content = reply.read()
        if reply.status != 200:
            raise http.client.HTTPException(f"{reply.status} {content[:200]!r}")
        return msgspec.msgpack.decode(content, type=wire.BlocksReply)


def _sleep_until(when_s: float) -> None:
    time.sleep(max(0.0, when_s - time.monotonic()))


def main() -> None:
    """Run the clients that the argument tells of, as JSON; the key comes from the environment."""
    told = json.loads(sys.argv[1])
    key = os.environ["LOAD_KEY"]
    clients = [
        Client(Path(told["folder"]), told["port"], key, number, told["rows_s"], told["seconds"])
        for number in told["numbers"]
    ]
    began_s = time.monotonic() + 1.0
    threads = [threading.Thread(target=client.train, args=(began_s,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = {
        "ack_s": [s for client in clients for s in client.ack_s],
        "n_rows": {client._name.run: client.n_rows for client in clients},
        "n_troubles": sum(client.n_troubles for client in clients),
        "troubles": sorted(set().union(*(client.troubles for client in clients)))[:10],
        "cpu_s": time.process_time(),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
