"""Manifests are read whole or refused with the file, the line and the reason."""

from pathlib import Path

import pytest

from hemaline_shared.errors import PermanentError
from hemaline_shared.pixels.types import Box
from hemaline_train.data.manifest import (
    LabelledImage,
    data_sets_with_boxes,
    parse_white_cells,
    read_manifest,
)

HEADER = "file\tlabel\tsplit\tbbox\n"


def _data_set(folder: Path, text: str) -> Path:
    folder.mkdir()
    (folder / "manifest.tsv").write_text(text)
    (folder / "a.png").write_bytes(b"an image")
    return folder


def test_white_cells_are_read_apart_from_the_others(tmp_path):
    folder = _data_set(
        tmp_path / "set",
        HEADER + "a.png\tfield\ttrain\tRBC:0,0,5,5;WBC:1,2,30,40;Platelets:7,7,9,9\n",
    )

    assert read_manifest(folder) == [
        LabelledImage(
            folder / "a.png",
            "train",
            white_cells=(Box(1, 2, 30, 40),),
            others=(("rbc", Box(0, 0, 5, 5)), ("platelets", Box(7, 7, 9, 9))),
        )
    ]


def test_a_kind_of_white_cell_counts_as_one():
    assert parse_white_cells("basophil:0,0,5,5") == [("basophil", Box(0, 0, 5, 5))]


def test_an_image_without_boxes_has_no_white_cell(tmp_path):
    folder = _data_set(tmp_path / "set", HEADER + "a.png\tfield\tval\t\n")

    assert read_manifest(folder)[0].white_cells == ()


@pytest.mark.parametrize(
    "text", ["WBC:1,2,3", "WBC:a,b,c,d", "WBC", "WBC:1,2,3,4,5", "WBC:5,0,5,9", "WBC:0,9,9,3"]
)
def test_a_malformed_box_is_named_with_its_line(tmp_path, text):
    folder = _data_set(
        tmp_path / "set", HEADER + f"a.png\tfield\ttrain\t\na.png\tf\ttrain\t{text}\n"
    )

    with pytest.raises(PermanentError, match=r"manifest\.tsv, line 3: WBC") as caught:
        read_manifest(folder)
    assert caught.value.reason == "manifest-box"


def test_a_missing_manifest_is_named(tmp_path):
    with pytest.raises(PermanentError, match=r"nowhere.manifest\.tsv does not exist") as caught:
        read_manifest(tmp_path / "nowhere")
    assert caught.value.reason == "manifest-missing"


def test_a_missing_column_is_named(tmp_path):
    folder = _data_set(tmp_path / "set", "file\tlabel\nx\ty\n")

    with pytest.raises(PermanentError, match="has no column split, bbox") as caught:
        read_manifest(folder)
    assert caught.value.reason == "manifest-column"


def test_an_empty_manifest_has_no_columns(tmp_path):
    folder = _data_set(tmp_path / "set", "")

    with pytest.raises(PermanentError, match="has no column file, split, bbox"):
        read_manifest(folder)


def test_a_short_line_is_named(tmp_path):
    folder = _data_set(tmp_path / "set", HEADER + "a.png\tfield\n")

    with pytest.raises(PermanentError, match="line 2: too few columns"):
        read_manifest(folder)


def test_a_missing_image_is_named(tmp_path):
    folder = _data_set(tmp_path / "set", HEADER + "gone.png\tfield\ttrain\t\n")

    with pytest.raises(PermanentError, match=r"line 2: no file .*gone\.png") as caught:
        read_manifest(folder)
    assert caught.value.reason == "image-missing"


def test_only_data_sets_with_boxes_are_listed(tmp_path):
    _data_set(tmp_path / "boxed", HEADER)
    _data_set(tmp_path / "labels-only", "file\tlabel\tsplit\n")

    assert data_sets_with_boxes(tmp_path) == ["boxed"]


def test_a_directory_without_data_says_what_to_do(tmp_path):
    with pytest.raises(PermanentError, match="--data") as caught:
        data_sets_with_boxes(tmp_path)
    assert caught.value.reason == "no-data"
