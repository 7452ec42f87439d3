"""`/session`: who asks, and what they may do."""

from datetime import datetime
from typing import Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

from hemaline_cloud.api import examples
from hemaline_cloud.api.authentication import authentication_of
from hemaline_cloud.api.views import API

router = APIRouter(prefix=API, tags=["session"])


class GrantView(BaseModel):
    """A role at a site."""

    role: str
    site: str = Field(description="`*`: every site.")


class SessionView(BaseModel):
    """Who asks."""

    id: str
    name: str
    full_name: str
    kind: Literal["person", "service"]
    grants: list[GrantView]
    scopes: list[str] | None = Field(description="Of a token; null for a session.")
    authenticated_at: datetime | None = Field(description="The last log-in; null for a token.")
    csrf_token: str | None = Field(
        description="Send it as X-CSRF-Token with each change; null for a token, which needs none."
    )


@router.get(
    "/session",
    summary="Read who you are and what you may do",
    response_model=SessionView,
    responses=examples.answers(examples.SESSION),
)
def session(request: Request) -> Response:
    """Of the session's cookie or of the API token that was sent."""
    found = authentication_of(request)
    view = SessionView(
        id=found.principal.id,
        name=found.name,
        full_name=found.principal.name,
        kind=found.principal.kind,
        grants=[GrantView(role=role, site=site) for role, site in sorted(found.grants)],
        scopes=sorted(found.scopes) if found.scopes is not None else None,
        authenticated_at=found.authenticated_at,
        csrf_token=found.csrf,
    )
    return JSONResponse(view.model_dump(mode="json"), headers={"Cache-Control": "no-store"})
