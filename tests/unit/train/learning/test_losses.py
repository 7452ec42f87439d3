"""The lesson: what counts, what does not, and how much the teacher takes."""

import pytest

torch = pytest.importorskip("torch", reason="make setup-train brings torch")
pytest.importorskip("monai", reason="make setup-train brings monai")
pytest.importorskip("sklearn", reason="make setup-train brings sklearn")

from hemaline_train.learning.losses import Faculty, Lesson, Targets
from hemaline_train.learning.networks import Answer, Network

HEADS = {"cells": slice(0, 3), "fields": slice(3, 5)}
BOTH = torch.ones(2, 2, dtype=torch.bool)


def shown(labels):
    return [Targets(torch.as_tensor(labels), torch.ones(len(labels)))]


def lesson(teacher_share=0.0, feature_weight=0.0, channels=None):
    return Lesson(
        HEADS,
        {"cells": 1.0, "fields": 1.0},
        smoothing=0.0,
        teacher_share=teacher_share,
        temperature=1.0,
        feature_weight=feature_weight,
        channels=channels,
    )


def answer(logits, features=None):
    features = torch.zeros(len(logits), 4) if features is None else features
    return Answer(torch.tensor(logits, requires_grad=True), features)


def test_a_head_learns_nothing_from_a_sample_without_its_label():
    given = answer([[1.0, 2.0, 3.0, 1.0, 2.0], [1.0, 2.0, 3.0, 1.0, 2.0]])
    lesson()(given, shown([[0, -1], [1, -1]]), BOTH, None).backward()
    assert given.logits.grad[:, 3:].abs().max() == 0
    assert given.logits.grad[:, :3].abs().max() > 0


def test_a_batch_without_any_label_has_no_loss():
    loss = lesson()(answer([[1.0] * 5] * 2), shown([[-1, -1]] * 2), BOTH, None)
    assert loss == 0


def test_copying_the_teacher_exactly_leaves_no_loss():
    logits = [[1.0, 2.0, 3.0, 1.0, 2.0], [3.0, 2.0, 1.0, 2.0, 1.0]]
    loss = lesson(1.0)(answer(logits), shown([[0, 0]] * 2), BOTH, answer(logits))
    assert float(loss.detach()) == pytest.approx(0, abs=1e-6)


def test_the_teacher_is_not_copied_on_pictures_that_the_task_never_sees():
    given = answer([[1.0] * 5] * 2)
    taught = answer([[9.0, 0.0, 0.0, 9.0, 0.0]] * 2)
    views = torch.tensor([[True, False], [True, False]])
    lesson(1.0)(given, shown([[-1, -1]] * 2), views, taught).backward()
    assert given.logits.grad[:, 3:].abs().max() == 0
    assert given.logits.grad[:, :3].abs().max() > 0


def test_features_that_point_elsewhere_cost():
    torch.manual_seed(0)
    pupil, teacher = torch.randn(2, 4), torch.randn(2, 6)
    given, taught = answer([[1.0] * 5] * 2, pupil), answer([[1.0] * 5] * 2, teacher)
    loss = lesson(1.0, 1.0, (4, 6))(given, shown([[-1, -1]] * 2), BOTH, taught)
    assert 0 < loss <= 2


def test_a_blended_picture_is_taught_both_labels_by_their_parts():
    logits = [[1.0, 2.0, 3.0, 0.0, 0.0]]
    one, two = torch.tensor([[0, -1]]), torch.tensor([[2, -1]])
    parts = [
        float(lesson()(answer(logits), shown(labels), BOTH, None).detach()) for labels in (one, two)
    ]
    blended = [Targets(one, torch.tensor([0.25])), Targets(two, torch.tensor([0.75]))]
    loss = float(lesson()(answer(logits), blended, BOTH, None).detach())
    assert loss == pytest.approx(0.25 * parts[0] + 0.75 * parts[1])


def test_teachers_answer_with_the_mean_of_their_logits():
    torch.manual_seed(0)
    teachers = [Network("resnet34", {"cells": 3}, 32).eval() for _ in range(2)]
    faculty, pixels = Faculty(teachers), torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        both, each = faculty(pixels), [teacher(pixels) for teacher in teachers]
    assert torch.allclose(both.logits, (each[0].logits + each[1].logits) / 2)
    assert both.features.shape == (1, faculty.channels)
