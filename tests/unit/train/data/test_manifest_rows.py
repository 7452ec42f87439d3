"""A manifest's text: what is read however it was saved, what is refused, and how it is written."""

import pytest

from hemaline_shared.errors import PermanentError
from hemaline_train.data.manifest_rows import read_columns, read_rows, write_rows

COLUMNS = ("file", "label")


@pytest.fixture
def manifest(tmp_path):
    return tmp_path / "manifest.tsv"


def test_a_byte_order_mark_is_no_part_of_the_first_column(manifest):
    manifest.write_text("file\tlabel\na.png\tblast\n", encoding="utf-8-sig")
    assert read_columns(manifest) == ["file", "label"]
    assert read_rows(manifest, COLUMNS) == [
        (f"{manifest}, line 2", {"file": "a.png", "label": "blast"})
    ]


def test_lines_ended_as_windows_does_are_read(manifest):
    manifest.write_bytes(b"file\tlabel\r\na.png\tblast\r\n")
    assert [row["label"] for _, row in read_rows(manifest, COLUMNS)] == ["blast"]


def test_rows_are_numbered_as_an_editor_does(manifest):
    manifest.write_text('file\tlabel\n\n"a\nb.png"\tblast\nc.png\tblast\n')
    assert [where[-6:] for where, _ in read_rows(manifest, COLUMNS)] == ["line 3", "line 5"]


def test_another_encoding_is_refused_with_its_line(manifest):
    manifest.write_bytes("file\tlabel\na.png\tblast\nMüller.png\tblast\n".encode("latin-1"))
    with pytest.raises(PermanentError, match=r"line 3, is not UTF-8\. Save it again") as refused:
        read_rows(manifest, COLUMNS)
    assert refused.value.reason == "manifest-text"


def test_a_quote_left_open_is_refused_with_its_line(manifest):
    manifest.write_text('file\tlabel\n"a.png\tblast\n' + "b.png\tblast\n" * 20_000)
    with pytest.raises(PermanentError, match=r"line 2: .* quote left open") as refused:
        read_rows(manifest, COLUMNS)
    assert refused.value.reason == "manifest-text"


def test_commas_between_the_columns_are_answered_with_tabs(manifest):
    manifest.write_text("file,label\na.png,blast\n")
    with pytest.raises(PermanentError, match=r"no column file, label\..* tabs") as refused:
        read_rows(manifest, COLUMNS)
    assert refused.value.reason == "manifest-column"


def test_a_short_row_is_refused_with_its_line(manifest):
    manifest.write_text("file\tlabel\na.png\tblast\nb.png\n")
    with pytest.raises(PermanentError, match="line 3: too few columns, 1 instead of 2") as refused:
        read_rows(manifest, COLUMNS)
    assert refused.value.reason == "manifest-column"


def test_a_row_with_a_value_too_many_is_refused_with_its_line(manifest):
    manifest.write_text("file\tlabel\na\tb.png\tblast\n")
    with pytest.raises(PermanentError, match="line 2: too many columns, 3 instead of 2") as refused:
        read_rows(manifest, COLUMNS)
    assert refused.value.reason == "manifest-column"


def test_a_tab_at_the_end_of_a_line_does_no_harm(manifest):
    manifest.write_text("file\tlabel\na.png\tblast\t\n")
    assert [row["label"] for _, row in read_rows(manifest, COLUMNS)] == ["blast"]


def test_what_was_written_is_read(manifest):
    write_rows(manifest, COLUMNS, [('a "b"\tc.png', "blast")])
    assert [row["file"] for _, row in read_rows(manifest, COLUMNS)] == ['a "b"\tc.png']


def test_a_manifest_that_cannot_be_written_whole_is_not_there(manifest):
    def rows():
        yield ("a.png", "blast")
        raise OSError(28, "No space left on device")

    with pytest.raises(PermanentError, match="No space left") as refused:
        write_rows(manifest, COLUMNS, rows())
    assert refused.value.reason == "manifest-unwritten"
    assert list(manifest.parent.iterdir()) == []


def test_a_manifest_that_somebody_else_wrote_meanwhile_stays(manifest):
    def rows():
        manifest.write_text("theirs")
        yield ("a.png", "blast")

    with pytest.raises(PermanentError) as refused:
        write_rows(manifest, COLUMNS, rows())
    assert refused.value.reason == "manifest-exists"
    assert manifest.read_text() == "theirs"
    assert list(manifest.parent.iterdir()) == [manifest]
