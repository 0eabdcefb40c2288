"""25 secrets are let loose in environment, command, config, uncommitted changes, remote, exception and source.

None may be found in anything that is written. `CANARIES` and the functions below serve a test of a whole run as well.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from child_process import environment

from .repository import git, make_repository


@dataclass(frozen=True, slots=True)
class Canary:
    """A secret, where it is let loose, and the text or name that it stands under there; `{}` is the secret."""

    where: str  # environment, argument, config, diff, remote, exception, source
    carrier: str
    secret: str


CANARIES = [
    # Printed by the exception too, under no name at all: known from the environment.
    Canary("environment", "DB_PASSWORD", "canary-01-in-the-environment"),
    Canary("environment", "TRACKER_API_KEY", "canary-02-key/of+the=tracker"),
    Canary("environment", "DATABASE_URL=postgresql://me:{}@db.example.org/x", "canary-03-in-a-database-url"),
    Canary("environment", "NCCL_PROXY=http://me:{}@proxy:3128", "canary-04-in-a-recorded-variable"),
    Canary("environment", "AWS_SECRET_ACCESS_KEY", "canary05/wJalrXUtnFEMI/K7MDENGbPx"),
    Canary("argument", "--hub-token {}", "canary-06-argument"),
    Canary("argument", "--api_key={}", "canary07argument"),
    Canary("argument", "trainer.db.password={}", "canary 08 with blanks"),
    Canary("argument", "{}", "hf_canary09abcdefghijklmnopqrstuvwxyz"),
    Canary("argument", "--data=https://me:{}@example.org/set.tar", "canary-10-in-a-url"),
    Canary("config", "password", "canary-11-config"),
    Canary("config", "optimizer.client_secret", "canary-12-nested"),
    Canary("config", "note", "ghp_canary13abcdefghijklmnopqrstuvwxyz01"),
    Canary("config", "wandb_api_key", "canary14abcdef0123456789abcdef0123456789"),
    Canary("diff", "DB_PASSWORD={}", "canary-15,diff(with;signs"),
    Canary("diff", '    "api_key": "{}",', "canary-16-diff-json"),
    Canary("diff", "token = '{}'", "canary-17-diff-python"),
    Canary("diff", "  private_token: {}", "canary-18-diff-yaml"),
    Canary("diff", "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----", "Canary19MIIEvQIBADANBgkqhkiG9w0BAQ"),
    Canary("diff", "aws_access_key_id = {}", "AKIACANARY20ABCDEFGH"),
    Canary("remote", "https://me:{}@example.org/team/code.git", "canary-21-remote"),
    Canary("exception", "401 for https://example.org/?access_token={}&page=2", "canary-22-exception"),
    Canary("exception", "sent {{'Authorization': 'Bearer {}'}}", "canary-23-bearer-0123456789"),
    Canary("exception", "could not connect with password={}", "canary-24-exception"),
    Canary("source", "os.environ.setdefault('SMTP_PASSWORD', '{}')", "canary-25-main-script"),
]


def carried(where: str) -> list[tuple[str, str]]:
    """Return (carrier, carrier with its secret) of the canaries let loose in one place."""
    return [(canary.carrier, canary.carrier.format(canary.secret)) for canary in CANARIES if canary.where == where]


def canary_environment() -> dict[str, str]:
    """Return variables with secrets in them."""
    named = [canary for canary in CANARIES if canary.where == "environment" and "=" not in canary.carrier]
    pairs = [text.partition("=")[::2] for carrier, text in carried("environment") if "=" in carrier]
    return {canary.carrier: canary.secret for canary in named} | dict(pairs)


def canary_arguments() -> list[str]:
    """Return the words of a command line with secrets in them."""
    words: list[str] = []
    for carrier, text in carried("argument"):
        words += text.split(" ", 1) if carrier.startswith("--") and " " in carrier else [text]
    return words


def canary_config() -> dict[str, object]:
    """Return a config with secrets in it, and with numbers that must stay."""
    secrets = {canary.carrier: canary.secret for canary in CANARIES if canary.where == "config"}
    nested = {"client_secret": secrets.pop("optimizer.client_secret"), "lr": 0.1}
    return {**secrets, "optimizer": nested, "max_tokens": 512}


def canary_exception() -> str:
    """Return the text of an exception that has told secrets, one of them with no name beside it."""
    return "\n".join([CANARIES[0].secret, *(text for _, text in carried("exception"))])


def make_canary_repository(folder: Path) -> Path:
    """Return a repository whose remote and uncommitted changes hold secrets, and its script train.py as well."""
    root = make_repository(folder, **{"settings.txt": "first\nlast\n", "train.py": "pass\n"})
    git(root, "remote", "add", "origin", carried("remote")[0][1])
    (root / "settings.txt").write_text("\n".join(["first", *(text for _, text in carried("diff")), "last", ""]))
    return root


def canaries_in(folder: Path) -> list[tuple[str, str]]:
    """Return (path, secret) of every secret, as it is or in another notation, found in a file below a folder."""
    found = []
    for path in folder.rglob("*"):
        data = path.read_bytes() if path.is_file() else os.fsencode(path.name)
        for canary in CANARIES:
            notations = {canary.secret, quote(canary.secret, safe=""), json.dumps(canary.secret)[1:-1]}
            encoded = [notation.encode() for notation in notations] + [base64.b64encode(canary.secret.encode())]
            found += [(str(path), canary.secret) for notation in encoded if notation in data]
    return found


SCRIPT = """
import json, os, sys
from tracker_core.capture.environment import capture
from tracker_core.capture.masking import masker_for
from tracker_core.files import FileKeeper
from tracker_core.records import encode
from tracker_core.settings import load_settings

settings = load_settings({"save_code": True})
masker = masker_for(settings)
folder = sys.argv[1]
config, exception = json.loads(os.environ.pop("TEST_INPUT"))
os.makedirs(folder)
with open(folder + "/journal", "wb") as journal:
    put = lambda record: journal.write(encode(record) + b"\\n")
    capture(put, FileKeeper(folder + "/runs/p/r", put), settings, masker).finish()
    journal.write(json.dumps(masker.value("config", config)).encode())
    journal.write(masker.text(exception).encode())
    for variable, value in os.environ.items():
        journal.write(masker.text(f"{variable}={value} {value!r}\\n").encode(errors="replace"))
"""


def test_there_are_25_and_all_are_told_apart() -> None:
    assert len({canary.secret for canary in CANARIES}) == 25


def test_no_canary_is_found_in_anything_that_is_written(tmp_path: Path) -> None:
    root = make_canary_repository(tmp_path / "repository")
    (root / "train.py").write_text(SCRIPT + carried("source")[0][1] + "\n")
    given = json.dumps([canary_config(), canary_exception()])
    command = [sys.executable, "train.py", str(tmp_path / "written"), *canary_arguments()]
    environ = environment(**canary_environment(), TEST_INPUT=given)
    subprocess.run(command, cwd=root, env=environ, check=True)
    assert canaries_in(tmp_path / "written") == []
    journal = (tmp_path / "written" / "journal").read_bytes()
    kept = [path.read_text() for path in (tmp_path / "written" / "runs").rglob("*") if path.is_file()]
    assert b"--hub-token" in journal and b"https://example.org/team/code.git" in journal and b"max_tokens" in journal
    assert any("+DB_PASSWORD=***" in text for text in kept) and any("SMTP_PASSWORD" in text for text in kept)


@pytest.mark.parametrize("canary", CANARIES, ids=lambda canary: canary.secret[:12])
def test_every_canary_would_be_found(canary: Canary, tmp_path: Path) -> None:
    (tmp_path / "leak").write_text(f"before {canary.secret} after")
    assert canaries_in(tmp_path) == [(str(tmp_path / "leak"), canary.secret)]
