"""What a run needs of its data before it begins: labels that train, tasks that are judged."""

import logging

import pytest

pytest.importorskip("torch", reason="make setup-train brings torch")
pytest.importorskip("sklearn", reason="make setup-train brings sklearn")

from hemaline_shared.errors import PermanentError
from hemaline_train.learning.config import RunConfig
from hemaline_train.learning.gaps import refuse_gaps
from hemaline_train.learning.training_set import read_split

OWN = {"own_task": "leukaemia", "own_labels": ["healthy", "ALL", "CLL"]}


def config(data_set, *tasks, **changes):
    settings = {"name": "one", "architecture": "resnet34", "data_sets": {data_set: 1.0}}
    return RunConfig.model_validate(settings | {"tasks": dict.fromkeys(tasks, 1.0)} | changes)


def manifest(data, name, *rows, columns=("label", "split", "diagnosis")):
    """Write a manifest without pictures: each row a patient of their own."""
    (data / name).mkdir()
    lines = ["\t".join(("file", "group", *columns))]
    lines += ["\t".join((f"{number}.png", f"P{number}", *row)) for number, row in enumerate(rows)]
    (data / name / "manifest.tsv").write_text("\n".join(lines) + "\n")


def of_lab(data, *rows):
    manifest(data, "our-lab", *rows, columns=("label", "split"))


def check(config, data):
    refuse_gaps(config, read_split(config, data))


def refused(config, data):
    with pytest.raises(PermanentError) as error:
        check(config, data)
    assert error.value.reason == "no-samples"
    return str(error.value)


def test_a_lab_s_label_that_no_picture_trains_is_named(tmp_path):
    of_lab(tmp_path, ("healthy", "train"), ("ALL", "train"), ("CLL", "val"))
    assert "No picture of CLL trains" in refused(config("our-lab", "leukaemia", **OWN), tmp_path)


def test_a_lab_s_labels_that_all_train_and_one_that_judges_are_enough(tmp_path, caplog):
    rows = [(label, "train") for label in OWN["own_labels"]]
    of_lab(tmp_path, *rows, ("ALL", "val"))
    check(config("our-lab", "leukaemia", **OWN), tmp_path)
    assert not caplog.records


def test_a_task_that_nothing_judges_is_named(tmp_path):
    of_lab(tmp_path, *((label, "train") for label in OWN["own_labels"]))
    message = refused(config("our-lab", "leukaemia", **OWN), tmp_path)
    assert message.startswith("No picture judges leukaemia: of those outside split train")


def test_a_known_task_that_nothing_judges_is_named_too(tmp_path):
    manifest(
        tmp_path, "aml-deepapl", ("blast", "train", "APL"), ("lymphocyte", "val", "AML-nonAPL")
    )
    message = refused(config("aml-deepapl", "cell-class", "apl"), tmp_path)
    assert "No picture judges apl" in message


def test_a_task_that_nothing_trains_is_named(tmp_path):
    manifest(tmp_path, "aml-deepapl", ("blast", "train", "APL"), ("blast", "val", "APL"))
    message = refused(config("aml-deepapl", "cell-class", "all-subtype"), tmp_path)
    assert message == "No picture that trains has a label of all-subtype."


def test_known_labels_that_no_picture_trains_are_logged_in_one_line(tmp_path, caplog):
    manifest(tmp_path, "aml-deepapl", ("blast", "train", "APL"), ("blast", "val", "APL"))
    with caplog.at_level(logging.WARNING):
        check(config("aml-deepapl", "cell-class", "apl"), tmp_path)
    (line,) = caplog.messages
    assert "cell-class (immature-granulocyte, neutrophil, lymphocyte" in line
    assert "apl (AML-nonAPL)" in line
    assert " blast" not in line.replace("(", " ")


def test_a_fold_that_keeps_a_label_s_only_patients_is_refused(tmp_path):
    rows = [(label, "train") for label in ("healthy", "ALL") for _ in range(5)]
    of_lab(tmp_path, *rows, *[("CLL", "train")] * 5)
    manifest_file = tmp_path / "our-lab" / "manifest.tsv"
    text = manifest_file.read_text()
    for number in range(10, 15):
        text = text.replace(f"\tP{number}\t", "\tone\t")
    manifest_file.write_text(text)
    run = config("our-lab", "leukaemia", **OWN)
    told = []
    for fold in range(5):
        try:
            check(run.for_fold(fold), tmp_path)
        except PermanentError as error:
            told.append(str(error))
    assert len(told) == 1
    assert "No picture of CLL trains" in told[0]
