"""Requests that schemathesis makes up from the API's own description, and what is wrong in answers.

Half of what is made up obeys the description, half breaks it. Names of things in an address are
mostly those of things that exist: what is not there is refused before anything is looked at.
"""

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import schemathesis
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import Response
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case as AnyCase
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import FailureGroup
from schemathesis.core.parameters import ParameterLocation
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation as AnyOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    response_schema_conformance,
    status_code_conformance,
)

from parts.people import LoggedIn

Case: TypeAlias = AnyCase[Any]
Operation: TypeAlias = AnyOperation[Any, Any, Any, Any]

ENDLESS = "/api/v1/events"
"""Its answer never ends; `test_events` asks it for what is no id."""

_CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    positive_data_acceptance,
    negative_data_rejection,
)
_STATE = ["2xx", "304", "400", "401", "403", "404", "409", "412", "428"]
"""What may answer a request that obeys the description, where it is documented: it depends on what
is stored, on who asks, and on whether a cursor was one of ours. A 422 says that the description
allows what the API does not."""

_BEYOND_SCHEMAS = (
    "This Idempotency-Key came with another change before",
    "no living person was born then",
    "no order is of that time",
    "resourceType: ServiceRequest is wanted",
)
"""Refusals with 422 for what no JSON schema says: a FHIR resource has FHIR's own."""


@dataclass
class Abuse:
    """One campaign.

    Attributes:
        client: Asks.
        names: Parameter of an address -> what exists by that name.
        examples: Requests an operation and mode.
        seed: Of what is made up: the same again.
        faults: What was found -> one request that shows it.
        statuses: How often each was answered.
    """

    client: TestClient
    names: Mapping[str, str]
    examples: int
    seed: int = 0
    faults: dict[str, str] = field(default_factory=dict)
    statuses: Counter[int] = field(default_factory=Counter)

    def ask_everything(self, app: FastAPI, person: LoggedIn) -> None:
        """Ask every operation as somebody with a token."""
        for operation in _operations(app):
            for mode in _modes(operation):
                self._ask(operation, mode, person)

    def _ask(self, operation: Operation, mode: GenerationMode, person: LoggedIn) -> None:
        chance = random.Random(f"{self.seed} {operation.label} {mode}")

        @seed(self.seed)
        @settings(
            max_examples=self.examples,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Case) -> None:
            self._place(case, chance)
            self._send(case, person)

        with suppress(Unsatisfiable):  # nothing that it takes can be broken
            ask()

    def _place(self, case: Case, chance: random.Random) -> None:
        """Let most requests be about what exists, in the version that it has."""
        obeys = {
            place
            for place, part in (case.meta.components if case.meta else {}).items()
            if part.mode.is_positive
        }
        if ParameterLocation.PATH in obeys:
            for name in case.path_parameters.keys() & self.names.keys():
                if chance.random() < 0.8:
                    case.path_parameters[name] = self.names[name]
        if ParameterLocation.HEADER in obeys and "If-Match" in case.headers:
            case.headers["If-Match"] = f'"v{chance.randrange(6)}"'

    def _send(self, case: Case, person: LoggedIn) -> None:
        sent = case.as_transport_kwargs(base_url="http://testserver", headers=person.bearer)
        body = {key: sent[key] for key in ("json", "data", "files") if sent.get(key) is not None}
        if isinstance(body.get("data"), bytes | str):
            body["content"] = body.pop("data")
        answer = self.client.request(
            sent["method"],
            sent["url"],
            params=sent.get("params"),
            headers=_wire(sent["headers"]),
            **body,
        )
        self.statuses[int(answer.status_code)] += 1
        self._check(case, answer)

    def _check(self, case: Case, answer: Response) -> None:
        checks = list(_CHECKS)
        if any(words in answer.text for words in _BEYOND_SCHEMAS):
            checks.remove(positive_data_acceptance)
        try:
            case.validate_response(answer, checks=checks)
        except FailureGroup as group:
            for failure in group.exceptions:
                kind = f"{case.operation.label} {type(failure).__name__} {answer.status_code}"
                asked = case.as_curl_command()
                shown = f"{asked}\n    {str(failure)[:600]}\n    {answer.text[:300]}"
                self.faults.setdefault(kind, shown)


def _modes(operation: Operation) -> Sequence[GenerationMode]:
    """Return both ways, where there is more than an address: that can hardly be broken."""
    takes_more = operation.query or operation.body
    return tuple(GenerationMode) if takes_more else (GenerationMode.POSITIVE,)


def _operations(app: FastAPI) -> Iterator[Operation]:
    expected = {
        "positive_data_acceptance": {"expected-statuses": _STATE},
        "negative_data_rejection": {"expected-statuses": ["4xx"]},
    }
    config = SchemathesisConfig.from_dict({"checks": expected})
    schema = schemathesis.openapi.from_dict(app.openapi(), config=config)
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        if operation.path != ENDLESS:
            yield operation


def _wire(headers: Mapping[str, object]) -> list[tuple[bytes, bytes]]:
    """Headers as they go over the wire: of bytes, whatever these are."""
    return [
        (name.encode(), str(value).encode("latin-1", "replace")) for name, value in headers.items()
    ]
