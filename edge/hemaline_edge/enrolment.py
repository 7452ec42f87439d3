"""The device's certificate: asked for with a token, and renewed, by EST (RFC 7030)."""

import base64
import binascii
import ssl
import urllib.error
import urllib.request
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.hazmat.primitives.serialization.pkcs7 import load_der_pkcs7_certificates
from cryptography.x509.oid import NameOID

from hemaline_edge.settings import EdgeSettings, EnrolmentSettings
from hemaline_shared.durable import write_durably
from hemaline_shared.errors import PermanentError, TransientError
from hemaline_shared.topics import DeviceName

_TIMEOUT_S = 30.0


class DeviceCertificate:
    """Key and certificate of this device, in the files that the broker's settings name."""

    def __init__(self, settings: EdgeSettings) -> None:
        """Look at the settings only.

        Raises:
            PermanentError: `not-set-up`: what enrolment needs is not set.
        """
        broker, enrolment = settings.broker, settings.enrolment
        if not (enrolment and broker.certificate and broker.key):
            raise PermanentError(
                "not-set-up",
                "set enrolment.server and enrolment.ca, and broker.ca, .certificate and .key: "
                "the last two are written by `hemaline-edge enrol`",
            )
        self._name = settings.name
        self._certificate, self._key = broker.certificate, broker.key
        self._est = _EstClient(enrolment)

    def enrol(self, token: str) -> datetime:
        """Make the key, and get the first certificate; return its end.

        A try that failed has left its key, which the next one uses.

        Raises:
            PermanentError: `already-enrolled`, `refused`, or `bad-certificate` files.
            TransientError: `est-unreachable`.
        """
        if self._certificate.exists():
            raise PermanentError(
                "already-enrolled",
                f"{self._certificate} is there already; move it away to enrol this device anew",
            )
        if not self._key.exists():
            _write(self._key, _pem(ec.generate_private_key(ec.SECP256R1())))
        credentials = base64.b64encode(f"{self._name}:{token}".encode()).decode()
        headers = {"Authorization": f"Basic {credentials}"}
        return self._store(self._est.post("simpleenroll", self._request(), headers=headers))

    def renew(self) -> datetime:
        """Get the next certificate for the same key, which shows the present one; return its end.

        Raises:
            PermanentError: `refused`, or `bad-certificate` files.
            TransientError: `est-unreachable`.
        """
        shown = (self._certificate, self._key)
        return self._store(self._est.post("simplereenroll", self._request(), shown=shown))

    def due_at(self) -> datetime:
        """Return when half of the certificate's time is over.

        Raises:
            PermanentError: `bad-certificate`: it is not there, or cannot be read.
        """
        try:
            present = x509.load_pem_x509_certificate(self._certificate.read_bytes())
        except (OSError, ValueError) as error:
            raise PermanentError(
                "bad-certificate", f"{self._certificate} cannot be read: enrol this device"
            ) from error
        begin, end = present.not_valid_before_utc, present.not_valid_after_utc
        return begin + (end - begin) / 2

    def is_due(self) -> bool:
        """Whether it is time to renew; see `due_at`."""
        return datetime.now(UTC) >= self.due_at()

    def _request(self) -> bytes:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, str(self._name))])
        request = x509.CertificateSigningRequestBuilder().subject_name(subject)
        return request.sign(self._load_key(), hashes.SHA256()).public_bytes(Encoding.DER)

    def _load_key(self) -> ec.EllipticCurvePrivateKey:
        try:
            key = load_pem_private_key(self._key.read_bytes(), None)
        except (OSError, ValueError, TypeError) as error:
            raise PermanentError("bad-certificate", f"{self._key} is no key: {error}") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise PermanentError("bad-certificate", f"{self._key} is no key of an elliptic curve")
        return key

    def _store(self, issued: list[x509.Certificate]) -> datetime:
        """Keep a certificate with those between it and the root, which the broker knows alone."""
        ours = _check(issued, self._load_key(), self._name)
        between = [one for one in self._est.authorities() if one.subject != one.issuer]
        pem = b"".join(one.public_bytes(Encoding.PEM) for one in (ours, *between))
        _write(self._certificate, pem)
        return ours.not_valid_after_utc


class _EstClient:
    def __init__(self, settings: EnrolmentSettings) -> None:
        self._settings = settings

    def authorities(self) -> list[x509.Certificate]:
        asked = urllib.request.Request(self._address("cacerts"))  # noqa: S310  # https, as below
        return self._answer(asked, None)

    def post(
        self,
        operation: str,
        request: bytes,
        *,
        headers: dict[str, str] | None = None,
        shown: tuple[Path, Path] | None = None,
    ) -> list[x509.Certificate]:
        content = {"Content-Type": "application/pkcs10", "Content-Transfer-Encoding": "base64"}
        asked = urllib.request.Request(  # noqa: S310  # the settings let only https pass
            self._address(operation), base64.encodebytes(request), content | (headers or {})
        )
        return self._answer(asked, shown)

    def _address(self, operation: str) -> str:
        return f"{str(self._settings.server).rstrip('/')}/.well-known/est/{operation}"

    def _answer(
        self, asked: urllib.request.Request, shown: tuple[Path, Path] | None
    ) -> list[x509.Certificate]:
        server = self._settings.server
        try:
            context = self._context(shown)
            with urllib.request.urlopen(asked, timeout=_TIMEOUT_S, context=context) as answer:  # noqa: S310
                return load_der_pkcs7_certificates(base64.b64decode(answer.read()))
        except urllib.error.HTTPError as error:
            with error:
                said = error.read().decode(errors="replace").strip()
            if error.code >= HTTPStatus.INTERNAL_SERVER_ERROR:
                raise TransientError("est-unreachable", f"{server} cannot now: {said}") from error
            raise PermanentError("refused", f"{server} refuses: {said}") from error
        except (OSError, binascii.Error, ValueError) as error:
            raise TransientError("est-unreachable", f"{server} does not answer: {error}") from error

    def _context(self, shown: tuple[Path, Path] | None) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self._settings.ca)
            if shown:
                context.load_cert_chain(*shown)
        except OSError as error:
            raise PermanentError(
                "bad-certificate", f"{self._settings.ca} or the device's own: {error}"
            ) from error
        return context


def _check(
    issued: list[x509.Certificate], key: ec.EllipticCurvePrivateKey, name: DeviceName
) -> x509.Certificate:
    """Return the certificate that is for our key and in our name: nothing else replaces ours."""
    for one in issued:
        names = [
            str(part.value) for part in one.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        ]
        if one.public_key() == key.public_key() and names == [str(name)]:
            return one
    raise PermanentError("refused", "what was issued is for another key or another name")


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(file: Path, content: bytes) -> None:
    """Replace a file by a whole one of mode 0600, whatever happens in between."""
    try:
        write_durably(file, content, 0o600)
    except OSError as error:
        raise TransientError("cannot-write", f"{file} cannot be written: {error}") from error
