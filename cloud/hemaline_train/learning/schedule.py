"""How fast a run learns and how long its average remembers, step by step."""

import math

from hemaline_train.learning.config import RunConfig


def learning_rate(config: RunConfig, step: int, steps: int) -> float:
    """Return the one-cycle rate: a cosine up to the peak, a cosine down to nearly nothing."""
    peak, turn = config.learning_rate, config.warm_up * steps
    if step < turn:
        return peak * (0.04 + 0.96 * 0.5 * (1 - math.cos(math.pi * step / turn)))
    left = (step - turn) / max(steps - turn, 1)
    return peak * max(0.5 * (1 + math.cos(math.pi * left)), 1e-4)


def average_decay(config: RunConfig, step: int) -> float:
    """Return the average's decay, short at first so that random weights are soon forgotten."""
    return min(config.average_decay, (1 + step) / (10 + step))
