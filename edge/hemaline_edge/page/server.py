"""The page's HTTP: loopback, no log-in, and no other page may use it through the browser."""

import json
import secrets
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from importlib.resources import files
from typing import Any
from uuid import UUID

from hemaline_edge.device_commands.commanding import Answer
from hemaline_edge.page.state import PageState
from hemaline_edge.settings import PageSettings
from hemaline_shared.errors import HemalineError
from hemaline_shared.health import SocketServer
from hemaline_shared.listening import listen

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_STATIC = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/favicon.svg": ("favicon.svg", "image/svg+xml"),
}
_ACTS = frozenset({"/slide/start", "/slide/end", "/request/answer"})
_ANSWERS: dict[str, Answer] = {"seen": "seen", "done": "done", "refused": "refused"}
_OWN_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
_LARGEST_BODY = 4096
_MOST_STREAMS = 8
_EVERY_S = 0.5
_IDLE_S = 30.0


class PageServer:
    """Serves the page from a thread of its own."""

    def __init__(self, settings: PageSettings, state: PageState) -> None:
        """Listen already, so that a taken port is told at the start.

        Raises:
            PermanentError: `cannot-listen`.
        """
        self.names = _OWN_NAMES | {name.lower() for name in settings.names}
        self.state = state
        self.token = secrets.token_urlsafe(24)
        self.stopping = threading.Event()
        self.streams = threading.BoundedSemaphore(_MOST_STREAMS)
        listener = listen(settings.host, settings.port, what="page", setting="HEMALINE_PAGE__")
        self._server = SocketServer(listener, type("Handler", (_Handler,), {"page": self}))
        self._thread = threading.Thread(target=self._server.serve_forever, name="page", daemon=True)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Close the port."""
        self.stopping.set()
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def act(self, path: str, asked: dict[str, Any]) -> None:
        """Start or end a slide, or answer what a reader asks.

        Raises:
            HemalineError: As `PageState`.
            ValueError: It asks for nothing that can be done.
        """
        if path == "/slide/start":
            self.state.start(
                str(asked["name"]), "stat" if asked.get("urgent") is True else "routine"
            )
        elif path == "/slide/end":
            self.state.end(UUID(str(asked["id"])))
        else:
            said = _ANSWERS[str(asked["said"])]
            self.state.answer(UUID(str(asked["id"])), said)


class _Handler(BaseHTTPRequestHandler):
    page: PageServer
    timeout = _IDLE_S

    def do_GET(self) -> None:
        if not self._is_for_us():
            self._say(HTTPStatus.MISDIRECTED_REQUEST, "This page has another name.")
        elif self.path in _STATIC:
            name, kind = _STATIC[self.path]
            body = (files("hemaline_edge.page") / "static" / name).read_bytes()
            self._send(HTTPStatus.OK, kind, body.replace(b"{{token}}", self.page.token.encode()))
        elif self.path == "/events":
            self._stream()
        elif self.path.startswith("/picture") and (picture := self.page.state.picture()):
            self._send(HTTPStatus.OK, "image/jpeg", picture)
        else:
            self._say(HTTPStatus.NOT_FOUND, "There is nothing here.")

    def do_POST(self) -> None:
        if not self._is_for_us():
            self._say(HTTPStatus.MISDIRECTED_REQUEST, "This page has another name.")
        elif not self._is_from_us():
            self._say(HTTPStatus.FORBIDDEN, "The page is out of date: load it again.")
        elif self.path not in _ACTS:
            self._say(HTTPStatus.NOT_FOUND, "There is nothing here.")
        else:
            self._act()

    def _act(self) -> None:
        try:
            size = int(self.headers.get("Content-Length", ""))
            # One that is larger is cut, and so no JSON.
            body = self.rfile.read(max(0, min(size, _LARGEST_BODY)))
            self.page.act(self.path, dict(json.loads(body)))
        except HemalineError as error:
            self._say(HTTPStatus.CONFLICT, str(error))
        except (ValueError, TypeError, KeyError):
            self._say(HTTPStatus.BAD_REQUEST, "This request cannot be read.")
        else:
            self._say(HTTPStatus.OK, "")

    def _is_for_us(self) -> bool:
        """Refuse a name that somebody else's DNS gave this address."""
        name = self.headers.get("Host", "").lower()
        return name.removesuffix(f":{self.page.port}") in self.page.names

    def _is_from_us(self) -> bool:
        origin = self.headers.get("Origin")
        token = self.headers.get("X-Hemaline-Token", "")
        own = origin in {None, f"http://{self.headers.get('Host', '')}"}
        return own and secrets.compare_digest(token.encode(), self.page.token.encode())

    def _stream(self) -> None:
        if not self.page.streams.acquire(blocking=False):
            self._say(HTTPStatus.SERVICE_UNAVAILABLE, "Too many windows show this page.")
            return
        try:
            self._head(HTTPStatus.OK, "text/event-stream", None)
            self._write_events()
        except OSError:
            pass  # the window was closed
        finally:
            self.page.streams.release()

    def _write_events(self) -> None:
        told, told_at = "", 0.0
        while not self.page.stopping.wait(_EVERY_S if told else 0):
            try:
                state = json.dumps({**self.page.state.document(), "run": self.page.token[:8]})
            except HemalineError as error:
                state = json.dumps({"problems": [str(error)]})
            if state != told or time.monotonic() - told_at > _IDLE_S / 2:
                told, told_at = state, time.monotonic()
                self.wfile.write(f"data: {state}\n\n".encode())

    def _say(self, status: HTTPStatus, sentence: str) -> None:
        body = json.dumps({"says": sentence}).encode()
        self._send(status, "application/json", body)

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self._head(status, kind, len(body))
        self.wfile.write(body)

    def _head(self, status: HTTPStatus, kind: str, size: int | None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if size is not None:
            self.send_header("Content-Length", str(size))
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """What is typed never ends in a log."""
