"""References: only where they are, their size and a checksum are recorded; whoever downloads them fetches them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tracker_core import Artifact, TrackerError, UsageError
from tracker_core.run import Run

CONTENT = b"weights" * 1000


class Pages(BaseHTTPRequestHandler):
    """Serves one file with an ETag, and one that changes whenever it is asked for."""

    tag = "one"

    def do_GET(self) -> None:
        if not self.path.startswith("/files/"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.send_header("ETag", f'"{Pages.tag}"')
        self.end_headers()
        self.wfile.write(CONTENT)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def web() -> Iterator[str]:
    Pages.tag = "one"
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def draft() -> Artifact:
    return Artifact("data", "dataset")


def test_files_and_folders_of_this_machine(run: Run, data: Path, tmp_path: Path) -> None:
    artifact = draft()
    (one,) = artifact.add_reference(f"file://{data}/a.txt")
    several = artifact.add_reference(f"file://{data}", name="all")
    assert (one.path, one.size, one.ref) == ("a.txt", 5, f"file://{data}/a.txt")
    assert [entry.path for entry in several] == ["all/a.txt", "all/empty", "all/sub/b.bin"]
    assert one.digest.startswith("blake3:")
    run.log_artifact(artifact)
    assert artifact.manifest.entries["all/sub/b.bin"].ref_target() == f"file://{data}/sub/b.bin"
    assert not list((tmp_path / ".tracker" / "blobs").rglob("*.pack"))
    root = Path(run.use_artifact("data").download())
    assert (root / "all" / "sub" / "b.bin").read_bytes() == (data / "sub" / "b.bin").read_bytes()
    (data / "a.txt").write_text("other")
    with pytest.raises(TrackerError, match="changed"):
        artifact.download(tmp_path / "again")
    (data / "a.txt").unlink()
    with pytest.raises(TrackerError, match=r"a\.txt"):
        artifact.download(tmp_path / "again")
    artifact.download(tmp_path / "again", allow_missing_references=True)
    assert (tmp_path / "again" / "all" / "empty").exists() and not (tmp_path / "again" / "a.txt").exists()


def test_objects_of_the_web(run: Run, web: str, tmp_path: Path) -> None:
    artifact = draft()
    (entry,) = artifact.add_reference(f"{web}/files/model.bin", name="model")
    assert (entry.size, entry.digest) == (len(CONTENT), 'etag:"one"')
    run.log_artifact(artifact)
    assert Path(artifact.get_entry("model").download()).read_bytes() == CONTENT
    Pages.tag = "two"
    with pytest.raises(TrackerError, match="changed"):
        artifact.download(tmp_path / "again")
    with pytest.raises(UsageError, match="nothing is"):
        draft().add_reference(f"{web}/none")


def test_a_network_that_is_away_leaves_size_and_checksum_open(capsys: pytest.CaptureFixture[str]) -> None:
    (entry,) = draft().add_reference("http://127.0.0.1:9/x.bin")
    assert (entry.path, entry.size, entry.digest) == ("x.bin", -1, "")
    assert "without its size" in capsys.readouterr().err


WITHOUT_LIBRARIES = """
import sys
for name in ("boto3", "obstore", "requests", "google.cloud.storage", "azure.storage.blob"):
    sys.modules[name] = None
from tracker_core import Artifact
a = Artifact("data", "dataset")
for uri in ("s3://bucket/folder/key.bin", "gs://bucket/gs.bin", "az://account/container/az.bin", "https://host/web.bin",
            "file:///nowhere/file.bin"):
    (entry,) = a.add_reference(uri, checksum=False)
    print(entry.path, entry.size, entry.ref)
"""


def test_without_a_checksum_nobody_is_asked_and_no_library_is_needed(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_LIBRARIES], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "key.bin -1 s3://bucket/folder/key.bin",
        "gs.bin -1 gs://bucket/gs.bin",
        "az.bin -1 az://account/container/az.bin",
        "web.bin -1 https://host/web.bin",
        "file.bin -1 file:///nowhere/file.bin",
    ]


@pytest.mark.parametrize(
    "uri",
    ["", "nothing", "/etc/passwd", "../x", "javascript:alert(1)", "data:text/html,x", "ftp://host/x", "s3://", "s3:///x",
     "https://", "http://[::1", "s3://b/\x00", "s3://b/\u202e", "x" * 5000, None, 3, b"s3://b/k", "https://u:p@host/x",
     "https://host/x?X-Amz-Signature=0123456789abcdef0123456789abcdef&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE"],
    ids=lambda uri: repr(uri)[:30],
)  # fmt: skip
@pytest.mark.parametrize("checksum", [True, False])
def test_what_is_no_address_or_holds_a_secret_is_refused(uri: Any, checksum: bool) -> None:
    artifact = draft()
    with pytest.raises(UsageError) as caught:
        artifact.add_reference(uri, checksum=checksum)
    assert "0123456789abcdef" not in str(caught.value) and "u:p@" not in str(caught.value)
    assert artifact.file_count == 0


def test_too_many_objects_are_refused(data: Path) -> None:
    artifact = draft()
    with pytest.raises(UsageError, match="max_objects"):
        artifact.add_reference(f"file://{data}", max_objects=2)
    assert artifact.file_count == 0


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A bucket of a real S3 server with keys one.bin, many/a and many/b, and its boto3 client."""
    pytest.importorskip("moto")
    boto3 = pytest.importorskip("boto3")
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1")
    client.create_bucket(Bucket="data")
    for key in ("one.bin", "many/a", "many/deep/b", "manyother"):
        client.put_object(Bucket="data", Key=key, Body=CONTENT)
    yield client
    server.stop()


def test_objects_of_s3(run: Run, bucket: Any, tmp_path: Path) -> None:
    artifact = draft()
    (one,) = artifact.add_reference("s3://data/one.bin", name="model")
    assert one.size == len(CONTENT) and one.digest.startswith("etag:")
    many = artifact.add_reference("s3://data/many", name="folder")
    assert [(entry.path, entry.ref) for entry in many] == [
        ("folder/a", "s3://data/many/a"),
        ("folder/deep/b", "s3://data/many/deep/b"),
    ]
    with pytest.raises(UsageError, match="nothing is"):
        draft().add_reference("s3://data/none")
    with pytest.raises(UsageError, match="max_objects"):
        draft().add_reference("s3://data", max_objects=2)
    run.log_artifact(artifact)
    assert Path(artifact.download(), "folder", "deep", "b").read_bytes() == CONTENT
    bucket.put_object(Bucket="data", Key="many/a", Body=CONTENT[::-1])
    with pytest.raises(TrackerError, match="changed"):
        artifact.download(tmp_path / "again")
    bucket.delete_object(Bucket="data", Key="many/a")
    with pytest.raises(TrackerError, match="many/a"):
        artifact.download(tmp_path / "again")
    assert os.path.exists(tmp_path / "again")
