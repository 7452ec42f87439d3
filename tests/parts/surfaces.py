"""All that somebody can read of a slide, whatever the address."""

import re

from fastapi.testclient import TestClient

from factories import DEVICE, LABELS, SITE, SlideMade
from parts.routes import get_routes

AGE = re.compile(r'>[^<]*</time>|data-now="[^"]*"')  # how long ago and the time: they go on
OTHERS = {"/account", "/log-in", "/people", "/metrics", "/api/v1/events"}


def every_answer(client: TestClient, slide: SlideMade, cell: object) -> dict[str, str]:
    """Every address that can be read of a slide that nobody has signed, with its answer.

    Bytes that are no text count as they are; where a query asks for it, the worklist is in its own
    order, and cells are asked for by class.
    """
    values = {
        "slide_id": slide.slide_id,
        "name": slide.slide_id,
        "frame_id": slide.fields[0],
        "cell_id": cell,
        "revision": 1,
        "specimen_id": slide.specimen_id,
        "order_id": slide.orders[0],
        "signature_id": slide.slide_id,
        "site": SITE,
        "device": DEVICE,
    }
    addresses = {path.format(**_of(path, values)) for path in get_routes(client.app) - OTHERS}
    addresses |= {
        f"/slides/{slide.slide_id}?cell={cell}",
        f"/slides/{slide.slide_id}?label={LABELS[0]}",
        f"/api/v1/slides/{slide.slide_id}/cells?label={LABELS[0]}",
        f"/api/v1/slides/{slide.slide_id}/cells?limit=3",
        "/api/v1/slides?order=worklist",
        "/api/v1/slides?order=worklist&limit=1",
        f"/fhir/R4/Observation?specimen=Specimen/{slide.specimen_id}",
        f"/fhir/R4/Provenance?target=DiagnosticReport/{slide.slide_id}",
    }
    found = {}
    for address in sorted(addresses):
        answer = client.get(address)
        tag = answer.headers.get("etag", "")
        found[address] = f"{answer.status_code} {tag} {AGE.sub('', answer.text)}"
    return found


def _of(path: str, values: dict[str, object]) -> dict[str, object]:
    if "Observation" not in path:
        return values
    return values | {"name": f"{values['slide_id']}.{LABELS[0]}"}
