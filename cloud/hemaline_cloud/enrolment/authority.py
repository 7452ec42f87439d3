"""The certificate authority: a root, an issuing certificate below it, and what that one signs."""

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TypeAlias

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hemaline_shared.durable import sync_directory
from hemaline_shared.errors import PermanentError
from hemaline_shared.topics import DeviceName

_Key: TypeAlias = ec.EllipticCurvePrivateKey
_ROOT_DAYS, _ISSUING_DAYS, _SERVER_DAYS = 7300, 1825, 825
_LONGEST_HOST = 64  # it is the common name, too
_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
_BACKDATED = timedelta(minutes=5)
"""A device whose clock is a little behind must not take its certificate for one of the future."""


@dataclass(frozen=True, slots=True)
class Authority:
    """What signs devices' certificates.

    Attributes:
        root: What devices and brokers trust.
        issuing: Signed by the root; its key signs devices' certificates.
        key: Of the issuing certificate.
    """

    root: x509.Certificate
    issuing: x509.Certificate
    key: _Key

    def issue(
        self, request: x509.CertificateSigningRequest, name: DeviceName, lifetime: timedelta
    ) -> x509.Certificate:
        """Return a device's certificate; nothing of the request but its public key is taken."""
        now = datetime.now(UTC)
        builder = _unsigned(str(name), self.issuing.subject, request.public_key(), lifetime)
        builder = builder.not_valid_before(now - min(_BACKDATED, lifetime / 10))
        builder = builder.add_extension(_client(), critical=False)
        builder = builder.add_extension(_signed_by(self.key), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def revocation_list(
        self, revoked: Sequence[tuple[int, datetime]], now: datetime, until: datetime
    ) -> x509.CertificateRevocationList:
        """Return the list of serial numbers that were revoked, and since when."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.issuing.subject)
            .last_update(now - _BACKDATED)
            .next_update(until)
            .add_extension(x509.CRLNumber(int(now.timestamp() * 1e3)), critical=False)
            .add_extension(_signed_by(self.key), critical=False)
        )
        for serial, since in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(since)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self.key, hashes.SHA256())


def make_authority(folder: Path, host: str) -> None:
    """Write root, issuing certificate and the EST server's own, each with its key of mode 0600.

    Args:
        folder: Becomes `root.crt`, `root.key`, `issuing.crt`, `issuing.key`, `est.crt`, `est.key`.
        host: The name by which devices reach the EST server.

    Raises:
        PermanentError: `authority-exists` or `bad-host`; nothing has changed.
    """
    alternative = _alternative_name(host)
    if (folder / "root.crt").exists():
        raise PermanentError("authority-exists", f"{folder} holds an authority already")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    root_key, issuing_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in "ris")
    root_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Hemaline root")])
    root = _authority("Hemaline root", root_name, root_key, root_key, _ROOT_DAYS, 1)
    issuing = _authority("Hemaline issuing", root.subject, issuing_key, root_key, _ISSUING_DAYS, 0)
    days = timedelta(days=_SERVER_DAYS)
    server = (
        _unsigned(host, issuing.subject, server_key.public_key(), days)
        .not_valid_before(datetime.now(UTC) - _BACKDATED)
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(_signed_by(issuing_key), critical=False)
        .sign(issuing_key, hashes.SHA256())
    )
    for name, key in (("root", root_key), ("issuing", issuing_key), ("est", server_key)):
        _write(folder / f"{name}.key", _pem(key), 0o600)
    _write(folder / "issuing.crt", _certificates(issuing), 0o644)
    _write(folder / "est.crt", _certificates(server, issuing), 0o644)
    _write(folder / "root.crt", _certificates(root), 0o644)  # the last: what has it is whole
    sync_directory(folder)


def _alternative_name(host: str) -> x509.GeneralName:
    """Return a host's name, or its address, as verifiers look for it."""
    with suppress(ValueError):
        return x509.IPAddress(ip_address(host))
    if len(host) > _LONGEST_HOST or not all(map(_LABEL.fullmatch, host.split("."))):
        raise PermanentError(
            "bad-host",
            f"--host {host[:80]!r} is neither an address nor a name by which devices can reach a "
            f"server: letters, digits, hyphens and dots, {_LONGEST_HOST} at most (an "
            "international name in its xn-- form)",
        )
    return x509.DNSName(host)


def load_authority(folder: Path) -> Authority:
    """Read what `make_authority` wrote, or a laboratory's own; the root's key is not needed.

    Raises:
        PermanentError: `bad-authority`; the sentence says what is wrong.
    """
    try:
        root = x509.load_pem_x509_certificate((folder / "root.crt").read_bytes())
        issuing = x509.load_pem_x509_certificate((folder / "issuing.crt").read_bytes())
        key = load_pem_private_key((folder / "issuing.key").read_bytes(), None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise PermanentError(
            "bad-authority", f"the certificate authority in {folder} cannot be read: {error}"
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != issuing.public_key():
        raise PermanentError("bad-authority", f"{folder}/issuing.key is no key of issuing.crt")
    return Authority(root, issuing, key)


def read_request(der: bytes) -> tuple[x509.CertificateSigningRequest, DeviceName]:
    """Return a PKCS #10 request that proves its key, and the device it names.

    Raises:
        PermanentError: `bad-request`, or `invalid-device-name`.
    """
    try:
        request = x509.load_der_x509_csr(der)
        key, proven = request.public_key(), request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm, InvalidSignature) as error:
        raise PermanentError("bad-request", "this is no PKCS #10 request") from error
    if not proven:
        raise PermanentError("bad-request", "the request is not signed by the key that it holds")
    strong = (isinstance(key, rsa.RSAPublicKey) and key.key_size >= 2048) or (
        isinstance(key, ec.EllipticCurvePublicKey) and key.curve.key_size >= 256
    )
    if not strong:
        raise PermanentError("bad-request", "take a key of P-256 or more, or RSA of 2048 bits")
    return request, device_of(request.subject)


def device_of(subject: x509.Name) -> DeviceName:
    """Return the device that a subject's common name names.

    Raises:
        PermanentError: `bad-request`, or `invalid-device-name`.
    """
    names = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    parts = str(names[0].value).split("/") if len(names) == 1 else []
    if len(parts) != 2:
        raise PermanentError("bad-request", "the subject's common name must be SITE/DEVICE")
    return DeviceName(*parts)


def _authority(
    name: str, issuer: x509.Name, key: _Key, signer: _Key, days: int, below: int
) -> x509.Certificate:
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        _unsigned(name, issuer, key.public_key(), timedelta(days=days), below)
        .not_valid_before(datetime.now(UTC) - _BACKDATED)
        .add_extension(usage, critical=True)
        .add_extension(_signed_by(signer), critical=False)
        .sign(signer, hashes.SHA256())
    )


def _unsigned(
    name: str,
    issuer: x509.Name,
    key: CertificatePublicKeyTypes,
    lifetime: timedelta,
    below: int | None = None,
) -> x509.CertificateBuilder:
    """Return what all certificates have; `below`: how many authorities may follow this one."""
    constraints = x509.BasicConstraints(ca=below is not None, path_length=below)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_after(datetime.now(UTC) + lifetime)
        .add_extension(constraints, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _signed_by(key: _Key) -> x509.AuthorityKeyIdentifier:
    """Return what strict verifiers (RFC 5280), as Python's from 3.13 on, ask of a certificate."""
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())


def _client() -> x509.ExtendedKeyUsage:
    return x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])


def _pem(key: _Key) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _certificates(*certificates: x509.Certificate) -> bytes:
    return b"".join(one.public_bytes(Encoding.PEM) for one in certificates)


def _write(file: Path, content: bytes, mode: int) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())
