"""`/overrides`, `/api/v1/overrides`: how often readers call cells otherwise than the model."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from hemaline_cloud.api import examples
from hemaline_cloud.api.context import Context
from hemaline_cloud.api.rendering import render
from hemaline_cloud.api.review_models import OverridesOfClass, OverridesView
from hemaline_cloud.api.views import API
from hemaline_cloud.database.overrides import signed_cells
from hemaline_cloud.review.overrides import Overrides, SignedCells, overrides_by

router = APIRouter()

_PERIODS = (30, 90, 365)
_USUAL_DAYS = 90

Days = Annotated[int, Query(ge=1, le=3650, description="Of slides signed in so many days.")]
Site = Annotated[str | None, Query(max_length=63)]
Device = Annotated[str | None, Query(max_length=63, description="Of microscopes called so alone.")]


@router.get(
    f"{API}/overrides",
    tags=["review"],
    summary="Read how often readers call cells otherwise than the model",
    responses=examples.answers(examples.OVERRIDES),
)
def overrides(
    context: Context, days: Days = _USUAL_DAYS, site: Site = None, device: Device = None
) -> OverridesView:
    """By model bundle, microscope, class, and whether the reader knew the model's answers.

    Of signed slides; of one that was amended, its newest signature. Cells that the model or
    the reader called nothing are left out. To say the same more or less exactly is no override.
    """
    with context.reading() as connection:
        rows = signed_cells(connection, timedelta(days=days), site=site, device=device)
    alike = overrides_by(rows, lambda row: row[:6])
    return OverridesView(
        days=days,
        overrides=[
            OverridesOfClass(
                site=key[0],
                device=key[1],
                bundle_id=key[2],
                bundle_sha256=key[3],
                machine_hidden=key[4],
                model_class=key[5],
                cells=found.cells,
                overridden=found.overridden,
                called=found.called,
            )
            for key, found in alike.items()
        ],
    )


class _Line(NamedTuple):
    """One bar of the chart."""

    name: str
    found: Overrides


class _OfBundle(NamedTuple):
    """What is known of one bundle."""

    bundle_id: str
    sha256: str
    whole: Overrides
    classes: list[_Line]
    readings: list[tuple[bool, Overrides]]
    """By whether the machine was hidden; empty where it was so for all or none."""
    devices: list[tuple[str, str, Overrides]]


@router.get("/overrides", include_in_schema=False)
def overrides_page(
    context: Context,
    request: Request,
    days: Days = _USUAL_DAYS,
    site: Site = None,
    device: Device = None,
) -> Response:
    """The same as a chart: a bar for each class of each model, and for each microscope."""
    with context.reading() as connection:
        rows = signed_cells(connection, timedelta(days=days), site=site, device=device)
    bundles = dict.fromkeys((row.bundle_id, row.bundle_sha256) for row in rows)
    values = {
        "days": days,
        "periods": _PERIODS,
        "site": site,
        "device": device,
        "bundles": [
            found
            for bundle_id, sha256 in bundles
            if (found := _of_bundle(bundle_id, [r for r in rows if r.bundle_sha256 == sha256]))
        ],
    }
    return render(request, "overrides.html", values)


def _of_bundle(bundle_id: str, rows: Sequence[SignedCells]) -> _OfBundle | None:
    """Return what is known of a bundle; None where nobody called any of its cells something."""
    whole = overrides_by(rows, lambda _: None).get(None)
    if whole is None:
        return None
    classes = overrides_by(rows, lambda row: row.model_class)
    readings = overrides_by(rows, lambda row: row.machine_hidden)
    devices = overrides_by(rows, lambda row: (row.site, row.device))
    return _OfBundle(
        bundle_id,
        rows[0].bundle_sha256,
        whole,
        [
            _Line(name, found)
            for name, found in sorted(classes.items(), key=lambda line: -line[1].cells)
        ],
        sorted(readings.items(), key=lambda one: one[0]) if len(readings) > 1 else [],
        [(*place, found) for place, found in devices.items()],
    )
