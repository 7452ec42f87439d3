"""Secrets that we give out: long and random, so that a plain SHA-256 of them is safe to keep."""

import hashlib
import hmac
import secrets

_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none is taken for another
_TOKEN = "hml_"  # noqa: S105  # how tokens begin: a scanner of repositories finds a leaked one


def new_secret() -> str:
    """Return 256 random bits, for a cookie or a state."""
    return secrets.token_urlsafe(32)


def new_token() -> str:
    """Return an API token."""
    return _TOKEN + new_secret()


def new_password() -> str:
    """Return a password that a person can read and type: 79 bits in four groups."""
    groups = ("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(4))
    return "-".join(groups)


def digest(secret: str) -> bytes:
    """Return what is stored of a secret, and looked up."""
    return hashlib.sha256(secret.encode()).digest()


def csrf_token(secret: str) -> str:
    """Return what a page of this session must send with each change.

    It follows from the session's secret, so it needs no row, and tells nothing of it.
    """
    return hmac.new(secret.encode(), b"csrf", hashlib.sha256).hexdigest()


def same(one: str, other: str) -> bool:
    """Compare in a time that does not tell where they differ."""
    return hmac.compare_digest(one.encode(), other.encode())
