"""Read a config from where projects keep it: models and flags of other libraries, and YAML, JSON and TOML files.

Objects are recognised by the names of their classes and modules, so that no library is imported that the script has not
imported itself.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from types import ModuleType, SimpleNamespace
from typing import Any

import msgspec

from .errors import UsageError

SUFFIXES = (".yaml", ".yml", ".json", ".toml")
MISSING = "???"  # how OmegaConf writes a value that is still to be given
_MAX_FILE_BYTES = 16 << 20


def config_of(value: Any, where: str = "init(config=)") -> dict[str, Any] | None:
    """Return the config that an object or file holds, or None where it is none that is known here.

    Known are models and settings of pydantic (1 and 2), absl's FLAGS, OmegaConf's and Hydra's DictConfig, attrs and
    msgspec classes, named tuples, `ml_collections.ConfigDict`, `SimpleNamespace`, other objects with a `to_dict()`, and
    paths of .yaml, .json and .toml files. Values inside may still need to be made plain.

    Raises:
        UsageError: a path names no such file, or it cannot be read as what its ending says.
    """
    if isinstance(value, (str, os.PathLike)):
        return read_config_file(value, where)
    found = structured(value)
    if found is not None or isinstance(value, (type, Mapping)) or hasattr(value, "shape"):
        return found
    to_dict = getattr(value, "to_dict", None)
    converted = to_dict() if callable(to_dict) and not isinstance(value, ModuleType) else None
    return dict(converted) if isinstance(converted, Mapping) else None


def structured(value: Any) -> dict[str, Any] | None:
    """Return the fields of an object of a library known here, or None. Meant for objects within a config as well."""
    if isinstance(value, type):
        return None
    if isinstance(value, ModuleType):
        return _of_absl(value.FLAGS) if value.__name__ == "absl.flags" else None
    for kind in type(value).__mro__[:-1]:
        reader = _READERS.get((kind.__module__.partition(".")[0], kind.__name__))
        if reader is not None:
            return reader(value)
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.asdict(value)
    if isinstance(value, SimpleNamespace):
        return vars(value)
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return dict(value._asdict())
    attributes = getattr(type(value), "__attrs_attrs__", None)
    if attributes is not None:
        return {attribute.name: getattr(value, attribute.name, None) for attribute in attributes}
    return None


def _of_pydantic(model: Any) -> dict[str, Any]:
    return dict(model.model_dump() if hasattr(model, "model_dump") else model.dict())


def _of_absl(flags: Any) -> dict[str, Any]:
    """Return the flags that the program defines, not those of absl itself, parsed or not."""
    by_module = flags.flags_by_module_dict().items()
    return {flag.name: flag.value for module, found in by_module if not module.startswith("absl.") for flag in found}


def _of_omegaconf(config: Any) -> dict[str, Any] | None:
    """Return a DictConfig with interpolations resolved; those that cannot be stay as they are written."""
    omegaconf = sys.modules["omegaconf"]
    written = omegaconf.OmegaConf.to_container(config, resolve=False)
    return _resolved(config, written, omegaconf) if isinstance(written, dict) else None


def _resolved(config: Any, written: Any, omegaconf: Any) -> Any:
    if isinstance(written, dict):
        keys: Any = written
    elif isinstance(written, list):
        keys = range(len(written))
    else:
        return config
    values = {}
    for key in keys:
        try:
            values[key] = _resolved(config[key], written[key], omegaconf)
        except omegaconf.errors.OmegaConfBaseException:  # missing, or refers to what is
            values[key] = written[key]
        if omegaconf.OmegaConf.is_config(values[key]):  # an interpolation that leads to a part of the config
            values[key] = _resolved(values[key], omegaconf.OmegaConf.to_container(values[key]), omegaconf)
    return values if isinstance(written, dict) else list(values.values())


def _of_ml_collections(config: Any) -> dict[str, Any]:
    return dict(config.to_dict())


_READERS: dict[tuple[str, str], Callable[[Any], dict[str, Any] | None]] = {
    ("pydantic", "BaseModel"): _of_pydantic,
    ("absl", "FlagValues"): _of_absl,
    ("omegaconf", "DictConfig"): _of_omegaconf,
    ("ml_collections", "ConfigDict"): _of_ml_collections,
}


# Files


def read_config_file(path: str | os.PathLike[str], where: str = "init(config=)") -> dict[str, Any]:
    """Return what a .yaml, .yml, .json or .toml file holds; dates as ISO 8601 text.

    A file in wandb's form, {key: {"desc": ..., "value": ...}}, gives the values.

    Raises:
        UsageError: there is no such file, it is malformed, or it holds something else than keys and values.
    """
    name = os.fsdecode(path)
    suffix = os.path.splitext(name)[1].lower()
    expected = "the path of a .yaml, .json or .toml file"
    if suffix not in SUFFIXES:
        raise UsageError(where, f"the text {name!r:.200}", f"a dict, or {expected}", "write config={...}")
    try:
        with open(os.path.expanduser(name), "rb") as file:
            content = file.read(_MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        remedy = f"check the path; the working directory is {_working_directory()}"
        raise UsageError(where, f"{name!r} ({reason})", expected, remedy) from None
    if len(content) > _MAX_FILE_BYTES:
        got = f"{name!r}, which has more than {_MAX_FILE_BYTES >> 20} MiB"
        raise UsageError(where, got, expected, "pass the part of it that describes the run")
    found = _parsed(content, suffix, name, where)
    if not isinstance(found, dict):
        got = f"{name!r}, which holds a {type(found).__name__}"
        raise UsageError(where, got, "a file of keys and values", "put the values under names")
    return _without_wandb_form({str(key): _with_text_dates(value) for key, value in found.items()})


def _parsed(content: bytes, suffix: str, name: str, where: str) -> Any:
    """Return what a file's text means; an empty one means no values."""
    try:
        text = content.decode("utf-8-sig")
        if not text.strip():
            return {}
        if suffix == ".json":
            return json.loads(text)
        if suffix == ".toml":
            import tomllib

            return tomllib.loads(text)
        return _parsed_yaml(text, where)
    except (UsageError, MemoryError):
        raise
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        got = f"{name!r}, which is malformed: {reason:.300}"
        raise UsageError(where, got, f"valid {suffix[1:].upper()}", "mend the file, or pass a dict") from None


def _parsed_yaml(text: str, where: str) -> Any:
    try:
        import yaml
    except ImportError:
        raise UsageError(where, "a YAML file", "PyYAML to read it with", "pip install pyyaml") from None
    import re

    class Loader(yaml.SafeLoader):
        """Reads 1e-3 as a number, as YAML 1.2 and everyone who writes it do; PyYAML reads text."""

    number = re.compile(r"[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9]+)[eE][-+]?[0-9]+")
    Loader.add_implicit_resolver("tag:yaml.org,2002:float", number, list("-+.0123456789"))
    try:
        return yaml.load(text, Loader)
    except (yaml.YAMLError, TypeError) as error:  # TypeError: a key that cannot be hashed, in some versions
        raise ValueError(error) from None


def _with_text_dates(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_text_dates(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_text_dates(item) for item in value]
    return value.isoformat() if hasattr(value, "isoformat") else value


def _without_wandb_form(values: dict[str, Any]) -> dict[str, Any]:
    parts = {key: part for key, part in values.items() if key != "wandb_version"}
    has_form = parts and all(isinstance(part, dict) and "value" in part for part in parts.values())
    if not has_form or not all(part.keys() <= {"desc", "value"} for part in parts.values()):
        return values
    return {key: part["value"] for key, part in parts.items()}


def _working_directory() -> str:
    try:
        return os.getcwd()
    except OSError:
        return "gone"
