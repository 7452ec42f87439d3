"""The bundle that ships, on real crops of patients that training never saw."""

import numpy as np
import onnxruntime
import pytest

from conftest import missing
from hemaline_cloud.inference.bundle import load_bundle
from hemaline_cloud.inference.folding import fold, halved, is_quantised
from hemaline_cloud.inference.graph import INPUT_NAME, LOGITS_NAME
from hemaline_cloud.inference.shipped import shipped_bundle
from hemaline_train.data.catalogue import known_data_set
from hemaline_train.data.prepare import pixels_of
from hemaline_train.data.samples import read_samples

CROPS = 48
NEARLY_A_TIE = 0.1
"""Two classes whose probabilities are so close are told apart by chance."""


@pytest.fixture(scope="module")
def bundle():
    shipped = shipped_bundle()
    if shipped is None:
        missing("no model bundle ships in this checkout")
    return load_bundle(shipped)


@pytest.fixture(scope="module")
def crops(data_dir):
    name = "aml-deepapl"
    samples = read_samples(known_data_set(name), data_dir / name)
    unseen = [sample for sample in samples if sample.split == "val"]
    return np.stack([pixels_of(sample) for sample in unseen[:: len(unseen) // CROPS][:CROPS]])


def logits(graph, crops):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # more would wait for each other, spinning, beside other tests
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    parts = [session.run([LOGITS_NAME], {INPUT_NAME: part})[0] for part in np.split(crops, 6)]
    return np.concatenate(parts)


def softmax(values):
    raised = np.exp(values - values.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def test_eight_bits_and_what_a_gpu_runs_give_the_same_answers(bundle, crops):
    for name, graph in bundle.graphs.items():
        assert is_quantised(graph)
        small, half = logits(graph, crops), logits(halved(fold(graph)), crops)
        assert half.dtype == np.float32
        for task, part in bundle.manifest.slices().items():
            # A processor without VNNI adds up eight bits less finely: near ties may turn.
            sure = softmax(half[:, part])
            answer = small[:, part].argmax(axis=1)[:, None]
            missed = sure.max(axis=1) - np.take_along_axis(sure, answer, axis=1)[:, 0]
            same = (missed <= NEARLY_A_TIE).mean()
            assert same >= 0.95, f"{name}, {task}: {same:.2f} of {CROPS} answers are the same"


def test_its_errors_are_known_for_every_class(bundle):
    """Any class may be one of unknown errors: shares would be told as nothing to everything."""
    naming = bundle.manifest.cell_task
    assert naming.confusion.counts.keys() == set(naming.labels)
