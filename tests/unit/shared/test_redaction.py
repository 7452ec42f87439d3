"""No secret is ever read by a person or a collector, whatever else is."""

import pytest
from pydantic import BaseModel, SecretStr

from hemaline_shared import redaction
from hemaline_shared.redaction import redact, register_secret, register_secrets


@pytest.fixture(autouse=True)
def forget(monkeypatch):
    monkeypatch.setattr(redaction, "_known", {})


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://hemaline:Geheim42@db:5432/hemaline",
        "rtsp://admin:Geheim#42@10.0.0.1:554/stream",
        "rtsp://admin:Geheim/42@10.0.0.1/stream",
        "rtsp://admin:Geh@im?Geheim@10.0.0.1/stream",
        "mqtts://device:Geheim[1]@broker",
        "host=db user=me password=Geheim42 dbname=x",
        "PUT http://store/key?expires=1&signature=Geheim42&size=3",
        "X-Amz-Credential=Geheim42&X-Amz-Signature=Geheim42",
        "https://Geheim42@example.org/repository",
    ],
)
def test_what_looks_like_a_secret_is_masked_and_the_rest_stays(text):
    redacted = redact(f"could not reach {text} in time")
    assert "Geheim" not in redacted
    assert redacted.startswith("could not reach ")
    assert redacted.endswith(" in time")
    assert "***" in redacted


@pytest.mark.parametrize(
    "text", ["http://127.0.0.1:8080/slides/S-1", "S-1 of scope@lab", "no user 'hemaline' is there"]
)
def test_what_holds_no_secret_stays_as_it_is(text):
    assert redact(text) == text


class Inner(BaseModel):
    secret_key: SecretStr
    name: str = "harmless"


class Outer(BaseModel):
    database_url: SecretStr = SecretStr("postgresql://me:sesame%20open@db/data")
    objects: Inner = Inner(secret_key=SecretStr("AbraCadabra"))
    nothing: SecretStr | None = None


def test_every_secret_of_the_settings_is_masked_wherever_it_turns_up():
    register_secrets(Outer())
    assert redact("AbraCadabra is wrong") == "*** is wrong"
    assert redact("not an integer: 'sesame open'") == "not an integer: '***'"
    assert redact("sesame%20open") == "***"
    assert redact("harmless") == "harmless"


def test_a_part_of_a_password_that_a_parser_complains_of_is_masked():
    register_secret("rtsp://admin:Geheim#Parole@10.0.0.1:554/s")
    assert redact("could not cast to integer value as 'Geheim'").endswith("'***'")
    assert "Parole" not in redact("fragment Parole")


def test_a_secret_of_three_characters_does_not_tear_up_every_sentence():
    register_secret("the")
    assert redact("the other") == "the other"


def test_characters_that_steer_a_terminal_are_spelt():
    assert redact("a\x1b[31mb\rc\x9b\n\td") == "a\\x1b[31mb\\x0dc\\x9b\n\td"
