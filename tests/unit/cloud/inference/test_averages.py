"""What is averaged over cells or fields says how many they are, and how sure the mean is."""

from decimal import Decimal

import numpy as np
import pytest

from hemaline_cloud.database.tally import AnswerSum, FieldCount, SlideTally
from hemaline_cloud.inference.aggregate import averaged_tasks, summarise
from hemaline_cloud.inference.averages import (
    all_subtype,
    apl_mean,
    mean_and_half_width,
    t_quantile,
)
from hemaline_cloud.inference.roles import BundleRoles, roles_of
from parts.bundles import EVERY_TASK, tiny_manifest

_ROLES = BundleRoles(True, ("blast",), frozenset({"blast"}), apl_point=0.6)


def _sum(values, task="apl", label="APL"):
    decimals = [Decimal(str(value)) for value in values]
    return AnswerSum(task, label, len(values), sum(decimals), sum(x * x for x in decimals))


def _summary(values, roles=_ROLES, **more):
    tally = SlideTally([], [FieldCount("1", "c", "e", 1)], [_sum(values)], **more)
    return summarise(tally, {}, roles)


@pytest.mark.parametrize(
    ("freedom", "published"),
    [(9, 2.2622), (19, 2.0930), (29, 2.0452), (99, 1.9842), (10**6, 1.9600)],
)
def test_the_quantile_is_students(freedom, published):
    assert t_quantile(freedom) == pytest.approx(published, abs=5e-4)


def test_the_interval_is_students_over_the_cells():
    values = [0.2, 0.9, 0.7, 0.4, 0.95, 0.6, 0.3, 0.8, 0.5, 0.65]
    mean, half = mean_and_half_width(_sum(values))
    assert mean == pytest.approx(np.mean(values))
    assert half == pytest.approx(2.2622 * np.std(values, ddof=1) / np.sqrt(10), rel=1e-3)


def test_cells_that_all_say_the_same_have_no_width_and_no_negative_variance():
    assert mean_and_half_width(_sum([0.1] * 11)) == (0.1, 0.0)


def test_fewer_than_ten_cells_have_no_mean():
    assert apl_mean([_sum([0.9] * 9)]) is None
    assert apl_mean([_sum([0.9] * 10)]).cells == 10


def test_the_interval_stays_between_0_and_1():
    apl = apl_mean([_sum([1.0] * 9 + [0.2])])
    assert 0 <= apl.low < apl.probability < apl.high == 1


def test_a_mean_at_the_operating_point_is_an_emergency():
    summary = _summary([0.6] * 12)
    assert summary.flags[0].code == "apl-suspected"
    assert summary.flags[0].text == (
        "If this is AML, it may be APL, an emergency: 60% on average over 12 immature cells "
        "(95 % interval 60% to 60%), flagged from 60% on. Research use only."
    )
    assert summary.urgency == 3


def test_a_mean_below_the_operating_point_is_told_and_raises_nothing():
    summary = _summary([0.59] * 12)
    assert summary.apl.probability == pytest.approx(0.59)
    assert "apl-suspected" not in [flag.code for flag in summary.flags]
    assert summary.urgency == 0


def test_an_untrained_bundle_has_no_mean():
    untrained = BundleRoles(trained=False)
    fields = [_sum([0.5], "all-subtype", "benign")]
    summary = _summary([0.9] * 12, untrained, field_answers=fields)
    assert (summary.apl, summary.all_subtype, summary.urgency) == (None, None, 0)


def test_subtypes_are_means_over_fields_the_likeliest_first():
    found = all_subtype(
        [
            _sum([0.1, 0.3], "all-subtype", "benign"),
            _sum([0.7, 0.5], "all-subtype", "pre-b"),
            _sum([0.2, 0.2], "all-subtype", "pro-b"),
        ]
    )
    assert found.fields == 2
    assert [share.label for share in found.shares] == ["pre-b", "benign", "pro-b"]
    assert found.shares[0].probability == pytest.approx(0.6)


def test_a_bundle_that_is_not_asked_has_neither():
    assert apl_mean([]) is None
    assert all_subtype([]) is None


def test_only_what_the_bundle_answers_is_averaged():
    every = tiny_manifest({"net.onnx": b""}, tasks=EVERY_TASK)
    assert averaged_tasks(every).of_cells == ("apl",)
    assert averaged_tasks(every).of_fields == ("all-subtype",)
    assert roles_of(every).apl_point == 0.5
    everybody = EVERY_TASK[2].model_copy(update={"asked_of": ()})
    careless = tiny_manifest({"net.onnx": b""}, tasks=(EVERY_TASK[0], everybody))
    assert averaged_tasks(careless).of_cells == (), "of mature cells the question is senseless"
    plain = tiny_manifest({"net.onnx": b""})
    assert averaged_tasks(plain).of_cells == averaged_tasks(plain).of_fields == ()
    assert roles_of(plain).apl_point is None
