"""Cells that somebody stands behind become a training set that `hemaline-train` adopts."""

import subprocess
import sys

import cv2
import pytest

from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.reading.fields import field_images
from hemaline_cloud.label_verbs import export_labels
from hemaline_cloud.settings import IngestSettings
from hemaline_shared.errors import PermanentError
from hemaline_shared.packing import FieldImages, pack, unpack
from hemaline_train.data.lab_data import adopt
from parts.signing import sign_slide


@pytest.fixture
def settings(api_settings):
    return IngestSettings(
        database_url=api_settings.database_url, objects=api_settings.objects.model_copy()
    )


@pytest.fixture
def signed(client, factory):
    """Make a slide whose first cell a person called a promyelocyte, and sign it."""

    def make(**settings):
        slide = factory.slide(**settings)
        factory.field(slide)
        factory.trained_result(slide)
        cell = next(iter(slide.labels))
        answer = client.put(
            f"/api/v1/cells/{cell}/label",
            json={"label": "promyelocyte"},
            headers={"If-Match": '"v0"'},
        )
        assert answer.status_code == 200, answer.text
        sign_slide(client, factory, slide)
        return slide, cell

    return make


def test_a_person_s_word_outranks_the_model_s_and_the_specimen_is_the_group(
    settings, signed, tmp_path
):
    folder, said = tmp_path / "set", []
    slides = [signed() for _ in range(3)]
    export_labels(settings, folder, said.append)
    for slide, cell in slides:
        picture = folder / "promyelocyte" / f"{slide.specimen_id}_{cell}.png"
        assert cv2.imread(str(picture)) is not None
    files = list(folder.rglob("*.png"))
    assert len({file.stem for file in files}) == len(files)
    assert f"{len(files)} cells of 3 signed slides and 3 specimens" in said[-2]
    splits = adopt(folder, "^([^_]+)_", 0.4)
    assert {one.name for one in splits} == {file.parent.name for file in files}
    rows = (folder / "manifest.tsv").read_text().splitlines()
    assert len(rows) == len(files) + 1
    assert all(str(slide.specimen_id) in "".join(rows) for slide, _ in slides)


def test_what_nobody_signed_or_what_is_drawn_is_left_out(settings, signed, factory, tmp_path):
    unsigned = factory.slide()
    factory.field(unsigned)
    factory.trained_result(unsigned)
    with pytest.raises(PermanentError, match="No signed slide has a cell to export"):
        export_labels(settings, tmp_path / "set", print)
    signed(simulated=True)
    said = []
    signed()
    export_labels(settings, tmp_path / "set", said.append)
    assert "1 signed slides and 1 specimens" in said[-2]
    assert "1 simulated slides are left out" in said[-2]


def test_what_the_model_said_after_the_signature_is_nobody_s_word(
    settings, signed, factory, tmp_path
):
    slide, cell = signed()
    factory.newer_result(slide, cells=99)
    export_labels(settings, tmp_path / "set", print)
    (only,) = (tmp_path / "set").rglob("*.png")
    assert only == tmp_path / "set" / "promyelocyte" / f"{slide.specimen_id}_{cell}.png"


def test_a_field_whose_object_is_gone_costs_no_other(settings, signed, factory, tmp_path):
    lost, _ = signed()
    kept, _ = signed()
    with unit_of_work(factory.engine) as connection:
        stored = field_images(connection, lost.fields[0])
    factory.store.delete(stored.key)
    said = []
    export_labels(settings, tmp_path / "set", said.append)
    assert f"1 fields could not be read and are left out: {lost.fields[0]}" in said[-2]
    names = {file.stem.split("_")[0] for file in (tmp_path / "set").rglob("*.png")}
    assert names == {str(kept.specimen_id)}


def test_a_field_whose_object_is_another_one_now_trains_nothing(
    settings, signed, factory, tmp_path
):
    changed, _ = signed()
    kept, _ = signed()
    with unit_of_work(factory.engine) as connection:
        stored = field_images(connection, changed.fields[0])
    images = unpack(factory.store.get(stored.key))
    factory.store.delete(stored.key)
    factory.store.put(stored.key, pack(FieldImages(b"another", images.crops)))
    export_labels(settings, tmp_path / "set", print)
    names = {file.stem.split("_")[0] for file in (tmp_path / "set").rglob("*.png")}
    assert names == {str(kept.specimen_id)}


def test_a_folder_with_something_in_it_is_refused(settings, tmp_path):
    (tmp_path / "mine.txt").touch()
    with pytest.raises(PermanentError, match="is not empty"):
        export_labels(settings, tmp_path, print)


def test_it_is_a_command_and_on_record(settings, signed, tmp_path, client):
    slide, _ = signed()
    done = subprocess.run(
        [sys.executable, "-m", "hemaline_cloud", "labels", "export", str(tmp_path / "set")],
        env={
            "HEMALINE_DATABASE_URL": settings.database_url.get_secret_value(),
            "HEMALINE_OBJECTS__KIND": "directory",
            "HEMALINE_OBJECTS__PATH": str(settings.objects.path),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Next: hemaline-train data adopt" in done.stdout
    events = client.get(f"/api/v1/slides/{slide.slide_id}/timeline").json()["items"]
    assert events[0]["action"] == "export-labels"
    assert "cells, signature" in events[0]["detail"]
