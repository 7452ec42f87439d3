"""From a PyTorch module to an ONNX graph's bytes, the same wherever and whenever they are made."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import onnx
import torch
from torch import nn


def to_onnx(
    module: nn.Module,
    example: torch.Tensor,
    *,
    opset: int,
    takes: str,
    gives: Sequence[str],
    any_batch: bool = False,
) -> bytes:
    """Export a module of one input.

    Args:
        module: In evaluation mode.
        example: Of its input.
        opset: Of the graph's operators.
        takes: The input's name.
        gives: The outputs' names.
        any_batch: Whether the input's first dimension may have any size; else all are fixed.
    """
    with _quiet_exporter():
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            external_data=False,
            opset_version=opset,
            input_names=[takes],
            output_names=list(gives),
            dynamic_shapes=({0: torch.export.Dim("n")},) if any_batch else None,
            verbose=False,
        )
    assert program is not None
    return _without_notes(program.model_proto)


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """PyTorch's exporter warns of its own use of its own deprecated parts."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        log.setLevel(level)


def _without_notes(model: onnx.ModelProto) -> bytes:
    """The exporter's notes hold paths of the machine, which also change the graph's hash."""
    for noted in (model, model.graph, *model.graph.node, *model.graph.initializer):
        del noted.metadata_props[:]
        noted.doc_string = ""
    del model.graph.value_info[:]
    return bytes(model.SerializeToString())
