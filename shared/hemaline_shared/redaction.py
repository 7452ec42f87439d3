"""Keeps secrets out of whatever people and collectors read: logs, traces, readiness, terminals.

Every secret that the settings hold is known here and replaced wherever it turns up, also in the
message of a library's exception. What was never a setting (an address that somebody else wrote) is
recognised by its form.
"""

import re
import threading
from collections.abc import Iterator
from urllib.parse import quote, unquote

from pydantic import BaseModel, SecretStr

MASK = "***"

_SHORTEST = 4
"""A secret of three characters would take half of every sentence with it, and protects nothing."""
_LOGIN = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)[^\s\"'<>]*@")
_NAMED = re.compile(
    r"(?i)\b((?:x-amz-)?(?:password|passwd|pwd|secret|secret_key|token|signature|credential)=)"
    r"[^\s&\"',;]+"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

_known: dict[str, None] = {}
_lock = threading.Lock()


def register_secret(secret: str) -> None:
    """Replace this text from now on, also percent-encoded, also the password alone of an address.

    What a parser takes a password's part for (a port, a path) comes back in its complaint, so the
    parts between an address's separators are replaced as well.
    """
    spellings = set()
    password = _password_of(secret)
    for text in (secret, password, *re.split(r"[#/?\[\]@:]", password)):
        spellings |= {text, quote(text, safe=""), unquote(text)}
    with _lock:
        for spelling in spellings:
            if len(spelling) >= _SHORTEST:
                _known[spelling] = None


def register_secrets(settings: BaseModel) -> None:
    """Register every secret of a settings model and of the models in it."""
    for secret in _secrets_of(settings):
        register_secret(secret.get_secret_value())


def redact(text: str) -> str:
    """Return the text without secrets, and without characters that would steer a terminal."""
    with _lock:
        known = sorted(_known, key=len, reverse=True)
    for secret in known:
        text = text.replace(secret, MASK)
    text = _NAMED.sub(rf"\1{MASK}", _LOGIN.sub(rf"\1{MASK}@", text))
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def _password_of(secret: str) -> str:
    """Return the password of an address, however unfit for one; of anything else, all of it."""
    _, scheme, rest = secret.partition("://")
    login, at, _ = rest.rpartition("@")
    if not scheme:
        return secret
    return login.partition(":")[2] if at else ""


def _secrets_of(settings: BaseModel) -> Iterator[SecretStr]:
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            yield value
        elif isinstance(value, BaseModel):
            yield from _secrets_of(value)
