"""Settings that are wrong or unknown are named, each in a line of its own."""

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from hemaline_shared.errors import PermanentError
from hemaline_shared.redaction import redact
from hemaline_shared.settings import ProcessSettings, read_settings


class Broker(BaseModel):
    model_config = ConfigDict(extra="forbid")
    host: str = "127.0.0.1"
    port: int = Field(default=1883, ge=1, le=65535)


class Settings(ProcessSettings):
    site: str
    broker: Broker = Broker()
    password: SecretStr | None = None


class OtherSettings(ProcessSettings):
    bundle: str


@pytest.fixture
def environment(monkeypatch):
    def set_all(**values):
        for name, value in values.items():
            monkeypatch.setenv(f"HEMALINE_{name}", value)

    set_all(SITE="lab")
    return set_all


def problems():
    with pytest.raises(PermanentError) as refused:
        read_settings(Settings, beside=[OtherSettings])
    assert refused.value.reason == "bad-settings"
    return str(refused.value).splitlines()


def test_a_misspelt_variable_is_refused_and_the_right_one_offered(environment):
    environment(BROKR__HOST="broker.lab")
    assert problems() == [
        "HEMALINE_BROKR__HOST: there is no such setting; did you mean HEMALINE_BROKER?"
    ]


def test_a_misspelt_part_of_a_setting_is_refused(environment):
    environment(BROKER__HOSTT="broker.lab")
    assert problems() == ["broker.hostt (or HEMALINE_BROKER__HOSTT): there is no such setting"]


def test_what_another_process_in_the_same_environment_reads_is_no_mistake(environment):
    environment(BUNDLE="/models/one", DATA="/data", SERVICE_HOST="10.0.0.1")
    environment(API_PORT_8080_TCP_ADDR="10.0.0.1", API_SERVICE_PORT_HTTP="80")
    assert read_settings(Settings, beside=[OtherSettings]).site == "lab"


@pytest.mark.parametrize("port", ["0", "65536", "99999999", "-1", "many", "1e3"])
def test_a_port_that_is_none_is_told_with_its_name(environment, port):
    environment(BROKER__PORT=port)
    (line,) = problems()
    assert line.startswith("broker.port (or HEMALINE_BROKER__PORT): ")


def test_parts_given_as_one_text_are_told(environment):
    environment(BROKER="broker.lab:1883")
    assert "set its parts one by one, as HEMALINE_BROKER__" in problems()[0]


def test_an_empty_variable_is_as_good_as_none(environment):
    environment(BROKER__PORT="", LOG_LEVEL="")
    assert read_settings(Settings).broker.port == 1883


@pytest.mark.parametrize("level", ["INFO", "Warning", "debug"])
def test_a_log_level_may_be_written_in_any_case(environment, level):
    environment(LOG_LEVEL=level)
    assert read_settings(Settings).log_level == level.lower()


def test_a_log_level_that_is_none_is_told(environment):
    environment(LOG_LEVEL="loud")
    assert problems()[0].startswith("log_level (or HEMALINE_LOG_LEVEL): ")


def test_a_secret_is_known_to_the_redaction_once_it_is_read(environment):
    environment(PASSWORD="AbraCadabra")
    read_settings(Settings)
    assert redact("it was AbraCadabra") == "it was ***"


def test_no_message_repeats_what_was_set(environment):
    environment(BROKER__PORT="AbraCadabra", BROKER__PASSWORD="Geheim42")
    text = "\n".join(problems())
    assert "Abra" not in text
    assert "Geheim" not in text
