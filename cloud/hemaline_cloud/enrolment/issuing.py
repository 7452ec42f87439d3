"""Who gets a certificate: the holder of a token, once, and the holder of an earlier certificate."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from cryptography import x509
from sqlalchemy import Connection, Engine

from hemaline_cloud.database import enrolment as rows
from hemaline_cloud.database.audit import Event, record_event
from hemaline_cloud.database.devices import add_enrolled
from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.enrolment.authority import Authority, device_of, read_request
from hemaline_cloud.people.secrets import digest
from hemaline_cloud.principal import service
from hemaline_shared.errors import PermanentError
from hemaline_shared.topics import DeviceName

EST = service("est")


class RefusedEnrolmentError(PermanentError):
    """No certificate for this one; `reason` says why."""


@dataclass(frozen=True, slots=True)
class _Refusal:
    reason: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Issuing:
    """Issues certificates, and puts each one and each refusal on record.

    Attributes:
        engine: Of the principal `EST`.
        authority: What signs.
        lifetime: Of a certificate.
        grace: For so long after its end a certificate that was not revoked renews itself.
    """

    engine: Engine
    authority: Authority
    lifetime: timedelta
    grace: timedelta

    def enrol(self, user: str, token: str, der: bytes) -> x509.Certificate:
        """Issue the first certificate of a device, for a token.

        Args:
            user: Whom the caller says it is: `site/device`.
            token: As `devices enrol` printed it.
            der: A PKCS #10 request.

        Raises:
            RefusedEnrolmentError: `unknown-token`, `used-token`, `expired-token`, `another-name`.
            PermanentError: what `read_request` raises; the token is good still.
        """
        request, name = read_request(der)
        with unit_of_work(self.engine) as connection:
            found = rows.find_token(connection, digest(token))
            if found is None:  # of no site, and as many as somebody likes: the log has them
                raise RefusedEnrolmentError("unknown-token", "there is no such token")
            refusal = _token_refusal(found, user, name)
            if refusal:
                _record_refusal(connection, found.name, found.token_id, refusal)
            else:
                rows.use_token(connection, found.token_id)
                return self._issue(connection, request, name, "enrol")
        raise RefusedEnrolmentError(refusal.reason, refusal.sentence)

    def renew(self, presented: x509.Certificate, der: bytes) -> x509.Certificate:
        """Issue the next certificate of a device, for one whose key the caller has proven.

        Raises:
            RefusedEnrolmentError: `unknown-certificate`, `revoked`, `expired`, `another-name`.
            PermanentError: what `read_request` raises.
        """
        request, name = read_request(der)
        serial = f"{presented.serial_number:x}"
        with unit_of_work(self.engine) as connection:
            found = rows.find_certificate(connection, serial)
            if found is None or found.name != device_of(presented.subject):
                raise RefusedEnrolmentError("unknown-certificate", "it was not issued here")
            refusal = self._renewal_refusal(found, name)
            if refusal:
                _record_refusal(connection, found.name, found.certificate_id, refusal)
            else:
                return self._issue(connection, request, name, "renew")
        raise RefusedEnrolmentError(refusal.reason, refusal.sentence)

    def _renewal_refusal(self, found: rows.CertificateRow, name: DeviceName) -> _Refusal | None:
        if found.name != name:
            return _another(found.name, name)
        if found.revoked:
            return _Refusal("revoked", f"the certificate of {name} was revoked: enrol it anew")
        if datetime.now(UTC) > found.not_after + self.grace:
            days = self.grace.days
            return _Refusal("expired", f"it ended more than {days} days ago: enrol {name} anew")
        return None

    def _issue(
        self,
        connection: Connection,
        request: x509.CertificateSigningRequest,
        name: DeviceName,
        action: str,
    ) -> x509.Certificate:
        issued = self.authority.issue(request, name, self.lifetime)
        serial, until = f"{issued.serial_number:x}", issued.not_valid_after_utc
        certificate_id = rows.add_certificate(connection, serial, name, until)
        add_enrolled(connection, name)
        detail = f"{name} until {until.isoformat(timespec='seconds')}, serial {serial}"
        event = Event(action, "device-certificate", certificate_id, detail, site=name.site)
        record_event(connection, EST, event)
        return issued


def _token_refusal(found: rows.TokenRow, user: str, name: DeviceName) -> _Refusal | None:
    if found.name != name or user != str(name):
        return _another(found.name, name)
    if found.used:
        return _Refusal("used-token", f"the token of {name} was used already")
    if found.expired:
        return _Refusal("expired-token", f"the token of {name} has expired")
    return None


def _another(own: DeviceName, asked: DeviceName) -> _Refusal:
    return _Refusal("another-name", f"what {own} has gives no certificate in the name of {asked}")


def _record_refusal(
    connection: Connection, name: DeviceName, subject_id: UUID, refusal: _Refusal
) -> None:
    detail = f"{refusal.reason}: {refusal.sentence}"
    event = Event("refuse", "device-certificate", subject_id, detail, site=name.site)
    record_event(connection, EST, event)
