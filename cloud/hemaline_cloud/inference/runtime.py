"""Runs a bundle's networks with ONNX Runtime, on the device that was asked for and no other."""

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from hemaline_cloud.inference.bundle import ModelBundle
from hemaline_cloud.inference.folding import fold, halved, is_quantised, keeps_floats
from hemaline_cloud.inference.graph import INPUT_NAME, LOGITS_NAME, MAPS_NAME
from hemaline_shared.errors import PermanentError, TransientError
from hemaline_shared.first_look import answered_alone
from hemaline_shared.pixels.crops import CROP_PX

Device: TypeAlias = Literal["cpu", "cuda"]
Crops: TypeAlias = NDArray[np.uint8]
"""Shape (n, CROP_PX, CROP_PX, 3)."""
Logits: TypeAlias = NDArray[np.float32]
"""Shape (n, outputs): the logits of all tasks, one after the other."""
Maps: TypeAlias = NDArray[np.float32]
"""Shape (n, outputs, height, width): each output's activation map."""

_PROVIDERS: dict[Device, str] = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_QUIET = 3  # onnxruntime's log level for errors
_LOOKS = 4
"""Batches that are waited for at once, of more than one caller."""


_ALLOWED_DRIFT = 0.1
"""As a share of the largest logit: a device that fails gives garbage, not another rounding."""


class DeviceError(TransientError):
    """The device or its driver fails, whatever it is given: no field is to blame."""

    def __init__(self, message: str) -> None:
        super().__init__("device-failed", message)


@dataclass(frozen=True, slots=True, eq=False)
class Output:
    """What one network gave for a batch, picture by picture."""

    logits: Logits
    maps: Maps

    def of(self, pictures: slice | NDArray[np.bool_]) -> "Output":
        """Return what it gave for some of the pictures."""
        return Output(self.logits[pictures], self.maps[pictures])


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """What a bundle's networks gave for a batch.

    Attributes:
        outputs: Network name -> what it gave; zeros for a picture that it was not asked about.
        alone: Shape (n,): the cells and fields that the first network answered alone.
    """

    outputs: Mapping[str, Output]
    alone: NDArray[np.bool_]


class Networks:
    """A bundle's networks, side by side: each has its own thread and its share of the CPUs.

    Two networks at once on half the CPUs each beat one after the other on all of them: nothing
    waits for the slowest thread of every layer. More networks than CPUs share one thread for each
    CPU: whichever is free takes the next network, and no CPU waits for the slowest of them. So do
    networks that are asked one after another, by the bundle's first look.
    """

    def __init__(self, bundle: ModelBundle, device: Device) -> None:
        """Start the sessions and run each once.

        Raises:
            PermanentError: `cuda-unavailable` when CUDA was asked for and is not active,
                `bundle-graph` when a network does not run or gives no usable numbers.
        """
        self._threads = max(1, cpus() // len(bundle.graphs))
        self._sessions = {
            name: self._start(name, graph, device) for name, graph in bundle.graphs.items()
        }
        self._manifest = bundle.manifest
        in_turn = bundle.manifest.first_look is not None
        shared = (
            ThreadPoolExecutor(cpus(), "networks")
            if in_turn or len(bundle.graphs) > cpus()
            else None
        )
        self._looks = ThreadPoolExecutor(_LOOKS, "look")
        self._runners = {
            name: shared or ThreadPoolExecutor(1, f"network-{name}") for name in bundle.graphs
        }
        self._known = _known_crops()
        self._expected = self._try_out(bundle.manifest.outputs)

    def look(self, crops: Crops, cells: NDArray[np.bool_]) -> "Future[Looked]":
        """Start on a batch: all networks, or the first one and all where that is not enough.

        Of whole fields one or all are asked, as the bundle says, whatever they show.

        Args:
            crops: Shape (n, CROP_PX, CROP_PX, 3).
            cells: Shape (n,): which pictures are cells; the others are whole fields.
        """
        return self._looks.submit(self._look, crops, cells)

    def submit(self, crops: Crops) -> Mapping[str, "Future[Output]"]:
        """Start every network on a batch; return each one's coming output by its name."""
        return self._submit(crops, self._sessions)

    def _look(self, crops: Crops, cells: NDArray[np.bool_]) -> Looked:
        first, task = self._manifest.first_look, self._manifest.cell_task
        if first is None or task is None:
            return Looked(_results(self.submit(crops)), np.zeros(len(crops), np.bool_))
        outputs = _results(self._submit(crops, [first.network]))
        named = outputs[first.network].logits[:, self._manifest.slices()[task.name]]
        sure = answered_alone(first, task.name, task.labels, named)
        alone = np.where(cells, sure, self._manifest.fields_alone)
        if alone.all():
            return Looked(outputs, alone)
        others = [name for name in self._sessions if name != first.network]
        given = _results(self._submit(np.ascontiguousarray(crops[~alone]), others))
        return Looked(outputs | {name: _spread(one, ~alone) for name, one in given.items()}, alone)

    def _submit(self, crops: Crops, names: Iterable[str]) -> Mapping[str, "Future[Output]"]:
        return {
            name: self._runners[name].submit(_run, self._sessions[name], crops) for name in names
        }

    def logits(self, crops: Crops) -> dict[str, Logits]:
        """Run every network on a batch and wait."""
        return {name: future.result().logits for name, future in self.submit(crops).items()}

    def self_test(self, crops: int) -> None:
        """Give every network a batch of so many crops whose answers are known from the start.

        Raises:
            DeviceError: A network does not run, or no longer gives the same answers.
        """
        given = np.resize(self._known, (crops, *self._known.shape[1:]))
        for name, future in self.submit(given).items():
            try:
                logits = future.result().logits
            except Exception as error:  # onnxruntime raises a class of its own for every kind
                raise DeviceError(f"network {name} does not run: {error}") from error
            expected = np.resize(self._expected[name], (crops, self._expected[name].shape[1]))
            # Kernels are chosen by the size of a batch, and half precision rounds in each its way.
            allowed = _ALLOWED_DRIFT * max(1.0, float(np.abs(expected).max()))
            if not np.allclose(logits, expected, rtol=0, atol=allowed):  # NaN is close to nothing
                raise DeviceError(f"network {name} gives other answers than when it was started")

    def close(self) -> None:
        """Let the threads end."""
        for runner in (self._looks, *self._runners.values()):
            runner.shutdown()

    def _start(self, name: str, graph: bytes, device: Device) -> onnxruntime.InferenceSession:
        provider = _PROVIDERS[device]
        if provider not in onnxruntime.get_available_providers():
            raise _no_cuda("the installed onnxruntime was built without it; install hemaline[gpu]")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.log_severity_level = _QUIET
        # Threads that spin while they wait would take the CPU from decoding and from each other.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            session = onnxruntime.InferenceSession(
                _for_device(graph, device), options, providers=[provider]
            )
        except Exception as error:  # onnxruntime raises a class of its own for every kind
            raise _unusable(name, error) from error
        require_active(provider, session.get_providers())
        return session

    def _try_out(self, outputs: int) -> dict[str, Logits]:
        """Return what each network says of the known crops."""
        said = {}
        for name, future in self.submit(self._known).items():
            try:
                logits = future.result().logits
            except Exception as error:  # as above
                raise _unusable(name, error) from error
            if logits.shape != (len(self._known), outputs) or not np.isfinite(logits).all():
                raise _unusable(name, "it gives no finite logits for a grey crop")
            said[name] = logits
        return said


def require_active(provider: str, active: Sequence[str]) -> None:
    """Refuse to go on without the provider that was asked for: onnxruntime falls back in silence.

    Raises:
        PermanentError: `cuda-unavailable`.
    """
    if provider not in active:
        raise _no_cuda(
            f"onnxruntime uses {', '.join(active)} instead; it needs an NVIDIA driver, "
            "CUDA 13 and cuDNN 9"
        )


def cpus() -> int:
    """Return how many CPUs this process may use: a container's quota counts, not its host."""
    allowed = len(os.sched_getaffinity(0))
    try:
        quota, period = _CPU_QUOTA.read_text().split()
    except (OSError, ValueError):
        return allowed
    return allowed if quota == "max" else max(1, min(allowed, round(int(quota) / int(period))))


def _results(futures: Mapping[str, "Future[Output]"]) -> dict[str, Output]:
    return {name: future.result() for name, future in futures.items()}


def _spread(output: Output, asked: NDArray[np.bool_]) -> Output:
    """Return a network's output with a row for each picture, zeros where it was not asked."""
    logits = np.zeros((len(asked), *output.logits.shape[1:]), np.float32)
    maps = np.zeros((len(asked), *output.maps.shape[1:]), np.float32)
    logits[asked], maps[asked] = output.logits, output.maps
    return Output(logits, maps)


def _for_device(graph: bytes, device: Device) -> bytes:
    """Return the graph in the form in which the device is fastest with it."""
    if not is_quantised(graph):
        return graph
    if device == "cuda":
        return halved(fold(graph))
    return fold(graph) if keeps_floats(graph) else graph


def _known_crops() -> Crops:
    """Return a grey crop and a noisy one: the same pixels in every process."""
    grey = np.full((CROP_PX, CROP_PX, 3), 128, np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, grey.shape, np.uint8)
    return np.stack([grey, noise])


def _run(session: onnxruntime.InferenceSession, crops: Crops) -> Output:
    # Both by their names: a graph may have outputs that nobody asks for.
    binding = session.io_binding()
    binding.bind_cpu_input(INPUT_NAME, crops)
    binding.bind_output(LOGITS_NAME)
    binding.bind_output(MAPS_NAME)
    session.run_with_iobinding(binding)
    given: list[NDArray[Any]] = binding.copy_outputs_to_cpu()
    logits, maps = (values.astype(np.float32, copy=False) for values in given)
    return Output(logits, maps)


def _no_cuda(why: str) -> PermanentError:
    return PermanentError(
        "cuda-unavailable",
        f"CUDA was asked for and is not active: {why}. "
        "Mend that, or set HEMALINE_DEVICE=cpu to run on the processor.",
    )


def _unusable(name: str, why: object) -> PermanentError:
    return PermanentError("bundle-graph", f"network {name} does not run: {why}")
