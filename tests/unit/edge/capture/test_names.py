"""Which names are passed over, and how one that is no text is written and remembered."""

import os

import pytest

from hemaline_edge.capture.names import (
    key_of,
    may_be_image,
    may_hold_images,
    path_of,
    readable,
)


@pytest.mark.parametrize(
    "name",
    [
        "a.jpg",
        "A.JPG",
        "field",
        "1.tif",
        "12",
        "Müller.png",
        "#12.jpg",
        "@a.jpg",
        "a.b.c.jpeg",
        "image",
        "Copy~1.jpg",
        "a$.bmp",
    ],
)
def test_what_may_be_an_image_is_looked_at(name):
    assert may_be_image(name)


@pytest.mark.parametrize(
    "name",
    [
        ".a.jpg",
        "._a.jpg",
        ".DS_Store",
        "Thumbs.db",
        "desktop.ini",
        "~$a.jpg",
        "~a.jpg",
        "a.jpg~",
        "#a.jpg#",
        "a.jpg.part",
        "a.jpg.crdownload",
        "a.jpg.filepart",
        "a.jpg.PARTIAL",
        "a.jpg.tmp",
        "a.jpg.swp",
        "a.jpg.bak",
        "a.jpg.!ut",
        "a.jpg@SynoEAStream",
        "a.jpg:Zone.Identifier",
        "ZbThumbnail.info",
        "manifest.tsv",
        "notes.txt",
    ],
)
def test_what_other_programs_leave_beside_images_is_passed_over(name):
    assert not may_be_image(name)


@pytest.mark.parametrize(
    "name",
    [
        "@eaDir", "@EADIR", "#recycle", "#snapshot", "@Recycle", "@Recently-Snapshot",
        "$RECYCLE.BIN", "$Recycle.Bin", "RECYCLER", "System Volume Information", "lost+found",
        ".Trash-1000", ".@__thumb", ".thumbnails", ".git", "__MACOSX", "~snapshot", "a.download",
    ],
)  # fmt: skip
def test_what_a_nas_or_a_system_keeps_for_itself_is_passed_over(name):
    assert not may_hold_images(name)


@pytest.mark.parametrize("name", ["S1", "#12", "@home", "2024-01-01", "$5", "Recycling study"])
def test_a_person_s_folder_is_looked_into(name):
    assert may_hold_images(name)


def test_any_name_can_be_shown_and_any_but_text_has_a_key_of_its_own():
    latin = os.fsdecode(b"S1/M\xfcller.jpg")
    assert readable(latin) == "S1/M\\xfcller.jpg"
    assert readable("a\nb\x1b[31m.jpg") == "a\\nb\\x1b[31m.jpg"
    assert readable("Müller.jpg") == key_of("Müller.jpg") == "Müller.jpg"
    keys = {
        key_of(path) for path in (latin, "S1/M\\xfcller.jpg", "S1/M%FCller.jpg", "S1/Müller.jpg")
    }
    assert len(keys) == 4
    for path in (latin, "S1/M%FCller.jpg"):
        key_of(path).encode()
        assert path_of(key_of(path)) == path
