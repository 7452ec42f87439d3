"""Enrolment over Secure Transport (RFC 7030): cacerts, simpleenroll, simplereenroll."""

import base64
import binascii
import logging
import socket
import ssl
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import serialize_certificates

from hemaline_cloud.enrolment.issuing import Issuing, RefusedEnrolmentError
from hemaline_shared.errors import PermanentError, TransientError
from hemaline_shared.listening import listen

logger = logging.getLogger(__name__)

_PATH = "/.well-known/est/"
_NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME: a device that was off for a month renews itself, so the end of a
certificate is judged by `Issuing`, which knows the grace."""
_LONGEST_REQUEST = 64 * 1024
_PATIENCE_S = 30.0


class EstServer(ThreadingHTTPServer):
    """Serves EST over TLS; a client may show a certificate of ours, or a token."""

    daemon_threads = True

    def __init__(self, host: str, port: int, folder: Path, issuing: Issuing) -> None:
        """Listen already.

        Raises:
            PermanentError: `cannot-listen`, or `bad-certificate`: the server's own in `folder`.
        """
        self._context = _context(folder, issuing)
        listener = listen(host, port, what="EST", setting="HEMALINE_")
        super().__init__(listener.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.server_address = listener.getsockname()
        self.issuing = issuing

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; its handshake is the handler's, which nobody else waits for."""
        accepted, address = super().get_request()
        accepted.settimeout(_PATIENCE_S)
        wrapped = self._context.wrap_socket(
            accepted, server_side=True, do_handshake_on_connect=False
        )
        return wrapped, address

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002
        """Tell of a connection that broke, or of a client that trusts us not."""
        logger.warning("a connection from %s broke: %s", client_address[0], sys.exception())


class _Handler(BaseHTTPRequestHandler):
    server: EstServer
    timeout = _PATIENCE_S

    def setup(self) -> None:
        self.request.do_handshake()
        super().setup()

    def do_GET(self) -> None:
        if self.path != f"{_PATH}cacerts":
            self._refuse(HTTPStatus.NOT_FOUND, "ask for cacerts")
            return
        authority = self.server.issuing.authority
        self._send(authority.issuing, authority.root)

    def do_POST(self) -> None:
        try:
            self._issue()
        except RefusedEnrolmentError as refused:
            logger.warning("refused %s: %s", self.client_address[0], refused)
            unknown = refused.reason == "unknown-token"
            status = HTTPStatus.UNAUTHORIZED if unknown else HTTPStatus.FORBIDDEN
            self._refuse(status, str(refused))
        except PermanentError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))
        except TransientError as error:
            logger.warning("cannot issue now: %s", error)
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "the authority cannot issue now")

    def _issue(self) -> None:
        operation = self.path.removeprefix(_PATH)
        if operation == "simpleenroll":
            user, token = self._credentials()
            self._send(self.server.issuing.enrol(user, token, self._request()))
        elif operation == "simplereenroll":
            presented = self.request.getpeercert(binary_form=True)
            if not presented:
                raise RefusedEnrolmentError("no-certificate", "show the certificate to be renewed")
            certificate = x509.load_der_x509_certificate(presented)
            self._send(self.server.issuing.renew(certificate, self._request()))
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "post to simpleenroll or simplereenroll")

    def _credentials(self) -> tuple[str, str]:
        scheme, _, encoded = self.headers.get("Authorization", "").partition(" ")
        try:
            user, _, token = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            user, token = "", ""
        if scheme.lower() != "basic" or not token:
            raise RefusedEnrolmentError("unknown-token", "SITE/DEVICE and its token are needed")
        return user, token

    def _request(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > _LONGEST_REQUEST:
            raise PermanentError("bad-request", "a request of at most 64 KiB is needed")
        try:
            return base64.b64decode(self.rfile.read(int(length)))
        except binascii.Error as error:
            raise PermanentError("bad-request", "the request is no base64 of DER") from error

    def _send(self, *certificates: x509.Certificate) -> None:
        body = base64.encodebytes(serialize_certificates(list(certificates), Encoding.DER))
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "application/pkcs7-mime; smime-type=certs-only")
        self.send_header("Content-Transfer-Encoding", "base64")
        self._finish(body)

    def _refuse(self, status: HTTPStatus, sentence: str) -> None:
        self.close_connection = True  # what it sent may not have been read
        self.send_response(status)
        if status is HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", 'Basic realm="Hemaline"')
        if status is HTTPStatus.SERVICE_UNAVAILABLE:
            self.send_header("Retry-After", "30")
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self._finish(f"{sentence}\n".encode())

    def _finish(self, body: bytes) -> None:
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Issues and refusals are on record; the rest is no news."""


def _context(folder: Path, issuing: Issuing) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(folder / "est.crt", folder / "est.key")
    except OSError as error:
        raise PermanentError(
            "bad-certificate", f"{folder}/est.crt with est.key cannot be used: {error}"
        ) from error
    trusted = (issuing.authority.root, issuing.authority.issuing)
    pem = "".join(one.public_bytes(Encoding.PEM).decode() for one in trusted)
    context.load_verify_locations(cadata=pem)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags |= ssl.VerifyFlags(_NO_CHECK_TIME)
    return context
