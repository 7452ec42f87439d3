"""A list of slides applies whatever program wrote it, and where it does not, that is told."""

import unicodedata

import pytest

from hemaline_edge.capture.manifest import SlideLabels
from hemaline_shared.errors import PermanentError


def labels(tmp_path, text, column=None, encoding="utf-8"):
    (tmp_path / "manifest.tsv").write_bytes(text.encode(encoding))
    return SlideLabels(tmp_path, column)


def test_letters_may_be_composed_or_not_on_either_side(tmp_path):
    composed = "Müller/ä.jpg"
    apart = unicodedata.normalize("NFD", composed)
    assert labels(tmp_path, f"file\tslide\n{composed}\tP1\n").of(apart) == "P1"
    assert labels(tmp_path, f"file\tslide\n{apart}\tP1\n").of(composed) == "P1"


@pytest.mark.parametrize(
    "written", ["S1\\a.jpg", "./S1/a.jpg", ".\\S1\\a.jpg", "S1//a.jpg", ' "S1/a.jpg" ']
)
def test_a_path_may_be_written_in_any_system_s_way(tmp_path, written):
    assert labels(tmp_path, f"file\tslide\n{written}\tP1\n").of("S1/a.jpg") == "P1"


@pytest.mark.parametrize(
    "header",
    [
        "file\tslide",
        "File\tSlide",
        "FILE\tSLIDE",
        " file \t slide",
        '"file"\t"slide"',
        "\t\nfile\tslide",
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_case_line_ends_and_marks_before_the_text_change_nothing(tmp_path, header, end, encoding):
    text = end.join([header, "a.jpg\tP 1 ", "", "b.jpg\tP2", ""])
    read = labels(tmp_path, text, encoding=encoding)
    assert (read.of("a.jpg"), read.of("b.jpg")) == ("P 1", "P2")
    assert read.mismatch(["a.jpg", "b.jpg"]) is None


def test_an_asked_for_column_may_be_written_in_any_case_too(tmp_path):
    assert labels(tmp_path, "File\tPATIENT\na.jpg\tP1\n", "patient").of("a.jpg") == "P1"


@pytest.mark.parametrize(("separator", "word"), [(";", "semicolons"), (",", "commas")])
def test_other_separators_are_told(tmp_path, separator, word):
    with pytest.raises(PermanentError, match=f"between {word}") as caught:
        labels(tmp_path, separator.join(["file", "slide"]) + "\n" + separator.join("ab") + "\n")
    assert caught.value.reason == "bad-manifest"


def test_an_encoding_that_is_not_read_is_told(tmp_path):
    with pytest.raises(PermanentError, match="UTF-8"):
        labels(tmp_path, "file\tslide\nMüller.jpg\tP1\n", encoding="latin-1")


def test_one_file_for_two_slides_is_told_with_its_lines(tmp_path):
    with pytest.raises(PermanentError, match="lines 2 and 4"):
        labels(
            tmp_path,
            "file\tslide\na.jpg\tP1\nb.jpg\tP1\nA/../a.jpg\tP2\na.jpg\tP2\n".replace(
                "A/../a.jpg", "./a.jpg"
            ),
        )


def test_rows_without_a_file_and_files_without_a_row_are_told_by_line_and_number(tmp_path):
    read = labels(tmp_path, "file\tslide\na.jpg\tP1\nb.jpg\tP2\nMeier.jpg\tP3\nd.jpg\t\n")
    found = read.mismatch(["a.jpg", "x.jpg", "y.jpg", "d.jpg"])
    assert [(row.line, row.file) for row in found.rows_without_file] == [
        (3, "b.jpg"),
        (4, "Meier.jpg"),
    ]
    assert found.files_without_row == 3
    assert "lines 3, 4 name" in str(found)
    assert "Meier" not in str(found)


def test_a_list_that_matches_nothing_is_told_and_one_without_slides_is_no_list(tmp_path):
    assert labels(tmp_path, "file\tslide\nelsewhere/a.jpg\tP1\n").mismatch(["a.jpg"])
    assert labels(tmp_path, "file\tlabel\nelsewhere/a.jpg\tP1\n").mismatch(["a.jpg"]) is None


def test_a_list_that_names_no_slides_or_has_no_rows_is_told(tmp_path, caplog):
    labels(tmp_path, "file\tpatient\na.jpg\tP1\n").refresh()
    assert "names no slides" in caplog.text
    assert caplog.text.count("file, patient") == 1
    assert labels(tmp_path, "file\tslide\n").mismatch(["a.jpg"]).files_without_row == 1


@pytest.mark.parametrize("name", ["Manifest.TSV", "MANIFEST.tsv"])
def test_a_list_s_own_name_may_be_written_in_any_case(tmp_path, name):
    (tmp_path / name).write_text("file\tslide\na.jpg\tP1\n")
    assert SlideLabels(tmp_path, None).of("a.jpg") == "P1"
    assert SlideLabels(tmp_path, "slide").of("a.jpg") == "P1"


@pytest.mark.parametrize("name", ["manifest.csv", "manifest.tsv.txt", "Manifest.txt"])
def test_a_list_that_is_not_read_for_its_name_is_told_once(tmp_path, caplog, name):
    (tmp_path / name).write_text("file,slide\na.jpg,P1\n")
    read = SlideLabels(tmp_path, None)
    read.refresh()
    assert caplog.text.count(f"{name} is not read") == 1


def test_a_change_is_read_and_a_list_that_breaks_is_told(tmp_path):
    read = labels(tmp_path, "file\tslide\na.jpg\tP1\n")
    assert not read.refresh()
    (tmp_path / "manifest.tsv").write_text("file\tslide\na.jpg\tP2 \n")
    assert read.refresh()
    assert read.of("a.jpg") == "P2"
    (tmp_path / "manifest.tsv").write_bytes(b"file\tslide\n\xff\n")
    with pytest.raises(PermanentError):
        read.refresh()


@pytest.mark.parametrize("written", ["STAT", "stat", " Stat ", '"STAT"'])
def test_one_urgent_line_makes_its_slide_urgent(tmp_path, written):
    text = f"file\tPriority\tslide\na.jpg\t\tS1\nb.jpg\t{written}\tS1\nc.jpg\troutine\tS2\n"
    read = labels(tmp_path, text)
    assert (read.priority_of("S1"), read.priority_of("S2")) == ("stat", "routine")
    assert read.priority_of("not listed") == "routine"


def test_without_the_column_nothing_is_urgent(tmp_path):
    assert labels(tmp_path, "file\tslide\na.jpg\tS1\n").priority_of("S1") == "routine"


def test_a_priority_that_nobody_knows_is_told_with_its_line(tmp_path):
    with pytest.raises(PermanentError, match="'soon' in line 3: write STAT") as caught:
        labels(tmp_path, "file\tslide\tpriority\na.jpg\tS1\t\nb.jpg\tS1\tsoon\n")
    assert caught.value.reason == "bad-manifest"
