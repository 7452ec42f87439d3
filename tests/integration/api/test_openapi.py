"""The description of the API is good to read."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import TypeAdapter

from hemaline_cloud.api import examples
from hemaline_cloud.api.command_models import CommandsView
from hemaline_cloud.api.configuration_models import ConfigurationView
from hemaline_cloud.api.models import (
    BundleView,
    CellView,
    DeadLetterView,
    DeviceView,
    FieldDetail,
    FieldView,
    FrameView,
    ResultView,
    RevisionView,
    SlideView,
)
from hemaline_cloud.api.order_models import LinkChanged, OrderAdded, SlideOrderView
from hemaline_cloud.api.review_models import (
    AddedCellsView,
    OverridesView,
    ReferenceCellView,
    ReviewView,
    SeenView,
    SignatureView,
)
from hemaline_cloud.api.routes.session import SessionView


def operations(client: TestClient) -> list[tuple[str, dict[str, Any]]]:
    paths = client.get("/api/v1/openapi.json").json()["paths"]
    return [
        (f"{method.upper()} {path}", operation)
        for path, methods in paths.items()
        for method, operation in methods.items()
    ]


def test_every_operation_has_a_summary_a_description_and_an_example(client):
    described = operations(client)
    assert len(described) >= 18
    for name, operation in described:
        assert operation.get("summary"), name
        assert operation.get("description"), name
        (content,) = operation["responses"]["200"]["content"].values()
        assert "example" in content, name


def test_every_problem_is_described_as_problem_json(client):
    for name, operation in operations(client):
        is_fhir = "/fhir/R4/" in name
        for status, response in operation["responses"].items():
            if status in {"400", "401", "403", "429", "404", "422"}:
                kind = "application/fhir+json" if is_fhir else "application/problem+json"
                assert list(response["content"]) == [kind], (name, status)


@pytest.mark.parametrize(
    ("model", "example"),
    [
        (SlideView, examples.SLIDE),
        (ReviewView, examples.REVIEW),
        (SeenView, examples.SEEN),
        (SignatureView, examples.SIGNATURE),
        (OverridesView, examples.OVERRIDES),
        (AddedCellsView, examples.ADDED_CELLS),
        (ReferenceCellView, examples.REFERENCE_CELL),
        (ResultView, examples.RESULT),
        (RevisionView, examples.REVISION),
        (FieldView, examples.FIELD),
        (FieldDetail, examples.FIELD_DETAIL),
        (CellView, examples.CELL),
        (FrameView, examples.FRAME),
        (DeadLetterView, examples.DEAD_LETTER),
        (DeviceView, examples.DEVICE),
        (ConfigurationView, examples.CONFIGURATION),
        (CommandsView, examples.COMMANDS),
        (BundleView, examples.BUNDLE),
        (SessionView, examples.SESSION),
        (SlideOrderView, examples.SLIDE_ORDER),
        (LinkChanged, examples.LINK_CHANGED),
        (OrderAdded, examples.ORDER_ADDED),
    ],
)
def test_the_examples_are_what_the_api_would_say(model: type, example: dict[str, Any]):
    adapter = TypeAdapter(model)
    assert adapter.dump_python(adapter.validate_python(example), mode="json") == example
