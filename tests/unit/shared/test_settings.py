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


@pytest.fixture
def secret(tmp_path):
    def write(content):
        file = tmp_path / "secret"
        file.write_bytes(content)
        return str(file)

    return write


@pytest.mark.parametrize("content", [b"AbraKadabra7", b"AbraKadabra7\n", b"AbraKadabra7\r\n"])
def test_a_secret_may_lie_in_a_file(environment, secret, content):
    environment(PASSWORD_FILE=secret(content))
    settings = read_settings(Settings)
    assert settings.password.get_secret_value() == "AbraKadabra7"
    assert redact("it was AbraKadabra7") == "it was ***"


def test_part_of_a_setting_may_lie_in_a_file(environment, secret):
    environment(BROKER__HOST_FILE=secret(b"broker.lab\n"), BROKER__PORT="8883")
    assert read_settings(Settings).broker == Broker(host="broker.lab", port=8883)


def test_only_one_line_end_is_no_part_of_the_value(environment, secret):
    environment(PASSWORD_FILE=secret(b" a b \n\n"))
    assert read_settings(Settings).password.get_secret_value() == " a b \n"


def test_a_value_and_a_file_for_the_same_setting_are_refused(environment, secret):
    environment(PASSWORD="Geheim42", PASSWORD_FILE=secret(b"Geheim43"))
    assert problems() == ["HEMALINE_PASSWORD_FILE: HEMALINE_PASSWORD is set, too; set one of them"]


def test_an_empty_variable_names_no_file_and_stands_in_no_files_way(environment, secret):
    environment(PASSWORD="", PASSWORD_FILE=secret(b"x"), BROKER__HOST_FILE="")
    assert read_settings(Settings).password.get_secret_value() == "x"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"Geheim\xff", "is no UTF-8 text"),
        (b"Geheim" * 11_000, "is larger than any setting"),
    ],
)
def test_a_file_without_a_value_is_refused_and_not_shown(environment, secret, content, why):
    file = secret(content)
    environment(PASSWORD_FILE=file)
    assert problems() == [f"HEMALINE_PASSWORD_FILE: {file} {why}"]


def test_files_that_cannot_be_read_are_each_named(environment, tmp_path):
    environment(PASSWORD_FILE=f"{tmp_path}/none", BROKER__HOST_FILE=str(tmp_path))
    assert sorted(problems()) == [
        f"HEMALINE_BROKER__HOST_FILE: {tmp_path} cannot be read: Is a directory",
        f"HEMALINE_PASSWORD_FILE: {tmp_path}/none cannot be read: No such file or directory",
    ]


def test_a_file_for_a_setting_that_there_is_not_is_refused(environment, secret):
    environment(PASSWRD_FILE=secret(b"x"), BROKER__HOSTT_FILE=secret(b"x"))
    lines = problems()
    assert "broker.hostt (or HEMALINE_BROKER__HOSTT): there is no such setting" in lines
    assert any(line.startswith("HEMALINE_PASSWRD_FILE: there is no such setting") for line in lines)


def test_what_lies_in_a_file_for_another_process_is_no_mistake(environment):
    environment(BUNDLE_FILE="/run/secrets/none")
    assert read_settings(Settings, beside=[OtherSettings]).site == "lab"
