"""A page out of its template."""

from typing import Any

from fastapi import Request
from fastapi.responses import Response

from hemaline_cloud.api.caching import NO_STORE


def render(request: Request, template: str, values: dict[str, Any]) -> Response:
    """Return a page, which nobody may keep."""
    response: Response = request.app.state.templates.TemplateResponse(
        request, template, values, headers={"Cache-Control": NO_STORE}
    )
    return response
