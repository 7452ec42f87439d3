"""The addresses of an app, as templates."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from starlette.routing import Mount, Route


def get_routes(app: FastAPI) -> set[str]:
    """Return every route that answers a GET."""
    return {route.path for route in routes_below(app) if "GET" in (route.methods or ())}


def routes_below(holder: Any) -> Iterator[Route]:
    """Every route of an app or router, those of included routers, too."""
    for route in holder.routes:
        if isinstance(route, Route):
            yield route
        elif not isinstance(route, Mount):
            yield from routes_below(route.original_router)
