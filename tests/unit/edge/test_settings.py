"""Settings come from a file and the environment, and every mistake is told in one line."""

import pytest

from hemaline_edge.settings import FolderSettings, load_settings
from hemaline_shared.errors import PermanentError

FILE = """
site = "lab"
device = "scope-1"
um_per_px = 0.1

[source]
kind = "folder"
path = "/images"

[spool]
path = "/spool"

[broker]
host = "broker.example"
"""


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "edge.toml"
        path.write_text(text)
        return path

    return write


def problems(path):
    with pytest.raises(PermanentError) as error:
        load_settings(path)
    assert error.value.reason == "bad-settings"
    return str(error.value).splitlines()


def test_a_file_sets_everything(file):
    settings = load_settings(file(FILE))
    assert str(settings.name) == "lab/scope-1"
    assert isinstance(settings.source, FolderSettings)
    assert settings.broker.host == "broker.example"


def test_the_environment_wins_over_the_file(file, monkeypatch):
    monkeypatch.setenv("HEMALINE_DEVICE", "scope-2")
    monkeypatch.setenv("HEMALINE_SOURCE__WATCH", "false")
    settings = load_settings(file(FILE))
    assert str(settings.name) == "lab/scope-2"
    assert settings.source.watch is False
    assert str(settings.source.path) == "/images"


def test_the_environment_is_enough(monkeypatch, tmp_path):
    for name, value in {
        "SITE": "lab",
        "DEVICE": "x",
        "SOURCE__KIND": "simulator",
        "SPOOL__PATH": str(tmp_path),
    }.items():
        monkeypatch.setenv(f"HEMALINE_{name}", value)
    assert load_settings(None).has_an_end


def test_each_wrong_field_has_a_line_with_its_variable(file):
    lines = problems(file(FILE.replace("scope-1", "Scope 1").replace('path = "/images"', "")))
    assert len(lines) == 2
    assert lines[0].startswith("device (or HEMALINE_DEVICE): ")
    assert lines[1].startswith("source.path (or HEMALINE_SOURCE__PATH): ")


def test_a_misspelt_field_is_told(file):
    (line,) = problems(file("quoter = 3\n" + FILE))
    assert line.startswith("quoter (")
    (line,) = problems(file(FILE.replace('path = "/spool"', 'path = "/spool"\nquota = 3')))
    assert line.startswith("spool.quota (")


def test_a_file_that_is_no_toml_or_not_there_is_told(file, tmp_path):
    assert "edge.toml" in problems(file("site = "))[0]
    assert "nowhere.toml" in problems(tmp_path / "nowhere.toml")[0]


@pytest.mark.parametrize("name", ["LAB", "lab 1", "", "-a", "ä", "a" * 64])
def test_a_name_that_no_topic_may_bear_is_told_with_what_to_write(file, name):
    (line,) = problems(file(FILE.replace('site = "lab"', f'site = "{name}"')))
    assert line == (
        "site (or HEMALINE_SITE): write it in small letters a-z, digits and hyphens, 63 at most, "
        "as scope-3"
    )


def test_a_path_of_windows_in_double_quotes_is_told(file):
    (line,) = problems(file(FILE.replace("/images", "C:\\Users\\lab")))
    assert "put a path with backslashes between single quotes" in line


def test_a_part_that_is_given_as_one_value_is_told(file):
    (line,) = problems(file('source = "folder"\n' + FILE[: FILE.index("[source]")]
                            + FILE[FILE.index("[spool]") :]))  # fmt: skip
    assert "it has parts of its own" in line


CAMERA = FILE.replace('kind = "folder"\npath = "/images"', "kind = 'camera'\ndevice = DEVICE")


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("rtsp://admin:Geheim#42@10.0.0.9/s", "percent-encoded"),
        ("rtsp://admin:Geheim 42@10.0.0.9/s", "percent-encoded"),
        ("rtsp://admin:Geheim\\n42@10.0.0.9/s", "percent-encoded"),
        ("rtsp://admin:Geheim\\u202e42@10.0.0.9/s", "percent-encoded"),
        ("rtsp://admin:Geheim42@10.0.0.9:port/s", "percent-encoded"),
        ("rtsp:/admin:Geheim42@10.0.0.9/s", "write rtsp://HOST:PORT/PATH"),
        ("admin:Geheim42@10.0.0.9/s", "write rtsp://HOST:PORT/PATH"),
        ("rtsp://admin:Geheim42@/s", "write rtsp://HOST:PORT/PATH"),
    ],
)
def test_a_camera_s_address_that_would_be_read_otherwise_is_refused_without_it(file, address, told):
    (line,) = problems(file(CAMERA.replace("DEVICE", f'"{address}"')))
    assert told in line
    assert "Geheim" not in line


def test_a_spool_inside_the_watched_folder_is_refused(file):
    lines = problems(file(FILE.replace('path = "/spool"', 'path = "/images/spool"')))
    assert "would capture itself" in lines[-1]
