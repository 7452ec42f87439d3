"""`hemaline` refuses at once what cannot work."""

import time

import pytest
from typer.testing import CliRunner

from hemaline_cloud.settings import PROCESSES
from hemaline_edge.settings import EdgeSettings
from hemaline_local import cli
from hemaline_local.microscopes import from_images
from hemaline_local.services import Layout, cloud_services, foreign_variables
from hemaline_shared.errors import PermanentError


@pytest.fixture(autouse=True)
def never_started(monkeypatch):
    def fail(*_):
        raise AssertionError("it started the system")

    monkeypatch.setattr(cli, "_machine", fail)


def refused(*arguments):
    result = CliRunner().invoke(cli.app, arguments)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return result.output


@pytest.mark.parametrize("port", ["99999999", "-1", "http"])
@pytest.mark.parametrize("option", ["--port", "--broker-port"])
def test_a_port_that_is_none_is_refused(option, port):
    assert f"{option}': Input should be" in refused("up", option, port)


def test_a_home_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    assert "is no directory" in refused("up", "--home", str(tmp_path / "file"))


@pytest.fixture
def images(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "manifest.tsv").write_text("file\tpatient\na.png\tone\n")
    (tmp_path / "images" / "a.png").write_bytes(b"")
    return tmp_path / "images"


def test_a_wrong_slide_column_is_told_once_and_at_once(images):
    started = time.monotonic()
    told = refused("demo", "--images", str(images), "--slide-column", "[slide]")
    assert told.count("no column") == 1
    assert "'[slide]'" in told
    assert "patient" in told
    assert len(told.splitlines()) == 1
    assert time.monotonic() - started < 60


def test_a_folder_without_an_image_is_refused_before_anything_starts(images):
    (images / "a.png").rename(images / "thumbs.db")
    assert refused("demo", "--images", str(images)).endswith("holds no file that may be an image\n")


def test_a_slide_column_without_images_is_refused():
    assert "--slide-column needs --images" in refused("demo", "--slide-column", "slide")


def test_a_right_slide_column_goes_to_the_agent(images):
    assert from_images(images, "patient").source["SLIDE_COLUMN"] == "patient"
    (images / "manifest.tsv").unlink()
    with pytest.raises(PermanentError):
        from_images(images, "patient")


def test_each_process_gets_its_own_settings_and_not_those_of_others(tmp_path, monkeypatch):
    """Every process refuses what it does not know, and one environment serves them all."""
    monkeypatch.setenv("HEMALINE_QUALITY__FOCUS", "0")
    monkeypatch.setenv("HEMALINE_BATCH_SIZE", "4")
    monkeypatch.setenv("HEMALINE_LOG_FORM", "json")
    assert foreign_variables(EdgeSettings) == {"HEMALINE_BATCH_SIZE"}
    assert foreign_variables(*PROCESSES) == {"HEMALINE_QUALITY__FOCUS"}
    layout = Layout(tmp_path, 1, 2, 3, 4)
    for service in cloud_services(layout, "postgresql://", tmp_path):
        assert service.unset == {"HEMALINE_QUALITY__FOCUS"}
