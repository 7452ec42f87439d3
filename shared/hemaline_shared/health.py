"""Liveness, readiness and Prometheus metrics of a process, on a port of its own."""

import json
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from pydantic import BaseModel, ConfigDict, Field

from hemaline_shared.listening import listen
from hemaline_shared.redaction import redact

_MOST_CONNECTIONS = 64
_IDLE_S = 10.0

Check: TypeAlias = Callable[[], str | None]
"""Returns what is wrong, in a sentence, or None."""


class HealthSettings(BaseModel):
    """Where `/healthz`, `/readyz` and `/metrics` answer; port 0 takes a free one."""

    model_config = ConfigDict(extra="forbid")

    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=0, ge=0, le=65535)


class SocketServer(ThreadingHTTPServer):
    """Answers on a socket that listens already, to so many at once as cost its process nothing."""

    daemon_threads = True

    def __init__(self, listener: socket.socket, handler: type[BaseHTTPRequestHandler]) -> None:
        self._free = threading.BoundedSemaphore(_MOST_CONNECTIONS)
        super().__init__(listener.getsockname()[:2], handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.server_address = listener.getsockname()

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Hang up on one too many: each has a thread and a descriptor that the process needs."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Answer in a thread of the connection's own."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Tell of a defect; whoever hangs up early is no news."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class HealthServer:
    """Serves `/healthz` (the process runs), `/readyz` (every check passes) and `/metrics`.

    Port 0 takes a free one; `port` tells which.
    """

    def __init__(
        self,
        host: str,
        port: int,
        checks: Mapping[str, Check],
        registry: CollectorRegistry = REGISTRY,
        notices: Mapping[str, Check] | None = None,
    ) -> None:
        """Listen already, so that a taken port is told at the start.

        `notices` are told by `/readyz` too, and leave the process ready.

        Raises:
            PermanentError: `cannot-listen`.
        """
        self._checks = checks
        self._notices = notices or {}
        self._registry = registry
        listener = listen(host, port, what="health", setting="HEMALINE_HEALTH__")
        self._server = SocketServer(listener, self._handler())
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="health", daemon=True
        )

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Answer from now on, in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Close the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _respond(self, path: str) -> tuple[HTTPStatus, str, bytes]:
        if path == "/metrics":
            return HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(self._registry)
        if path == "/healthz":
            return HTTPStatus.OK, "application/json", b'{"status": "alive"}'
        if path == "/readyz":
            return self._readiness()
        return HTTPStatus.NOT_FOUND, "text/plain", b"ask for /healthz, /readyz or /metrics\n"

    def _readiness(self) -> tuple[HTTPStatus, str, bytes]:
        problems = _said(self._checks)
        status = HTTPStatus.SERVICE_UNAVAILABLE if problems else HTTPStatus.OK
        body = {"status": "not ready" if problems else "ready", "problems": problems}
        if notices := _said(self._notices):
            body["notices"] = notices
        return status, "application/json", json.dumps(body).encode()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        respond = self._respond

        class Handler(BaseHTTPRequestHandler):
            timeout = _IDLE_S

            def do_GET(self) -> None:
                status, content_type, body = respond(self.path.partition("?")[0])
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_HEAD = do_GET  # noqa: N815  # monitors ask so

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Scrapes every few seconds are no news."""

        return Handler


def _said(checks: Mapping[str, Check]) -> dict[str, str]:
    return {name: redact(said) for name, check in checks.items() if (said := check())}
