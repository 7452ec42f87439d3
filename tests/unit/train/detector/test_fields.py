"""Reading labelled fields for a detector, and which of them judge."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from drawn_fields import draw_field
from hemaline_shared.errors import PermanentError
from hemaline_train.detector.config import DetectorConfig
from hemaline_train.detector.fields import RED, WHITE, learned_fields, split_images
from hemaline_train.toml_file import read_toml

CONFIGS = Path(__file__).parents[4] / "cloud/hemaline_train/configs/detector"


@pytest.fixture
def drawn(tmp_path) -> Path:
    """Six fields of three groups to train on, one to judge."""
    folder = tmp_path / "drawn"
    folder.mkdir()
    lines = ["file\tsplit\tgroup\tbbox"]
    for number in range(7):
        field = draw_field(320, 240, cells=1, seed=number)
        cv2.imwrite(str(folder / f"{number}.png"), field.image[..., ::-1])
        box = field.boxes[0]
        edges = f"{box.left},{box.top},{box.right},{box.bottom}"
        split = "val" if number == 6 else "train"
        lines.append(f"{number}.png\t{split}\tg{number // 2}\tWBC:{edges};RBC:1,1,9,9")
    (folder / "manifest.tsv").write_text("\n".join(lines) + "\n")
    return tmp_path


def config(**changes) -> DetectorConfig:
    return DetectorConfig(name="tiny", data_sets={"drawn": 1.0}, **changes)


def test_a_field_keeps_its_boxes_and_kinds(drawn):
    trained, _ = split_images(config(), drawn)

    field = learned_fields(trained["drawn"][:1])[0]

    assert field.kinds.tolist() == [WHITE, RED]
    left, top, right, bottom = field.boxes[0].round().astype(int)
    assert field.density[top:bottom, left:right].mean() > 2 * field.density.mean()


def test_the_manifest_says_what_judges(drawn):
    trained, judged = split_images(config(), drawn)

    assert (len(trained["drawn"]), [one.path.name for one in judged["drawn"]]) == (6, ["6.png"])


def test_folds_keep_groups_whole_and_leave_val_alone(drawn):
    trained, judged = split_images(config(fold=1, folds=3), drawn)

    assert {one.group for one in judged["drawn"]} == {"g1"}
    assert {one.group for one in trained["drawn"]} == {"g0", "g2"}


def test_data_without_an_image_to_train_on_are_refused(drawn):
    manifest = drawn / "drawn" / "manifest.tsv"
    manifest.write_text(manifest.read_text().replace("train", "val"))

    with pytest.raises(PermanentError, match="no image to train on"):
        split_images(config(), drawn)


def test_data_without_an_image_to_judge_by_are_refused(drawn):
    manifest = drawn / "drawn" / "manifest.tsv"
    manifest.write_text(manifest.read_text().replace("val", "heldout"))

    with pytest.raises(PermanentError, match="No image judges tiny: drawn has none of split val"):
        split_images(config(), drawn)


def test_a_part_without_a_group_judges_nothing(drawn):
    with pytest.raises(PermanentError, match="in part 4 of the groups"):
        split_images(config(fold=4, folds=5), drawn)


def test_an_image_that_is_none_is_named(drawn):
    (drawn / "drawn" / "0.png").write_bytes(b"no image")
    trained, _ = split_images(config(), drawn)

    with pytest.raises(PermanentError, match=r"0\.png"):
        learned_fields(trained["drawn"])


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.toml")), ids=lambda file: file.stem)
def test_a_shipped_config_is_right_and_trains_on_no_cross_laboratory_set(file):
    settings = read_toml(file, DetectorConfig)

    assert settings.name == file.stem
    assert not {"chula-wbc5", "wbc-seg"} & set(settings.data_sets)


def test_an_unknown_key_is_named(tmp_path):
    file = tmp_path / "wrong.toml"
    file.write_text('name = "wrong"\nspeed = 3\n[data_sets]\nbccd = 1.0\n')

    with pytest.raises(PermanentError, match="speed"):
        read_toml(file, DetectorConfig)


def test_a_config_that_is_missing_is_named(tmp_path):
    with pytest.raises(PermanentError, match="cannot be read"):
        read_toml(tmp_path / "none.toml", DetectorConfig)


def test_density_is_absorbance_and_not_colour(drawn):
    trained, _ = split_images(config(), drawn)

    assert np.median(learned_fields(trained["drawn"][:1])[0].density) < 0.4
