"""Response headers that every answer carries, and the count and duration of each."""

import time
from collections.abc import Callable

from prometheus_client import Counter, Histogram
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_REQUESTS = Counter(
    "hemaline_api_requests_total", "Requests answered.", ("method", "route", "status")
)
_SECONDS = Histogram(
    "hemaline_api_request_seconds", "From a request to the start of its answer.", ("route",)
)
_SECURITY = {
    # No inline script or style, nothing from anywhere else, no frame around us.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; font-src 'self'; connect-src 'self'; manifest-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # `no-referrer` would make the Origin of our forms null
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class HeadersAndMetrics:
    """ASGI middleware; streams pass through it untouched.

    Args:
        app: What answers.
        on_fault: Answers where the app fell over, so that such an answer has headers and is
            counted too.
    """

    def __init__(self, app: ASGIApp, on_fault: Callable[[Request, Exception], Response]) -> None:
        self._app = app
        self._on_fault = on_fault

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the app does, with our headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        answered = False

        async def send_with_headers(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                MutableHeaders(scope=message).update(_SECURITY)
                # The route's template, never the path: an id in a label would grow without end.
                route = getattr(scope.get("route"), "path", "none")
                _SECONDS.labels(route).observe(time.perf_counter() - started)
                _REQUESTS.labels(scope["method"], route, message["status"]).inc()
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception as error:
            if answered:
                raise
            response = self._on_fault(Request(scope), error)
            await response(scope, receive, send_with_headers)
