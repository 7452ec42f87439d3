"""People's verdicts on labels: read strictly, and honoured by whoever reads samples."""

import csv

import pytest

from hemaline_shared.errors import PermanentError
from hemaline_train.data.catalogue import KNOWN
from hemaline_train.data.reviewed import COLUMNS, FILE, read_reviews, verdicts_on
from hemaline_train.data.samples import read_samples
from hemaline_train.data.tasks import CELL_CLASS, CELL_FINE

AML = ("file", "label", "split", "group", "diagnosis")


def table(file, *rows):
    lines = ["\t".join(COLUMNS), *("\t".join(row) for row in rows)]
    file.write_text("\n".join(lines) + "\n")
    return file


def cells(folder, *labels):
    lines = ["\t".join(AML)]
    lines += [f"{n}.jpg\t{label}\ttrain\tP1\tAPL" for n, label in enumerate(labels)]
    (folder / "manifest.tsv").write_text("\n".join(lines) + "\n")
    return folder


def verdict(number, label, word, other=""):
    return ("aml-deepapl", f"{number}.jpg", label, word, other, "as it looks", "somebody")


def read(folder, **how):
    samples = read_samples(KNOWN["aml-deepapl"], folder, **how)
    return {sample.path.name: dict(sample.labels) for sample in samples}


def test_a_dropped_picture_is_no_sample(tmp_path):
    cells(tmp_path, "eosinophil", "blast")
    table(tmp_path / FILE.name, verdict(0, "eosinophil", "drop"))
    assert list(read(tmp_path)) == ["1.jpg"]


def test_another_label_counts_in_every_task(tmp_path):
    cells(tmp_path, "eosinophil")
    table(tmp_path / FILE.name, verdict(0, "eosinophil", "other", "promyelocyte"))
    assert read(tmp_path)["0.jpg"] == {
        "cell-fine": "promyelocyte",
        "cell-class": "immature-granulocyte",
        "apl": "APL",
    }


@pytest.mark.parametrize("word", ["keep", "unsure"])
def test_what_is_right_or_unsure_stays_as_it_came(tmp_path, word):
    cells(tmp_path, "eosinophil")
    table(tmp_path / FILE.name, verdict(0, "eosinophil", word))
    assert read(tmp_path)["0.jpg"]["cell-fine"] == "eosinophil"


def test_the_labels_as_they_come_can_be_had(tmp_path):
    cells(tmp_path, "eosinophil")
    table(tmp_path / FILE.name, verdict(0, "eosinophil", "drop"))
    assert read(tmp_path, reviewed=False)["0.jpg"]["cell-fine"] == "eosinophil"


def test_a_verdict_on_a_label_that_has_changed_since_says_nothing(tmp_path):
    cells(tmp_path, "blast")
    table(tmp_path / FILE.name, verdict(0, "eosinophil", "drop"))
    assert read(tmp_path)["0.jpg"]["cell-fine"] == "blast"


def test_another_label_that_no_task_knows_is_refused(tmp_path):
    cells(tmp_path, "eosinophil")
    table(tmp_path / FILE.name, verdict(0, "eosinophil", "other", "ufo"))
    with pytest.raises(PermanentError, match=r"as reviewed.*ufo") as refused:
        read(tmp_path)
    assert refused.value.reason == "unknown-label"


def test_a_row_without_a_verdict_is_passed_over(tmp_path):
    assert read_reviews(table(tmp_path / "t.tsv", verdict(0, "blast", ""))) == {}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([verdict(0, "blast", "wrong")], "'wrong', and not one of keep, drop, other, unsure"),
        ([verdict(0, "blast", "other")], "if, and only if"),
        ([verdict(0, "blast", "drop", "monocyte")], "if, and only if"),
        ([verdict(0, "blast", "drop"), verdict(0, "blast", "keep")], "has a verdict already"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(tmp_path, rows, said):
    with pytest.raises(PermanentError, match=said) as refused:
        read_reviews(table(tmp_path / "t.tsv", *rows))
    assert refused.value.reason == "review"


def test_the_verdicts_that_ship_speak_of_known_sets_and_labels_and_say_why_and_by_whom():
    with FILE.open(newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    assert rows
    for row in rows:
        assert row["data_set"] in KNOWN
        assert row["label"] in (*CELL_FINE.labels, *CELL_CLASS.labels)
        assert row["other"] in ("", *CELL_FINE.labels, *CELL_CLASS.labels)
        assert row["why"]
        assert row["by"]


def test_the_verdicts_that_ship_are_found_by_the_set_s_name(tmp_path):
    with FILE.open(newline="") as lines:
        first = next(csv.DictReader(lines, delimiter="\t"))
    assert verdicts_on(first["data_set"], tmp_path)[first["file"]].verdict == first["verdict"]
    assert not verdicts_on("no-such-set", tmp_path)
