"""A slide that somebody has signed, by the way that the page goes."""

from fastapi.testclient import TestClient

from factories import Factory, SlideMade
from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.review import make_ready


def sign_slide(client: TestClient, factory: Factory, slide: SlideMade) -> None:
    """Let whoever is logged in see what must be seen of a slide that has a result, and sign it."""
    factory.close_slide(slide)
    with unit_of_work(factory.engine) as connection:
        make_ready(connection, 1e-6)
    address = f"/api/v1/slides/{slide.slide_id}"
    now = client.get(f"{address}/review").json()
    cells = [cell["cell_id"] for cell in now["to_see"]]
    fields = [str(frame) for frame in slide.fields[:1]]
    seen = {"revision": now["revision"], "cells": cells, "fields": fields}
    assert client.post(f"{address}/seen", json=seen).status_code == 200
    answer = client.post(
        f"{address}/signatures",
        json={"revision": now["revision"]},
        headers={"If-Match": f'"v{now["version"]}"'},
    )
    assert answer.status_code == 200, answer.text
