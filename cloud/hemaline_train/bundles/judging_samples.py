"""The samples that judged a bundle's networks: kept from the training of each."""

from pathlib import Path

import numpy as np

from hemaline_shared.errors import PermanentError
from hemaline_train.bundles.bundle import Bundle
from hemaline_train.data.samples import Sample
from hemaline_train.learning.config import RunConfig
from hemaline_train.learning.training_set import read_split


def judging_samples(bundle: Bundle, data: Path) -> list[Sample]:
    """Return the samples that none of the bundle's networks was trained on.

    Args:
        bundle: With the settings of its runs.
        data: Holds one folder a data set.

    Raises:
        PermanentError: `other-bundle`: the networks kept not the same from training; or the data
            cannot be read.
    """
    configs = [RunConfig.model_validate(config) for config in bundle.configs]
    if not configs or any(_kept(one) != _kept(configs[0]) for one in configs):
        raise PermanentError("other-bundle", "The networks did not keep the same from training.")
    split = read_split(configs[0], data)
    return [split.samples[place] for place in np.flatnonzero(~split.trained).tolist()]


def _kept(config: RunConfig) -> tuple[object, ...]:
    return config.fold, config.folds, config.data_sets.keys()
