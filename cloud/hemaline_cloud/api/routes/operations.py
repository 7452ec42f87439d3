"""`/healthz`, `/readyz`, `/metrics`: for whoever watches the process."""

import logging
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from hemaline_cloud.api import examples
from hemaline_cloud.api.authentication import may_watch
from hemaline_cloud.api.context import ApiContext, Context
from hemaline_cloud.api.views import API
from hemaline_cloud.database.checks import database_problem
from hemaline_cloud.database.overrides import signed_cells
from hemaline_cloud.database.reading.fleet import whole_fleet
from hemaline_cloud.fleet.metrics import device_exposition
from hemaline_cloud.principal import Principal
from hemaline_cloud.review.override_metrics import METRIC_DAYS, override_exposition
from hemaline_shared.errors import TransientError

logger = logging.getLogger(__name__)

_DEVICES = 10_000

router = APIRouter(tags=["operations"])


@router.get(
    "/healthz",
    summary="Whether the process runs",
    responses=examples.answers({"status": "alive"}),
)
def healthz() -> dict[str, str]:
    """Always 200 while anything answers at all."""
    return {"status": "alive"}


@router.get(
    "/readyz",
    summary="Whether the database and the object store answer",
    responses=examples.answers({"status": "ready", "problems": {}})
    | {503: {"description": "Something is away; `problems` names it."}},
)
def readyz(context: Context) -> JSONResponse:
    """200 when every part answers, else 503 with what is wrong, part by part."""
    checks = {
        "database": database_problem(context.engine),
        "objects": context.store_problem(),
    }
    problems = {part: problem for part, problem in checks.items() if problem}
    body = {"status": "not ready" if problems else "ready", "problems": problems}
    return JSONResponse(body, status_code=503 if problems else 200)


@router.get(
    "/metrics",
    summary="Prometheus metrics of this process",
    response_class=Response,
    responses=examples.sends("text/plain", 'hemaline_api_requests_total{method="GET"} 1.0'),
)
def metrics(context: Context, _principal: Annotated[Principal, Depends(may_watch)]) -> Response:
    """For operators, and for tokens with the scope `metrics`; devices are those of their sites."""
    # A plain route: a mounted application would answer on `/metrics/` alone.
    return Response(generate_latest() + _of_sites(context), media_type=CONTENT_TYPE_LATEST)


def _of_sites(context: ApiContext) -> bytes:
    """Return the metrics of devices and of overrides; none while the database is away."""
    try:
        with context.reading() as connection:
            fleet = whole_fleet(connection, _DEVICES)
            signed = signed_cells(connection, timedelta(days=METRIC_DAYS))
    except TransientError as error:
        logger.warning("no metrics of devices and overrides: %s", error)
        return b""
    return device_exposition(device.measured for device in fleet) + override_exposition(signed)


@router.get(f"{API}/openapi.json", include_in_schema=False)
def description(request: Request) -> JSONResponse:
    """What this API can do, for programs."""
    described: dict[str, Any] = request.app.openapi()
    return JSONResponse(described)
