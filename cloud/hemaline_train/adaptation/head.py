"""Fit a task's head to a few labelled cells, drawn towards what the shipped head says of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp

from hemaline_train.adaptation.graphs import Features

STRENGTH = 0.03
"""Of the pull towards the shipped head, for features of unit spread and classes that weigh as much
as their mean number of cells."""
_ROUNDS = 200


@dataclass(frozen=True, slots=True, eq=False)
class TaskHead:
    """One task's linear map of a network's pooled features.

    Attributes:
        weight: Shape (labels, channels).
        bias: Shape (labels,).
    """

    weight: NDArray[np.float64]
    bias: NDArray[np.float64]

    def logits(self, features: Features) -> NDArray[np.float64]:
        """Return the task's logits, shape (n, labels)."""
        answers: NDArray[np.float64] = features @ self.weight.T + self.bias
        return answers


def fit_head(
    shipped: TaskHead, features: Features, allowed: NDArray[np.bool_], strength: float = STRENGTH
) -> TaskHead:
    """Return the head that makes the labels likeliest, not far from the shipped one.

    The likelihood of a coarse label is that of all fine labels which merge into it, so that a fine
    head learns from coarse labels, too. Classes weigh the same. What is penalised is the change of
    the head (L2), so that no cells at all leave it as it ships (Chelba and Acero 2006,
    "Adaptation of maximum entropy capitalizer: Little data can help a lot").

    Args:
        shipped: With its temperature worked in.
        features: Of the labelled cells, shape (n, channels); n may be 0.
        allowed: Shape (n, labels): the labels that a cell may have by what it was called.
        strength: Of the pull towards the shipped head.
    """
    if not len(features):
        return shipped
    middle = features.mean(axis=0)
    spread = max(float(np.sqrt(((features - middle) ** 2).sum(axis=1).mean())), 1e-9)
    # The change lies in the span of what is seen: few cells need few directions.
    _, _, axes = np.linalg.svd((features - middle) / spread, full_matrices=False)
    seen = np.hstack([(features - middle) / spread @ axes.T, np.ones((len(features), 1))])
    said = shipped.logits(features)
    weights = _class_weights(allowed)
    shape = (allowed.shape[1], seen.shape[1])

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        change = flat.reshape(shape)
        scores = said + seen @ change.T
        whole = logsumexp(scores, axis=1)
        right = np.where(allowed, scores, -np.inf)
        called = logsumexp(right, axis=1)
        off = np.exp(scores - whole[:, None]) - np.exp(right - called[:, None])
        value = weights @ (whole - called) + strength / 2 * float((change**2).sum())
        return float(value), ((off * weights[:, None]).T @ seen + strength * change).ravel()

    start = np.zeros(shape).ravel()
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": _ROUNDS})
    change = found.x.reshape(shape)
    slope = change[:, :-1] @ axes / spread
    return TaskHead(shipped.weight + slope, shipped.bias + change[:, -1] - slope @ middle)


def _class_weights(allowed: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return each cell's weight, shape (n,): every class has the same sum, and the mean is 1."""
    _, kinds, counts = np.unique(allowed, axis=0, return_inverse=True, return_counts=True)
    weights: NDArray[np.float64] = (len(allowed) / len(counts)) / counts[kinds.ravel()]
    return weights
