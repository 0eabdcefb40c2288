"""References: objects kept elsewhere, of which only address, size and checksum are recorded.

Whoever adds a reference asks for its size and checksum, and whoever downloads it fetches it; a server never does
either. For s3://, gs:// and az:// the libraries' usual environment variables name credentials and endpoints.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Any
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from ..errors import TrackerError, UsageError
from ..file_names import check_file_name
from ..say import warn
from ..settings import load_settings
from .local_files import files_below
from .manifest import Entry

CLOUD_SCHEMES = ("s3", "gs", "az")
SCHEMES = (*CLOUD_SCHEMES, "file", "http", "https")
TIMEOUT_S = 10.0
_FETCH_TIMEOUT_S = 60.0
_COPY_BYTES = 1 << 20
_MAX_ADDRESS_CHARS = 4096


class ReferenceLostError(TrackerError):
    """What a reference points to is not there any more, or is not what it was."""


class _NothingThere(Exception):  # noqa: N818
    """There is no such object."""


def references_of(uri: object, name: str | None, checksum: bool, max_objects: int, where: str) -> list[Entry]:
    """Return the entries for an address: one for an object or file, several for what ends like a folder.

    Trouble with the network is warned of, and the address recorded without size and checksum.

    Raises:
        UsageError: it is no address of a known kind, has a secret in it, nothing is there, or more than `max_objects`.
    """
    address = _checked_address(uri, where)
    scheme = urlsplit(address).scheme
    if not checksum:
        return [Entry(_name(name, _last_part(address), where), -1, reference=address)]
    lookers: dict[str, Callable[[str], Iterator[Entry]]] = {"file": _files, "http": _web_object, "https": _web_object}
    look = lookers.get(scheme, _cloud_objects)
    found: list[Entry] = []
    try:
        for entry in look(address):
            found.append(entry)
            if len(found) > max_objects:
                remedy = "pass max_objects= with a higher number, or a narrower address"
                raise UsageError(where, f"more than {max_objects} objects at {address!r}", "at most so many", remedy)
    except _NothingThere:
        remedy = "check the address; checksum=False records it without asking"
        raise UsageError(where, f"{address!r}, where nothing is", "an object that is there", remedy) from None
    except (OSError, TrackerError) as error:
        if isinstance(error, UsageError):
            raise
        warn(f"the reference {address!r} is recorded without its size and checksum: {error}")
        return [Entry(_name(name, _last_part(address), where), -1, reference=address)]
    return _named(found, name, where)


def fetch_references(entries: Sequence[Entry], folder: str, allow_missing: bool) -> None:
    """Fetch what references point to into a folder; what is there with the right size stays.

    Raises:
        ReferenceLostError: an object is gone or has another checksum, and `allow_missing` is not set.
        UsageError: something is in the way.
    """
    for entry in entries:
        path = _free_path(folder, entry.path)
        if os.path.isfile(path) and os.path.getsize(path) == entry.size_bytes:
            continue
        temporary = f"{path}.{os.getpid()}.part"
        try:
            with open(temporary, "xb") as target:
                _fetch(entry, target)
            os.replace(temporary, path)
        except (OSError, TrackerError, _NothingThere) as error:
            if not allow_missing:
                got = f"{entry.path!r}: {entry.reference!r} cannot be fetched: {error or 'nothing is there'}"
                raise ReferenceLostError(f"{got}; allow_missing_references=True goes on without it") from error
            warn(f"the reference {entry.reference!r} cannot be fetched: {error or 'nothing is there'}")
        finally:
            if os.path.lexists(temporary):
                os.unlink(temporary)


def _checked_address(uri: object, where: str) -> str:
    expected = "an address such as s3://bucket/key, gs://, az://, file:///path or https://"
    if not isinstance(uri, str) or not uri.isprintable() or len(uri) > _MAX_ADDRESS_CHARS:
        raise UsageError(where, f"{uri!a:.200}", expected, "pass a text; percent-encode special characters")
    try:
        parts = urlsplit(uri)
        scheme, is_secret = parts.scheme.lower(), parts.password is not None
    except ValueError:
        raise UsageError(where, f"{uri!a:.200}", expected, "check the address") from None
    if scheme not in SCHEMES or "://" not in uri or (scheme != "file" and not parts.netloc):
        remedy = "add_file() and add_dir() take paths" if "://" not in uri else "store it in one of these places"
        raise UsageError(where, f"{uri!a:.200}", expected, remedy)
    from ..capture.masking import masker_for

    if is_secret or (masker_for(load_settings()).url(uri) != uri and "@" not in parts.path):
        remedy = "leave it out: credentials belong into the environment, and signed addresses expire"
        raise UsageError(where, f"an address of {parts.hostname!r} with a secret in it", "one without", remedy)
    return uri


def _named(found: list[Entry], name: str | None, where: str) -> list[Entry]:
    """Return the entries under the name that was asked for: that of the one, or of the folder of several."""
    if len(found) == 1 and name is not None:
        return [_renamed(found[0], check_file_name(name, f"{where}, name"))]
    prefix = "" if name is None else check_file_name(name.strip("/"), f"{where}, name") + "/"
    return [_renamed(entry, check_file_name(prefix + entry.path, f"{where}, name")) for entry in found]


def _renamed(entry: Entry, path: str) -> Entry:
    return Entry(path, entry.size_bytes, reference=entry.reference, checksum=entry.checksum)


def _name(name: str | None, otherwise: str, where: str) -> str:
    return check_file_name(otherwise if name is None else name, f"{where}, name")


def _last_part(address: str) -> str:
    parts = urlsplit(address)
    return unquote(parts.path).rstrip("/").rpartition("/")[2] or parts.netloc or "reference"


# Files


def _files(address: str) -> Iterator[Entry]:
    path = _path_of(address)
    if os.path.isdir(path):
        for file in files_below(path, None, "add_reference()"):
            inner = f"{address.rstrip('/')}/{file.name}"
            yield Entry(file.name, file.size_bytes, reference=inner, checksum=_digest(file.path))
    elif os.path.isfile(path):
        yield Entry(os.path.basename(path), os.path.getsize(path), reference=address, checksum=_digest(path))
    else:
        raise _NothingThere


def _path_of(address: str) -> str:
    parts = urlsplit(address)
    if parts.netloc not in ("", "localhost"):
        remedy = "write file:/// with three slashes and an absolute path"
        raise UsageError("add_reference()", f"{address!a:.200}", "a file of this machine", remedy)
    if "%" not in parts.path and os.path.exists(address.removeprefix("file://")):
        return address.removeprefix("file://")
    return url2pathname(parts.path)


def _digest(path: str) -> str:
    from blake3 import blake3

    hasher = blake3()
    with open(path, "rb", buffering=0) as file:
        while data := file.read(_COPY_BYTES):
            hasher.update(data)
    return f"blake3:{hasher.hexdigest()}"


# The web


def _web_object(address: str) -> Iterator[Entry]:
    with _web(address) as response:
        length = response.headers.get("Content-Length", "")
        size_bytes = int(length) if length.isdecimal() and "Content-Encoding" not in response.headers else -1
        tag = response.headers.get("ETag", "")
        yield Entry(_last_part(address), size_bytes, reference=address, checksum=f"etag:{tag}"[:512] if tag else "")


def _web(address: str) -> Any:
    import requests

    try:
        headers = {"Accept-Encoding": "identity"}
        response = requests.get(address, stream=True, timeout=(TIMEOUT_S, _FETCH_TIMEOUT_S), headers=headers)
    except requests.RequestException as error:
        raise OSError(f"{type(error).__name__}: {error}"[:300]) from error
    if response.status_code in (404, 410):
        response.close()
        raise _NothingThere
    if response.status_code != 200:
        response.close()
        raise OSError(f"status {response.status_code}")
    return response


# Object stores


def _cloud_objects(address: str) -> Iterator[Entry]:
    import obstore

    root, key = _root_and_key(address)
    store = _store(root)
    if key and not key.endswith("/"):
        try:
            yield _cloud_entry(root, obstore.head(store, key), key.rpartition("/")[2])
            return
        except FileNotFoundError:
            pass
        except Exception as error:
            raise _as_trouble(error) from error
    is_found = False
    folder = f"{key.rstrip('/')}/" if key else ""
    try:
        for part in obstore.list(store, prefix=key.rstrip("/") or None):
            for meta in part:
                if meta["path"].startswith(folder) and (meta["size"] or meta["path"] != folder):
                    is_found = True
                    yield _cloud_entry(root, meta, meta["path"][len(folder) :])
    except (_NothingThere, UsageError, GeneratorExit):
        raise
    except Exception as error:
        raise _as_trouble(error) from error
    if not is_found:
        raise _NothingThere


def _cloud_entry(root: str, meta: Mapping[str, Any], name: str) -> Entry:
    version, tag = meta.get("version"), meta.get("e_tag")
    checksum = f"version:{version}" if version else f"etag:{tag}" if tag else ""
    return Entry(name, int(meta["size"]), reference=f"{root}/{meta['path']}", checksum=checksum)


def _root_and_key(address: str) -> tuple[str, str]:
    """Return the address of the bucket or container, and the key in it."""
    scheme, _, rest = address.partition("://")
    bucket, _, key = rest.partition("/")
    return f"{scheme}://{bucket}", key


def _store(root: str) -> Any:
    """Return the store of a bucket; credentials and endpoints are those of the environment."""
    import datetime

    from obstore.store import from_url

    wait: Any = {"max_retries": 1, "retry_timeout": datetime.timedelta(seconds=TIMEOUT_S)}
    options: Any = {"timeout": f"{TIMEOUT_S:g} seconds", "connect_timeout": f"{TIMEOUT_S:g} seconds"}
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", "")
    if endpoint.startswith("http://"):
        options["allow_http"] = True
    try:
        return from_url(root, client_options=options, retry_config=wait)
    except Exception as error:
        raise _as_trouble(error) from error


def _as_trouble(error: Exception) -> Exception:
    """Return what a library raised as what it is here."""
    return error if isinstance(error, (OSError, TrackerError)) else OSError(f"{type(error).__name__}: {error}"[:300])


# Fetching


def _fetch(entry: Entry, target: IO[bytes]) -> None:
    scheme = urlsplit(entry.reference).scheme
    if scheme == "file":
        pieces, tag = _file_pieces(entry), ""
    elif scheme in ("http", "https"):
        pieces, tag = _web_pieces(entry)
    else:
        pieces, tag = _cloud_pieces(entry)
    if entry.checksum and tag and tag != entry.checksum:
        raise OSError(f"it has changed since it was recorded: {tag}, expected {entry.checksum}")
    n_bytes = 0
    for piece in pieces:
        n_bytes += len(piece)
        target.write(piece)
    if entry.size_bytes not in (-1, n_bytes):
        raise OSError(f"{n_bytes} bytes came, expected {entry.size_bytes}")


def _file_pieces(entry: Entry) -> Iterator[bytes]:
    path = _path_of(entry.reference)
    if not os.path.isfile(path):
        raise _NothingThere
    if entry.checksum and _digest(path) != entry.checksum:
        raise OSError("it has changed since it was recorded")
    with open(path, "rb") as file:
        while data := file.read(_COPY_BYTES):
            yield data


def _web_pieces(entry: Entry) -> tuple[Iterator[bytes], str]:
    import requests

    response = _web(entry.reference)
    tag = response.headers.get("ETag", "")

    def pieces() -> Iterator[bytes]:
        with response:
            try:
                yield from response.iter_content(_COPY_BYTES)
            except requests.RequestException as error:
                raise OSError(str(error)[:300]) from error

    return pieces(), f"etag:{tag}"[:512] if tag else ""


def _cloud_pieces(entry: Entry) -> tuple[Iterator[bytes], str]:
    import obstore

    root, key = _root_and_key(entry.reference)
    kind, _, known = entry.checksum.partition(":")
    options: Any = {"version": known} if kind == "version" else None
    try:
        found = obstore.get(_store(root), key, options=options)
    except FileNotFoundError:
        raise _NothingThere from None
    except Exception as error:
        raise _as_trouble(error) from error
    tag = f"etag:{found.meta.get('e_tag')}" if kind == "etag" else ""
    return (bytes(piece) for piece in found.stream(min_chunk_size=_COPY_BYTES)), tag


def _free_path(folder: str, name: str) -> str:
    """Return where a name is below a folder, after making the folders above it; no link is gone through."""
    here = folder
    *parents, last = check_file_name(name).split("/")
    for part in parents:
        here = os.path.join(here, part)
        if os.path.islink(here) or (os.path.lexists(here) and not os.path.isdir(here)):
            raise UsageError("download()", f"{here!a}, which is in the way", "a folder", "remove it, or another root=")
        os.makedirs(here, exist_ok=True)
    path = os.path.join(here, last)
    if os.path.islink(path) or os.path.isdir(path):
        raise UsageError("download()", f"{path!a}, which is in the way", "a free name", "remove it, or another root=")
    return path
