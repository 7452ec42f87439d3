"""The tables of people and of what they may do. They belong to no site, but grants name sites."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, func, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from hemaline_cloud.database.schema.base import Base


class Person(Base):
    """Somebody who may log in, or a `service` that calls the API with tokens alone.

    Only the `active` get in. `paused` ones come back; `discarded` ones never do, and keep their row
    because what they did names them.
    """

    __tablename__ = "people"
    __table_args__ = (
        CheckConstraint("kind in ('person', 'service')", "kind"),
        CheckConstraint("state in ('active', 'paused', 'discarded')", "state"),
        Index("uq_people_name", text("lower(name)"), unique=True),
    )

    person_id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    """What they type to log in, whatever its case."""
    full_name: Mapped[str]
    kind: Mapped[str]
    state: Mapped[str] = mapped_column(server_default=text("'active'"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class LocalAccount(Base):
    """A password that Hemaline itself keeps, hashed, and perhaps a second factor."""

    __tablename__ = "local_accounts"

    person_id: Mapped[UUID] = mapped_column(ForeignKey("people.person_id"), primary_key=True)
    password_hash: Mapped[str]
    changed_at: Mapped[datetime] = mapped_column(server_default=func.now())
    totp_secret: Mapped[str | None]
    totp_step: Mapped[int | None] = mapped_column(BigInteger)
    """The last time step whose code was used: none is good twice."""


class Identity(Base):
    """Who an identity provider's subject is here."""

    __tablename__ = "identities"

    issuer: Mapped[str] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(primary_key=True)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("people.person_id"))


class Grant(Base):
    """A role that a person has at a site, or at every site (`*`), perhaps for a time.

    `source` says who gives and takes it: an administrator, the provider's groups, or break-glass.
    """

    __tablename__ = "grants"
    __table_args__ = (
        CheckConstraint("role in ('technologist', 'haematologist', 'operator', 'admin')", "role"),
        CheckConstraint("source in ('local', 'oidc', 'break-glass')", "source"),
        CheckConstraint(
            "source <> 'break-glass' or (until is not null and reason is not null)", "break_glass"
        ),
        Index(None, "person_id"),
        Index("ix_grants_break_glass", "given_at", postgresql_where=text("source = 'break-glass'")),
    )

    grant_id: Mapped[UUID] = mapped_column(primary_key=True)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("people.person_id"))
    role: Mapped[str]
    at_site: Mapped[str]
    """Not `site`: the row belongs to the person, whom every site may know."""
    source: Mapped[str]
    until: Mapped[datetime | None]
    reason: Mapped[str | None]
    given_by: Mapped[str]
    given_at: Mapped[datetime] = mapped_column(server_default=func.now())


class LogInFailure(Base):
    """How often the password of a name was wrong in a row; of names that nobody has, too."""

    __tablename__ = "log_in_failures"

    name_sha256: Mapped[bytes] = mapped_column(primary_key=True)
    failures: Mapped[int]
    last_at: Mapped[datetime]


class Session(Base):
    """A browser in which a person is logged in. The cookie is a secret; its hash stands here."""

    __tablename__ = "sessions"
    __table_args__ = (Index(None, "person_id"), Index(None, "ends_at"))

    token_sha256: Mapped[bytes] = mapped_column(primary_key=True)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("people.person_id"))
    method: Mapped[str]
    """How they proved who they are: `password`, `totp`, `oidc`."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    authenticated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    seen_at: Mapped[datetime] = mapped_column(server_default=func.now())
    ends_at: Mapped[datetime]


class ApiToken(Base):
    """A secret by which a program calls the API in somebody's name, until it ends."""

    __tablename__ = "api_tokens"
    __table_args__ = (
        CheckConstraint("scopes <@ array['read', 'write', 'metrics']::varchar[]", "scopes"),
        Index("uq_api_tokens_token_sha256", "token_sha256", unique=True),
        Index(None, "person_id"),
    )

    token_id: Mapped[UUID] = mapped_column(primary_key=True)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("people.person_id"))
    name: Mapped[str]
    """What it is for."""
    token_sha256: Mapped[bytes]
    scopes: Mapped[list[str]] = mapped_column(ARRAY(String))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    ends_at: Mapped[datetime]
    discarded_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]


class OidcLogIn(Base):
    """A log-in that went to the identity provider and has not come back yet; each comes once."""

    __tablename__ = "oidc_log_ins"
    __table_args__ = (Index(None, "created_at"),)

    state_sha256: Mapped[bytes] = mapped_column(primary_key=True)
    browser_sha256: Mapped[bytes]
    """Of the cookie of the browser that went: no other may bring the answer."""
    nonce: Mapped[str]
    code_verifier: Mapped[str]
    return_to: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
