"""Read a bundle's network back into one that can be trained: kernels, norms and heads."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import nn

from hemaline_shared.errors import PermanentError
from hemaline_shared.logits import slices
from hemaline_shared.model_manifest import MANIFEST_FILE, Manifest
from hemaline_train.learning.networks import Network

_DEAD = 1e-3
"""A channel that varies less than this on real crops keeps its kernel's size."""
_BATCH = 32


def load_shipped_weights(
    network: Network, file: Path, pixels: torch.Tensor, labels: Mapping[str, Sequence[str]]
) -> None:
    """Let a network answer as a bundle's graph does, and train as if it had never been exported.

    An exported graph has most normalisations folded into the kernels before them. What those
    kernels give on real crops sets new ones: the answer stays, and training finds every channel
    with a mean of 0 and a variance of 1 again. Eight-bit kernels come back as they were rounded.

    Args:
        network: Of the graph's architecture.
        file: An ONNX graph beside its bundle's manifest.
        pixels: Crops of 0..1 that are trained on, shape (n, 3, CROP_PX, CROP_PX).
        labels: Task name -> the network's labels; what the bundle has not keeps random weights.

    Raises:
        PermanentError: `weights`: the file is missing or holds another network.
    """
    try:
        model = onnx.load(file, load_external_data=False)
        tensors = constants_of(model)
        manifest = (file.parent / MANIFEST_FILE).read_text(encoding="utf-8")
        tasks = {task.name: task.labels for task in Manifest.model_validate_json(manifest).tasks}
        _fill_backbone(network, model, tensors, pixels)
        _fill_heads(network, tensors, tasks, labels)
    except (OSError, LookupError, RuntimeError, ValueError) as error:
        raise PermanentError(
            "weights", f"{file} does not hold a bundle's network of this architecture: {error}"
        ) from error


def constants_of(model: onnx.ModelProto) -> dict[str, torch.Tensor]:
    """Return name -> values of a graph's constants, those of eight bits as what they stand for."""
    found = {
        tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy())
        for tensor in model.graph.initializer
    }
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in found:
            small, scale = found[node.input[0]].double(), found[node.input[1]].double()
            zero = found[node.input[2]].double() if len(node.input) > 2 else torch.zeros(())
            shape = (-1, *[1] * (small.ndim - 1)) if scale.ndim else ()
            value = (small - zero.reshape(shape if zero.ndim else ())) * scale.reshape(shape)
            found[node.output[0]] = value.float()
    return found


def _taken_by(
    model: onnx.ModelProto, operator: str, tensors: Mapping[str, torch.Tensor]
) -> list[list[torch.Tensor]]:
    """Return what each node of one kind takes beside its maps, in the order in which they run.

    Names do not tell whose a constant is: equal ones share the name of one of them.
    """
    return [
        [tensors[name] for name in node.input[1:]]
        for node in model.graph.node
        if node.op_type == operator
    ]


@torch.no_grad()
def _fill_backbone(
    network: Network,
    model: onnx.ModelProto,
    tensors: Mapping[str, torch.Tensor],
    pixels: torch.Tensor,
) -> None:
    kernels, norms, folded = _run_order(network, pixels[:1])
    *stored, _head = _taken_by(model, "Conv", tensors)
    for kernel, (weight, *_) in zip(kernels, stored, strict=True):
        kernel.weight.copy_(weight)
    biases = dict(zip(kernels, stored, strict=True))
    for norm, kernel in folded.items():
        _pass_on(norm, biases[kernel][1])
    alone = [norm for norm in norms if norm not in folded]
    given = _taken_by(model, "BatchNormalization", tensors)
    for norm, parts in zip(alone, given, strict=True):
        for mine, theirs in zip((norm.weight, norm.bias, *_statistics(norm)), parts, strict=True):
            mine.copy_(theirs)
    for norm, (mean, variance) in _seen(network, folded, pixels).items():
        _unfold(folded[norm], norm, mean, variance)


def _run_order(
    network: Network, pixels: torch.Tensor
) -> tuple[list[nn.Conv2d], list[nn.BatchNorm2d], dict[nn.BatchNorm2d, nn.Conv2d]]:
    """Return kernels and normalisations as they run, and norm -> the kernel that it follows."""
    given: dict[int, tuple[nn.Conv2d, torch.Tensor]] = {}
    kernels: list[nn.Conv2d] = []
    norms: list[nn.BatchNorm2d] = []
    pairs: dict[nn.BatchNorm2d, nn.Conv2d] = {}

    def leave(kernel: nn.Conv2d, _: object, out: torch.Tensor) -> None:
        kernels.append(kernel)
        # The tensor is kept, lest another get its place in memory.
        given[id(out)] = (kernel, out)

    def enter(norm: nn.BatchNorm2d, taken: tuple[torch.Tensor]) -> None:
        norms.append(norm)
        if id(taken[0]) in given:
            pairs[norm] = given[id(taken[0])][0]

    with _hooked(network, leave, enter):
        network.maps(pixels)
    return kernels, norms, pairs


def _statistics(norm: nn.BatchNorm2d) -> tuple[torch.Tensor, torch.Tensor]:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return norm.running_mean, norm.running_var


def _pass_on(norm: nn.BatchNorm2d, bias: torch.Tensor) -> None:
    """Let a normalisation add a bias and do nothing else."""
    mean, variance = _statistics(norm)
    mean.zero_()
    variance.fill_(1 - norm.eps)
    norm.weight.fill_(1)
    norm.bias.copy_(bias)


def _seen(
    network: Network, norms: Collection[nn.BatchNorm2d], pixels: torch.Tensor
) -> dict[nn.BatchNorm2d, tuple[torch.Tensor, torch.Tensor]]:
    """Return each normalisation's mean and variance of what comes to it, by channel."""
    sums: dict[nn.BatchNorm2d, list[torch.Tensor]] = {norm: [] for norm in norms}

    def enter(norm: nn.BatchNorm2d, taken: tuple[torch.Tensor]) -> None:
        if norm in sums:
            x = taken[0].double()
            sums[norm].append(torch.stack([x.mean(dim=(0, 2, 3)), x.square().mean(dim=(0, 2, 3))]))

    with _hooked(network, lambda *_: None, enter):
        for batch in torch.split(pixels, _BATCH):
            network.maps(batch)
    means = {norm: torch.stack(parts).mean(dim=0) for norm, parts in sums.items()}
    return {norm: (mean, square - mean**2) for norm, (mean, square) in means.items()}


def _unfold(
    kernel: nn.Conv2d, norm: nn.BatchNorm2d, mean: torch.Tensor, variance: torch.Tensor
) -> None:
    size = variance.clamp(min=0).sqrt()
    size = torch.where(size < _DEAD, torch.ones_like(size), size)
    kernel.weight.div_(size.float()[:, None, None, None])
    running_mean, running_variance = _statistics(norm)
    running_mean.copy_(mean / size)
    running_variance.fill_(1)
    norm.weight.copy_(size * (1 + norm.eps) ** 0.5)
    norm.bias.add_(mean)


@contextmanager
def _hooked(
    network: Network, leave: Callable[..., None], enter: Callable[..., None]
) -> Iterator[None]:
    """Tell of what leaves each kernel and what enters each normalisation, in evaluation mode."""
    training = network.training
    network.eval()
    hooks = [
        layer.register_forward_hook(leave)
        if isinstance(layer, nn.Conv2d)
        else layer.register_forward_pre_hook(enter)
        for layer in network.backbone.modules()
        if isinstance(layer, nn.Conv2d | nn.BatchNorm2d)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        network.train(training)


@torch.no_grad()
def _fill_heads(
    network: Network,
    tensors: Mapping[str, torch.Tensor],
    known: Mapping[str, Sequence[str]],
    wanted: Mapping[str, Sequence[str]],
) -> None:
    """Take over the labels that both know; the others keep their random rows."""
    theirs = slices({task: len(labels) for task, labels in known.items()})
    for task, mine in network.slices().items():
        labels = known.get(task, ())
        for place, label in enumerate(wanted[task]):
            if label in labels:
                row = theirs[task].start + list(labels).index(label)
                network.head.weight[mine.start + place].copy_(tensors["weight"][row].flatten())
                network.head.bias[mine.start + place].copy_(tensors["bias"][row])
