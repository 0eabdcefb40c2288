"""Which names hold secrets, and which of their values are secret. Pure; docs/capture.md tells users the same rule."""

from __future__ import annotations

import re
from enum import IntEnum
from functools import lru_cache

from ..lazy_pattern import lazy_pattern

# Runs of letters as in api_key, apiKey, APIKey and X-Api-Key; digits are words of their own.
_WORDS = lazy_pattern(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_PASSWORD = frozenset("password passwords passwd passphrase pwd passcode sshpass".split())
_SECRET = frozenset("secret secrets credential credentials apikey apikeys authkey".split())
_TOKEN = frozenset("token auth authorization cookie cookies jwt signature".split())
# Words written as one: dbpassword, clientsecret. "token" is not here: it ends too many harmless ones.
_PASSWORD_ENDS = ("password", "passwd", "passphrase")
_SECRET_ENDS = ("apikey", "secretkey", "accesskey", "privatekey", "accountkey", "clientsecret", "authtoken")
# What comes before "key" where any value is secret. With other words before it, only a value that looks random is.
_KEY_OWNERS = frozenset(
    """
    access account anthropic api auth aws azure cohere comet decryption encryption gemini github gitlab google groq hf
    huggingface hmac mistral neptune openai private rsa secret sendgrid signing ssh stripe tracker wandb
    """.split()
)
_PASS_OWNERS = frozenset(
    "admin db docker email ftp http https imap ldap login mail mongo mysql pg postgres proxy redis registry root smtp "
    "sql ssh user vault".split()
)
# "tokens" counts things, unless one of these comes before it.
_TOKENS_OWNERS = frozenset("access api auth bearer github gitlab hf hub refresh session".split())
# A token of text rather than of access: masked only where it looks random.
_TEXT_TOKEN = frozenset(
    """
    additional audio begin bos boundary class cls decoder draft encoder end eos first forced image label last mask max
    min n new next num pad padding per prev previous prompt sep separator source special speculative start stop sub
    subword suppress target text think thinking tool unk unknown video vocab word
    """.split()
)
# A name that ends so tells about a secret, but does not hold one.
_DESCRIBING = frozenset(
    """
    arn class count dim dir directory enabled env expiry file files filename folder format kind len length lr mode name
    names path paths policy prefix size sock socket source ttl type types url uri version
    """.split()
)
_NO_SECRETS = frozenset({"pwd", "oldpwd"})  # the shell's working directories
# What stands in a value's place in code, templates and documentation.
_PLACEHOLDER = lazy_pattern(
    r"""(?ix: none|null|nil|true|false|undefined|str|string|bytes|int|float|bool|any|optional|secretstr|object
    |\.{2,} |\*+ |x{3,} |_+ |-+ |<[^<>]*> |\[[^\[\]]*\] |\{[^{}]*\} |\$\{.*\} |%\([\w.]*\)s )
    | \$[A-Z_][A-Z0-9_]* | \$\(.*\)""",
    re.VERBOSE,
)
_NUMBER = lazy_pattern(r"[+-]?[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9]+)?")
_PATH = lazy_pattern(r"(?:~|\.{0,2})/(?:[^/\s]+/)*[^/\s]*\.[A-Za-z][A-Za-z0-9]{0,9}|[A-Za-z]:\\.*")
_RANDOM = lazy_pattern(r"[A-Za-z0-9]{16,}")
_HASH = lazy_pattern(r"[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_MIN_TOKEN_CHARS = 8
_MIN_PLAIN_TOKEN_CHARS = 20


class Strength(IntEnum):
    """How surely a name holds a secret; the higher, the fewer values are let through."""

    NONE = 0
    KEY = 1  # some key: only what looks random is secret
    TOKEN = 2  # an access token, as opposed to a word of text
    SECRET = 3  # any text but numbers
    PASSWORD = 4  # any text
    NAMED = 5  # the user said so: anything


@lru_cache(maxsize=4096)
def strength(name: str) -> Strength:
    """Return how surely something of this name is a secret. The name may be dotted, dashed or in camel case."""
    words = [word.lower() for word in _WORDS.findall(name)]
    while words and words[-1].isdigit():
        words.pop()
    if not words or "".join(words) in _NO_SECRETS:
        return Strength.NONE
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    if last == "id" and before in ("key", "token"):  # AWS_ACCESS_KEY_ID
        return Strength.NONE if _TEXT_TOKEN.intersection(words) else _of_last("secret" if before == "key" else "token")
    if last in _DESCRIBING:
        return Strength.NONE
    if last == "key":
        return Strength.SECRET if before in _KEY_OWNERS else _key(before)
    if last == "keys":
        return Strength.SECRET if before in _KEY_OWNERS else Strength.NONE
    if last == "pass":
        return Strength.PASSWORD if before in _PASS_OWNERS else Strength.NONE
    if last == "tokens":
        return Strength.TOKEN if before in _TOKENS_OWNERS else Strength.NONE
    if last == "token" and _TEXT_TOKEN.intersection(words):
        return Strength.KEY
    found = _of_last(last)
    if found == Strength.NONE and any(_of_last(word) > Strength.TOKEN for word in words):
        return Strength.TOKEN  # password_old, secret_value
    return found


def _key(before: str) -> Strength:
    return Strength.NONE if before in ("public", "primary", "foreign", "") else Strength.KEY


def _of_last(word: str) -> Strength:
    if word in _PASSWORD or word.endswith(_PASSWORD_ENDS):
        return Strength.PASSWORD
    if word in _SECRET or word.endswith(_SECRET_ENDS):
        return Strength.SECRET
    return Strength.TOKEN if word in _TOKEN else Strength.NONE


def is_secret(how_sure: Strength, value: str) -> bool:
    """Say whether a value under a name of that strength is to be masked."""
    if how_sure == Strength.NONE or not value or _PLACEHOLDER.fullmatch(value):
        return False
    if how_sure == Strength.NAMED:
        return True
    if _PATH.fullmatch(value):
        return False
    if how_sure == Strength.PASSWORD:
        return True
    if _NUMBER.fullmatch(value):
        return how_sure == Strength.SECRET and len(value) >= _MIN_TOKEN_CHARS and value.isdigit()
    if how_sure == Strength.SECRET:
        return True
    return is_token(value) if how_sure == Strength.TOKEN else is_random(value)


def is_token(value: str) -> bool:
    """Say whether a value can be an access token: one word, with a digit or long."""
    if len(value) < _MIN_TOKEN_CHARS or any(map(str.isspace, value)):
        return False
    return len(value) >= _MIN_PLAIN_TOKEN_CHARS or any(map(str.isdigit, value))


def is_random(value: str) -> bool:
    """Say whether a value holds a long run of letters mixed with digits, and is no SHA or UUID."""
    if _HASH.fullmatch(value):
        return False
    runs = _RANDOM.findall(value[:4096])
    return any(not run.isdigit() and not run.isalpha() for run in runs)
