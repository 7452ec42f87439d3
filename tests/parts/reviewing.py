"""A person who reviews a slide through the API."""

from fastapi.testclient import TestClient

from factories import SlideMade


class Asks:
    """Whoever the client is, asking of the review of one slide."""

    def __init__(self, client: TestClient, slide: SlideMade) -> None:
        self._client, self.slide = client, slide
        self._base = f"/api/v1/slides/{slide.slide_id}"

    def read(self):
        answer = self._client.get(f"{self._base}/review")
        assert answer.status_code == 200, answer.text
        assert answer.headers["etag"] == f'"v{answer.json()["version"]}"'
        return answer.json()

    def step(self, step, version=None, **more):
        return self._post("review", {"step": step, **more}, version)

    def see(self, cells=(), fields=(), revision=1):
        body = {
            "revision": revision,
            "cells": list(map(str, cells)),
            "fields": list(map(str, fields)),
        }
        return self._client.post(f"{self._base}/seen", json=body)

    def see_all(self):
        wanted = [cell["cell_id"] for cell in self.read()["to_see"]]
        assert self.see(wanted, self.slide.fields[:1]).status_code == 200

    def sign(self, version=None, revision=1, **more):
        return self._post("signatures", {"revision": revision, **more}, version)

    def finish(self, version=None, revision=1, **more):
        return self._post("readings", {"revision": revision, **more}, version)

    def readings(self):
        return self._client.get(f"{self._base}/readings").json()

    def report(self, signature):
        return self._client.get(signature["report"])

    def paper(self, signature=None):
        """The report as PDF: one signature's, or the one that holds."""
        base = signature["report"] if signature else self._base
        return self._client.get(f"{base}/report.pdf")

    def label(self, cell, label, version=0):
        answer = self.try_to_label(cell, label, version)
        assert answer.status_code == 200, answer.text

    def try_to_label(self, cell, label, version=0):
        return self._client.put(
            f"/api/v1/cells/{cell}/label",
            json={"label": label},
            headers={"If-Match": f'"v{version}"'},
        )

    def _post(self, what, body, version):
        version = self.read()["version"] if version is None else version
        return self._client.post(
            f"{self._base}/{what}", json=body, headers={"If-Match": f'"v{version}"'}
        )
