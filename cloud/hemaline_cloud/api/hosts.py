"""Which names this server answers to: a page of somebody else's name must not read it.

A page of another site can let its own name point to our address (DNS rebinding); what it asks then
carries that name as Host.
"""

from collections.abc import Callable, Iterable
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_ANY_HOST = ("/healthz", "/readyz", "/metrics", "/uploads/")
"""Asked by watchers and devices by whatever address the process has; no browser's cookie counts."""


class AllowedHosts:
    """ASGI middleware that refuses requests for other names than ours, with 421."""

    def __init__(
        self,
        app: ASGIApp,
        hosts: Iterable[str],
        refuse: Callable[[Request, HTTPStatus, str, str], Response],
    ) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what asks for one of our names."""
        if scope["type"] != "http" or scope["path"].startswith(_ANY_HOST):
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        name = _without_port(request.headers.get("host", ""))
        if name in self._hosts:
            await self._app(scope, receive, send)
            return
        response = self._refuse(
            request,
            HTTPStatus.MISDIRECTED_REQUEST,
            "unknown-host",
            "This server does not go by that name. If it should, name it in "
            "HEMALINE_ALLOWED_HOSTS or HEMALINE_PUBLIC_URL.",
        )
        await response(scope, receive, send)


def _without_port(host: str) -> str:
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdigit() else host.lower()
