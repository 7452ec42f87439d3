"""Sessions and API tokens: found by the hash of their secret, ended at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias
from uuid import UUID

from sqlalchemy import (
    Connection,
    Interval,
    Select,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert

from hemaline_cloud.database.schema import (
    ApiToken,
    Grant,
    LogInFailure,
    Person,
    Session,
)
from hemaline_shared.ids import new_id

Scope: TypeAlias = Literal["read", "write", "metrics"]
Method: TypeAlias = Literal["password", "totp", "oidc"]

FREE_FAILURES = 5
"""So many wrong passwords in a row cost no waiting."""
_LONGEST_WAIT_S = 900
_SEEN_S = 60
"""A session's last use is written down no more often."""


@dataclass(frozen=True, slots=True)
class Found:
    """Whose secret it was, and what they may do now, as (role, site)."""

    person_id: UUID
    name: str
    full_name: str
    kind: Literal["person", "service"]
    grants: frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session that is good now."""

    found: Found
    authenticated_at: datetime
    ends_at: datetime
    stale: bool
    """Whether its last use should be written down."""


@dataclass(frozen=True, slots=True)
class TokenRow:
    """One API token; never its secret."""

    token_id: UUID
    person: str
    name: str
    scopes: Sequence[str]
    created_at: datetime
    ends_at: datetime
    discarded_at: datetime | None
    used_at: datetime | None


def _principal(*columns: Any) -> Select[Any]:  # noqa: ANN401  # columns of any type
    """Select who somebody is, what they may do, and more columns; only active ones are found."""
    grants = func.array_agg(Grant.role + "@" + Grant.at_site).filter(Grant.role.is_not(None))
    return (
        select(Person.person_id, Person.name, Person.full_name, Person.kind, grants, *columns)
        .select_from(Person)
        .outerjoin(
            Grant,
            (Grant.person_id == Person.person_id)
            & or_(Grant.until.is_(None), Grant.until > func.now()),
        )
        .where(Person.state == "active")
    )


# Each request asks one of these two: to build it anew took a tenth of what a read costs.
_OF_SESSION = (
    _principal(Session.authenticated_at, Session.ends_at, Session.seen_at, func.now())
    .join(Session, Session.person_id == Person.person_id)
    .where(
        Session.token_sha256 == bindparam("token_sha256"),
        Session.ends_at > func.now(),
        Session.seen_at > func.now() - bindparam("idle", type_=Interval),
    )
    .group_by(Person.person_id, Session.token_sha256)
)
_OF_TOKEN = (
    _principal(ApiToken.scopes)
    .join(ApiToken, ApiToken.person_id == Person.person_id)
    .where(
        ApiToken.token_sha256 == bindparam("token_sha256"),
        ApiToken.ends_at > func.now(),
        ApiToken.discarded_at.is_(None),
    )
    .group_by(Person.person_id, ApiToken.token_id)
)


def open_session(
    connection: Connection,
    token_sha256: bytes,
    person_id: UUID,
    method: Method,
    lifetime_s: int,
    authenticated_at: datetime | None = None,
) -> None:
    """Begin a session, by proofs of this moment or an earlier one; those that are over go."""
    connection.execute(delete(Session).where(Session.ends_at < func.now()))
    connection.execute(
        insert(Session).values(
            token_sha256=token_sha256,
            person_id=person_id,
            method=method,
            authenticated_at=authenticated_at or func.now(),
            ends_at=func.now() + timedelta(seconds=lifetime_s),
        )
    )


def find_session(connection: Connection, token_sha256: bytes, idle_s: int) -> SessionRow | None:
    """Return a session of an active person that has neither ended nor been idle for too long."""
    idle = timedelta(seconds=idle_s)
    row = connection.execute(
        _OF_SESSION, {"token_sha256": token_sha256, "idle": idle}
    ).one_or_none()
    if row is None:
        return None
    authenticated_at, ends_at, seen_at, now = row[5:]
    stale = now - seen_at > timedelta(seconds=min(_SEEN_S, idle_s / 4))
    return SessionRow(_found(row), authenticated_at, ends_at, stale)


def touch_session(connection: Connection, token_sha256: bytes) -> None:
    """Write down that a session is in use."""
    connection.execute(
        update(Session).where(Session.token_sha256 == token_sha256).values(seen_at=func.now())
    )


def end_session(connection: Connection, token_sha256: bytes) -> None:
    """End one session; whoever holds its cookie is nobody from now on."""
    connection.execute(delete(Session).where(Session.token_sha256 == token_sha256))


def end_other_sessions(connection: Connection, person_id: UUID, token_sha256: bytes) -> None:
    """End all sessions of somebody but this one."""
    connection.execute(
        delete(Session).where(Session.person_id == person_id, Session.token_sha256 != token_sha256)
    )


def add_token(
    connection: Connection,
    person_id: UUID,
    name: str,
    token_sha256: bytes,
    scopes: Sequence[Scope],
    lifetime: timedelta,
) -> UUID:
    """Let a program call the API in somebody's name."""
    token_id = new_id()
    connection.execute(
        insert(ApiToken).values(
            token_id=token_id,
            person_id=person_id,
            name=name,
            token_sha256=token_sha256,
            scopes=list(scopes),
            ends_at=func.now() + lifetime,
        )
    )
    return token_id


def find_token(connection: Connection, token_sha256: bytes) -> tuple[Found, list[str]] | None:
    """Return whose token it is, if it has not ended, and its scopes."""
    row = connection.execute(_OF_TOKEN, {"token_sha256": token_sha256}).one_or_none()
    return (_found(row), row.scopes) if row else None


def list_tokens(connection: Connection, *, ended: bool = False) -> list[TokenRow]:
    """Return tokens, the newest first; those that have ended, too, if asked."""
    columns = (
        ApiToken.token_id,
        Person.name.label("person"),
        ApiToken.name,
        ApiToken.scopes,
        ApiToken.created_at,
        ApiToken.ends_at,
        ApiToken.discarded_at,
        ApiToken.used_at,
    )
    wanted = select(*columns).join(Person).order_by(ApiToken.token_id.desc())
    if not ended:
        wanted = wanted.where(ApiToken.discarded_at.is_(None), ApiToken.ends_at > func.now())
    return [TokenRow(*row) for row in connection.execute(wanted)]


def discard_token(connection: Connection, token_id: UUID) -> bool:
    """End a token; False: there is none that had not ended."""
    ended = connection.execute(
        update(ApiToken)
        .where(ApiToken.token_id == token_id, ApiToken.discarded_at.is_(None))
        .values(discarded_at=func.now())
    )
    return ended.rowcount == 1


def begin_attempt(connection: Connection, name_sha256: bytes) -> float:
    """Count an attempt to log in before its password is looked at; return the seconds to wait.

    Counted first, many attempts at once are as slow as one after the other. After a few failures in
    a row the wait doubles with each, up to a quarter of an hour.

    Returns:
        0: it may be tried now.
    """
    wait = _wait_after(LogInFailure.failures)
    due = LogInFailure.last_at + wait
    new = upsert(LogInFailure).values(name_sha256=name_sha256, failures=1, last_at=func.now())
    counted = connection.execute(
        new.on_conflict_do_update(
            index_elements=[LogInFailure.name_sha256],
            set_={"failures": LogInFailure.failures + 1, "last_at": func.now()},
            where=or_(LogInFailure.failures < FREE_FAILURES, due <= func.now()),
        ).returning(LogInFailure.failures)
    )
    if counted.one_or_none():
        return 0.0
    left = select(func.extract("epoch", due - func.now())).where(
        LogInFailure.name_sha256 == name_sha256
    )
    return max(1.0, float(connection.execute(left).scalar_one()))


def forget_failures(connection: Connection, name_sha256: bytes) -> None:
    """Count anew after a log-in; what is a day old goes, too."""
    old = LogInFailure.last_at < func.now() - timedelta(days=1)
    connection.execute(
        delete(LogInFailure).where(or_(LogInFailure.name_sha256 == name_sha256, old))
    )


def _wait_after(failures: Any) -> Any:  # noqa: ANN401  # an expression of a column
    doublings = func.least(failures - FREE_FAILURES, 10)
    return func.least(30 * func.power(2, doublings), _LONGEST_WAIT_S) * timedelta(seconds=1)


def _found(row: Any) -> Found:  # noqa: ANN401  # a row of `_principal`
    pairs = (grant.partition("@") for grant in row[4] or ())
    grants = frozenset((role, site) for role, _, site in pairs)
    return Found(row.person_id, row.name, row.full_name, row.kind, grants)
