"""Tokens to enrol with, and the certificates that devices have."""

from dataclasses import dataclass
from datetime import datetime, timedelta
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
