"""A person who types orders in and links slides to them through the API."""

from typing import Any

from fastapi.testclient import TestClient
from httpx2 import Response

from factories import SlideMade

ERIN = {"identifier": "4711", "name": "Example, Erin", "birth_date": "1980-05-17"}


def _counted(name: str, loinc: str, value: float, unit: str) -> dict[str, Any]:
    quantity = {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": loinc}]},
        "valueQuantity": quantity,
    }


SERVICE_REQUEST: dict[str, Any] = {
    "resourceType": "ServiceRequest",
    "status": "active",
    "intent": "order",
    "identifier": [{"system": "urn:example:lab", "value": "24-00031"}],
    "subject": {"reference": "#p1"},
    "authoredOn": "2026-03-02T07:55:00Z",
    "contained": [
        {
            "resourceType": "Patient",
            "id": "p1",
            "identifier": [{"system": "urn:example:hospital", "value": "4711"}],
            "name": [{"family": "Example", "given": ["Erin", "Eve"]}],
            "birthDate": "1980-05-17",
        },
        _counted("wbc", "6690-2", 31.4, "10*9/L"),
        _counted("hb", "718-7", 9.1, "g/dL"),
        _counted("plt", "777-3", 41, "10*9/L"),
    ],
    "supportingInfo": [{"reference": f"#{name}"} for name in ("wbc", "hb", "plt")],
}
"""An order as a lab system sends it."""


class Orders:
    """Whoever the client is, asking of orders."""

    def __init__(self, client: TestClient) -> None:
        self._client = client

    def try_to_add(
        self, barcode: str, *, site: str = "north", patient: Any = ERIN, **more: Any
    ) -> Response:
        body = {"site": site, "barcode": barcode, "patient": patient, **more}
        return self._client.post("/api/v1/orders", json=body)

    def add(self, barcode: str, **more: Any) -> str:
        """Add an order; return its id."""
        answer = self.try_to_add(barcode, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()["order_id"]

    def read(self, order_id: str) -> Any:
        answer = self._client.get(f"/api/v1/orders/{order_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def slide(self, slide: SlideMade) -> Any:
        return self._client.get(f"/api/v1/slides/{slide.slide_id}").json()

    def of(self, slide: SlideMade) -> Any:
        """What a slide was made for."""
        answer = self._client.get(f"/api/v1/slides/{slide.slide_id}/order")
        assert answer.status_code == 200, answer.text
        assert answer.headers["etag"] == f'"v{answer.json()["version"]}"'
        return answer.json()

    def link(
        self,
        slide: SlideMade,
        barcode: str,
        version: int | None = None,
        key: str | None = None,
        **more: bool,
    ) -> Response:
        return self._ask("POST", slide, "", {"barcode": barcode, **more}, version, key)

    def link_again(self, slide: SlideMade, order_id: str) -> Response:
        return self._ask("POST", slide, "", {"order_id": order_id})

    def unlink(self, slide: SlideMade, version: int | None = None) -> Response:
        return self._ask("DELETE", slide, "", None, version)

    def ask(self, slide: SlideMade, reason: str) -> Response:
        return self._ask("POST", slide, "/unlinking", {"reason": reason})

    def answer(self, slide: SlideMade, *, agrees: bool) -> Response:
        return self._ask("POST", slide, "/unlinking/answer", {"agrees": agrees})

    def _ask(
        self,
        method: str,
        slide: SlideMade,
        what: str,
        body: Any,
        version: int | None = None,
        key: str | None = None,
    ) -> Response:
        version = self.of(slide)["version"] if version is None else version
        headers = {"If-Match": f'"v{version}"'} | ({"Idempotency-Key": key} if key else {})
        address = f"/api/v1/slides/{slide.slide_id}/order{what}"
        return self._client.request(method, address, json=body, headers=headers)
