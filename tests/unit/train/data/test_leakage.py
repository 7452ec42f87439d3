"""The leakage check: what it refuses, and how groups hang together."""

from pathlib import Path

import numpy as np
import pytest

from hemaline_shared.errors import PermanentError

pytest.importorskip("sklearn", reason="make setup-train brings sklearn")

from hemaline_train.data.catalogue import KNOWN
from hemaline_train.data.leakage import connected_groups, near_duplicates, refuse_leaks
from hemaline_train.data.samples import Sample


def sample(*groups, name="a.jpg"):
    return Sample(KNOWN["aml-deepapl"], Path(name), "train", groups, None, 0.1, {})


def textures(count):
    dice = np.random.default_rng(0)
    coarse = dice.integers(0, 255, (count, 14, 14, 3)).astype(np.uint8)
    return coarse.repeat(16, axis=1).repeat(16, axis=2)


def test_a_patient_on_both_sides_is_refused_by_name():
    samples = [sample("Patient_01"), sample("Patient_01")]
    with pytest.raises(PermanentError, match="Patient_01") as refused:
        refuse_leaks(samples, np.array([True, False]), textures(2))
    assert refused.value.reason == "leak"


def test_an_overlap_on_both_sides_is_refused_although_the_slides_differ():
    samples = [sample("slide=1", "overlap=7"), sample("slide=2", "overlap=7")]
    with pytest.raises(PermanentError, match="overlap=7"):
        refuse_leaks(samples, np.array([True, False]), textures(2))


def test_a_copy_with_other_brightness_on_the_other_side_is_refused_by_file():
    pictures = textures(2)
    pictures[1] = (pictures[0] * 0.9 + 10).astype(np.uint8)
    samples = [sample("A", name="one.jpg"), sample("B", name="two.jpg")]
    with pytest.raises(PermanentError, match=r"two\.jpg and one\.jpg"):
        refuse_leaks(samples, np.array([True, False]), pictures)


def test_different_pictures_of_different_patients_pass():
    refuse_leaks([sample("A"), sample("B")], np.array([True, False]), textures(2))


def test_copies_on_the_same_side_are_no_leak():
    pictures = textures(2).repeat(2, axis=0)
    assert near_duplicates(pictures, np.array([True, True, False, False])) == []


def test_groups_that_share_a_member_are_connected():
    samples = [sample("a", "x"), sample("b", "x"), sample("b", "y"), sample("c", "z")]
    numbers = connected_groups(samples)
    assert numbers[0] == numbers[1] == numbers[2] != numbers[3]
