"""System H's way of deciding: normal or not, leukaemic or not, then which of five normal types."""

import numpy as np
from numpy.typing import NDArray

from hemaline_train.classical.features import Matrix
from hemaline_train.classical.learning import Answer, Lesson, learn_mlp, learn_svm

NORMAL = ("lymphocyte", "neutrophil", "monocyte", "eosinophil", "basophil")
"""The five types of healthy blood; every other label is abnormal in it, a blast leukaemic."""


def learn_cascade(lesson: Lesson) -> Answer:
    """Learn an SVM for normal or not, one among the abnormal, and a network for the normal types.

    The probability of a label is the product of those on the way to it.
    """
    names = np.array(lesson.labels)[lesson.targets]
    normal = np.isin(names, NORMAL)
    abnormal_labels = [name for name in lesson.labels if name not in NORMAL]
    normal_labels = [name for name in lesson.labels if name in NORMAL]
    sides = Lesson(lesson.rows, normal.astype(np.intp), lesson.groups, ("abnormal", "normal"))
    gate = learn_svm(sides)
    abnormal = learn_svm(lesson.part(~normal, abnormal_labels))
    five = learn_mlp(lesson.part(normal, normal_labels))
    left = [lesson.labels.index(name) for name in abnormal_labels]
    right = [lesson.labels.index(name) for name in normal_labels]

    def answer(rows: Matrix) -> NDArray[np.float64]:
        side = gate(rows)
        probabilities = np.zeros((len(rows), len(lesson.labels)))
        probabilities[:, left] = side[:, :1] * abnormal(rows)
        probabilities[:, right] = side[:, 1:] * five(rows)
        return probabilities

    return answer
