"""Log-ins that went to the identity provider: each comes back once, to its own browser, in time."""

from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, insert

from hemaline_cloud.database.schema import OidcLogIn

_LIFETIME = timedelta(minutes=10)


class TakenLogIn(NamedTuple):
    """What the provider's answer must fit, and where the person wanted to go."""

    nonce: str
    code_verifier: str
    return_to: str


def remember_log_in(
    connection: Connection,
    state_sha256: bytes,
    browser_sha256: bytes,
    nonce: str,
    code_verifier: str,
    return_to: str,
) -> None:
    """Keep a log-in until it comes back; those that never did go."""
    connection.execute(delete(OidcLogIn).where(OidcLogIn.created_at < func.now() - _LIFETIME))
    connection.execute(
        insert(OidcLogIn).values(
            state_sha256=state_sha256,
            browser_sha256=browser_sha256,
            nonce=nonce,
            code_verifier=code_verifier,
            return_to=return_to,
        )
    )


def take_log_in(
    connection: Connection, state_sha256: bytes, browser_sha256: bytes
) -> TakenLogIn | None:
    """Return a log-in and forget it; None: it was taken, is too old, or another browser's."""
    taken = connection.execute(
        delete(OidcLogIn)
        .where(
            OidcLogIn.state_sha256 == state_sha256,
            OidcLogIn.browser_sha256 == browser_sha256,
            OidcLogIn.created_at > func.now() - _LIFETIME,
        )
        .returning(OidcLogIn.nonce, OidcLogIn.code_verifier, OidcLogIn.return_to)
    ).one_or_none()
    return TakenLogIn(*taken) if taken else None
