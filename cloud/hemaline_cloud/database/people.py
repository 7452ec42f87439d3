"""People and services: who they are, how they log in, and which roles they have at which sites."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias
from uuid import UUID

from sqlalchemy import Connection, and_, delete, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from hemaline_cloud.database.audit import Event, record_event
from hemaline_cloud.database.schema import (
    ApiToken,
    Grant,
    Identity,
    LocalAccount,
    Person,
    Session,
)
from hemaline_cloud.principal import Principal, Role
from hemaline_shared.errors import PermanentError
from hemaline_shared.ids import new_id

Kind: TypeAlias = Literal["person", "service"]
State: TypeAlias = Literal["active", "paused", "discarded"]
Source: TypeAlias = Literal["local", "oidc", "break-glass"]

EVERY_SITE = "*"
"""In a grant, in the place of a site's name."""


@dataclass(frozen=True, slots=True)
class PersonRow:
    """Somebody, or a service."""

    person_id: UUID
    name: str
    full_name: str
    kind: Kind
    state: State

    @property
    def principal(self) -> Principal:
        """Who they are in the audit; it may do nothing."""
        return Principal(str(self.person_id), self.full_name, self.kind)


@dataclass(frozen=True, slots=True)
class GrantRow:
    """A role at a site; `until` and `reason` where it is for a time."""

    role: Role
    site: str
    source: Source = "local"
    until: datetime | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class AccountRow:
    """A local account's proofs of who somebody is."""

    person: PersonRow
    password_hash: str
    totp_secret: str | None


_PERSON = (Person.person_id, Person.name, Person.full_name, Person.kind, Person.state)
_VALID = or_(Grant.until.is_(None), Grant.until > func.now())


def add_person(connection: Connection, name: str, full_name: str, kind: Kind) -> UUID:
    """Add somebody who may do nothing yet.

    Raises:
        PermanentError: `name-taken`.
    """
    person_id = new_id()
    new = upsert(Person).values(person_id=person_id, name=name, full_name=full_name, kind=kind)
    added = connection.execute(new.on_conflict_do_nothing().returning(Person.person_id))
    if added.one_or_none() is None:
        raise PermanentError("name-taken", f"somebody is called {name} already")
    return person_id


def find_person(connection: Connection, name: str) -> PersonRow | None:
    """Return who is called so, whatever the case of the letters."""
    wanted = select(*_PERSON).where(func.lower(Person.name) == name.lower())
    row = connection.execute(wanted).one_or_none()
    return _person(row) if row else None


def list_people(connection: Connection, states: Collection[State]) -> list[PersonRow]:
    """Return everybody in one of the states, by name."""
    wanted = select(*_PERSON).where(Person.state.in_(states)).order_by(func.lower(Person.name))
    return [_person(row) for row in connection.execute(wanted)]


def set_state(connection: Connection, person_id: UUID, state: State) -> None:
    """Let somebody in, or no more: then every session and token of theirs ends in this moment."""
    connection.execute(update(Person).where(Person.person_id == person_id).values(state=state))
    if state == "active":
        return
    connection.execute(delete(Session).where(Session.person_id == person_id))
    if state == "discarded":
        connection.execute(
            update(ApiToken)
            .where(ApiToken.person_id == person_id, ApiToken.discarded_at.is_(None))
            .values(discarded_at=func.now())
        )


def set_password(connection: Connection, person_id: UUID, password_hash: str) -> None:
    """Give somebody a local account or a new password: their sessions end."""
    changed = {"password_hash": password_hash, "changed_at": func.now()}
    new = upsert(LocalAccount).values(person_id=person_id, **changed)
    connection.execute(
        new.on_conflict_do_update(index_elements=[LocalAccount.person_id], set_=changed)
    )
    connection.execute(delete(Session).where(Session.person_id == person_id))


def improve_hash(connection: Connection, person_id: UUID, password_hash: str) -> None:
    """Keep the same password under newer parameters."""
    connection.execute(
        update(LocalAccount)
        .where(LocalAccount.person_id == person_id)
        .values(password_hash=password_hash)
    )


def find_account(connection: Connection, name: str) -> AccountRow | None:
    """Return the local account of an active person who is called so."""
    wanted = (
        select(*_PERSON, LocalAccount.password_hash, LocalAccount.totp_secret)
        .join(LocalAccount)
        .where(
            func.lower(Person.name) == name.lower(),
            Person.state == "active",
            Person.kind == "person",
        )
    )
    row = connection.execute(wanted).one_or_none()
    return AccountRow(_person(row), row.password_hash, row.totp_secret) if row else None


def set_totp(connection: Connection, person_id: UUID, secret: str | None) -> None:
    """Switch the second factor on, or off."""
    connection.execute(
        update(LocalAccount)
        .where(LocalAccount.person_id == person_id)
        .values(totp_secret=secret, totp_step=None)
    )


def use_totp_step(connection: Connection, person_id: UUID, step: int) -> bool:
    """Whether no code of this time step or a later one was used before; now it is."""
    used = connection.execute(
        update(LocalAccount)
        .where(
            LocalAccount.person_id == person_id,
            or_(LocalAccount.totp_step.is_(None), LocalAccount.totp_step < step),
        )
        .values(totp_step=step)
    )
    return used.rowcount == 1


def grants_of(connection: Connection, person_id: UUID) -> list[GrantRow]:
    """Return what somebody may do now."""
    wanted = (
        select(Grant.role, Grant.at_site, Grant.source, Grant.until, Grant.reason)
        .where(Grant.person_id == person_id, _VALID)
        .order_by(Grant.at_site, Grant.role)
    )
    rows: Iterable[Any] = connection.execute(wanted)  # the columns' checks say which words
    return [GrantRow(*row) for row in rows]


def replace_grants(
    connection: Connection,
    person_id: UUID,
    source: Source,
    grants: Iterable[tuple[Role, str]],
    given_by: str,
) -> None:
    """Let somebody have exactly these (role, site) from a source; other sources' stay."""
    connection.execute(
        delete(Grant).where(and_(Grant.person_id == person_id, Grant.source == source))
    )
    rows = [
        {
            "grant_id": new_id(),
            "person_id": person_id,
            "role": role,
            "at_site": site,
            "source": source,
            "given_by": given_by,
        }
        for role, site in sorted(set(grants))
    ]
    if rows:
        connection.execute(insert(Grant), rows)


def record_about(
    connection: Connection, who: Principal, action: str, person: PersonRow, detail: str = ""
) -> None:
    """Put on record what was done about somebody, or by them, in the transaction that does it."""
    record_event(connection, who, Event(action, "person", person.person_id, detail))


def person_of_subject(connection: Connection, issuer: str, subject: str) -> PersonRow | None:
    """Return who an identity provider's subject is here."""
    wanted = (
        select(*_PERSON)
        .join(Identity)
        .where(Identity.issuer == issuer, Identity.subject == subject)
    )
    row = connection.execute(wanted).one_or_none()
    return _person(row) if row else None


def add_identity(connection: Connection, issuer: str, subject: str, person_id: UUID) -> None:
    """Know an identity provider's subject again."""
    connection.execute(insert(Identity).values(issuer=issuer, subject=subject, person_id=person_id))


def rename(connection: Connection, person_id: UUID, full_name: str) -> None:
    """Follow the name that the identity provider tells."""
    connection.execute(
        update(Person).where(Person.person_id == person_id).values(full_name=full_name)
    )


def _person(row: Any) -> PersonRow:  # noqa: ANN401  # a row that begins with `_PERSON`
    return PersonRow(*row[:5])
