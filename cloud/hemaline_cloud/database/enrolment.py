"""Tokens to enrol with, and the certificates that devices have."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, func, insert, select, update

from hemaline_cloud.database.schema import DeviceCertificate, EnrolmentToken
from hemaline_shared.ids import new_id
from hemaline_shared.topics import DeviceName


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A token, and whether it is still good."""

    token_id: UUID
    name: DeviceName
    used: bool
    expired: bool


@dataclass(frozen=True, slots=True)
class CertificateRow:
    """A certificate that was issued, and whether it was revoked."""

    certificate_id: UUID
    name: DeviceName
    not_after: datetime
    revoked: bool


class RevokedRow(NamedTuple):
    """A certificate that was revoked before its end."""

    serial: str
    """Hexadecimal."""
    revoked_at: datetime


def add_token(
    connection: Connection, digest: bytes, name: DeviceName, by: str, lasts: timedelta
) -> UUID:
    """Keep the hash of a token for one device."""
    token_id = new_id()
    connection.execute(
        insert(EnrolmentToken).values(
            token_id=token_id,
            token_sha256=digest,
            site=name.site,
            device=name.device,
            created_by=by,
            ends_at=func.now() + lasts,
        )
    )
    return token_id


def find_token(connection: Connection, digest: bytes) -> TokenRow | None:
    """Return a token; nobody else can use it before this transaction ends."""
    wanted = (
        select(
            EnrolmentToken.token_id,
            EnrolmentToken.site,
            EnrolmentToken.device,
            EnrolmentToken.used_at.is_not(None).label("used"),
            (EnrolmentToken.ends_at <= func.now()).label("expired"),
        )
        .where(EnrolmentToken.token_sha256 == digest)
        .with_for_update()
    )
    row = connection.execute(wanted).one_or_none()
    if row is None:
        return None
    return TokenRow(row.token_id, DeviceName(row.site, row.device), row.used, row.expired)


def use_token(connection: Connection, token_id: UUID) -> None:
    """Let a token be good no more."""
    used = update(EnrolmentToken).where(EnrolmentToken.token_id == token_id)
    connection.execute(used.values(used_at=func.now()))


def add_certificate(
    connection: Connection, serial: str, name: DeviceName, not_after: datetime
) -> UUID:
    """Remember a certificate that is about to be given out."""
    certificate_id = new_id()
    connection.execute(
        insert(DeviceCertificate).values(
            certificate_id=certificate_id,
            serial=serial,
            site=name.site,
            device=name.device,
            not_after=not_after,
        )
    )
    return certificate_id


def find_certificate(connection: Connection, serial: str) -> CertificateRow | None:
    """Return a certificate by its serial number; no revocation passes it in this transaction."""
    wanted = select(
        DeviceCertificate.certificate_id,
        DeviceCertificate.site,
        DeviceCertificate.device,
        DeviceCertificate.not_after,
        DeviceCertificate.revoked_at,
    ).where(DeviceCertificate.serial == serial)
    row = connection.execute(wanted.with_for_update()).one_or_none()
    if row is None:
        return None
    name = DeviceName(row.site, row.device)
    return CertificateRow(row.certificate_id, name, row.not_after, row.revoked_at is not None)


def revoke_certificates(connection: Connection, name: DeviceName) -> list[UUID]:
    """Revoke every certificate of a device, and use up its tokens; return those not revoked yet."""
    connection.execute(
        update(EnrolmentToken)
        .where(
            EnrolmentToken.site == name.site,
            EnrolmentToken.device == name.device,
            EnrolmentToken.used_at.is_(None),
        )
        .values(used_at=func.now())
    )
    revoked = (
        update(DeviceCertificate)
        .where(
            DeviceCertificate.site == name.site,
            DeviceCertificate.device == name.device,
            DeviceCertificate.revoked_at.is_(None),
        )
        .values(revoked_at=func.now())
        .returning(DeviceCertificate.certificate_id)
    )
    return list(connection.scalars(revoked))


def revoked_certificates(connection: Connection) -> list[RevokedRow]:
    """Return those that were revoked and have not ended, by serial number."""
    wanted = (
        select(DeviceCertificate.serial, DeviceCertificate.revoked_at)
        .where(DeviceCertificate.revoked_at.is_not(None), DeviceCertificate.not_after > func.now())
        .order_by(DeviceCertificate.serial)
    )
    found = connection.execute(wanted)
    return [RevokedRow(serial, since) for serial, since in found if since is not None]


def devices_cut_off(connection: Connection) -> list[DeviceName]:
    """Return devices with a revoked certificate that has not ended, and no other one, by name."""
    certificate = DeviceCertificate
    wanted = (
        select(certificate.site, certificate.device)
        .where(certificate.not_after > func.now())
        .group_by(certificate.site, certificate.device)
        .having(func.bool_and(certificate.revoked_at.is_not(None)))
        .order_by(certificate.site, certificate.device)
    )
    return [DeviceName(*row) for row in connection.execute(wanted)]
