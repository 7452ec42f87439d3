"""Finds out who is to blame when inference fails: the device, or one field that fails alone."""

import logging
import threading

from hemaline_cloud.inference.batching import BatchFiller, FieldInProgress, hand_out
from hemaline_cloud.inference.reading import ReadField
from hemaline_cloud.inference.runtime import DeviceError, Networks
from hemaline_cloud.inference.settling import FailedField, JudgedField
from hemaline_cloud.retrying import StoppedError
from hemaline_shared.errors import HemalineError
from hemaline_shared.model_manifest import Manifest

logger = logging.getLogger(__name__)

_SELF_TESTS = 8
"""So many in a row fail before the worker gives the device up; they take about 20 s."""
_FIRST_WAIT_S = 0.25
_LONGEST_WAIT_S = 5.0
_TRIES_ALONE = 8
"""Of a device that fails at random, at whatever rate, about one field in 100,000 is blamed: it must
fail eight times while nine self-tests of as many batches pass."""
_MOST_LAPSES = 3
_REFUSED_IN_A_ROW = 5


class Isolation:
    """Blames a field only where it fails alone, each time, on a device that passes its self-test.

    Safe to call from many threads.
    """

    def __init__(
        self, networks: Networks, manifest: Manifest, batch_size: int, stopping: threading.Event
    ) -> None:
        self._networks = networks
        self._manifest = manifest
        self._batch_size = batch_size
        self._stopping = stopping
        self._problem: str | None = None
        self._refused_in_a_row = 0
        self._suspect_tried = False

    @property
    def suspect_tried(self) -> bool:
        """Whether a suspect was begun on a sound device and has not ended."""
        return self._suspect_tried

    def problem(self) -> str | None:
        """Say what is wrong with the device, for a readiness check."""
        return self._problem

    def prove_device(self) -> None:
        """Return once a self-test passes; its batch is as large as any.

        Raises:
            DeviceError: It failed so often that only a new process can help.
            StoppedError: The worker was stopped meanwhile.
        """
        wait_s = _FIRST_WAIT_S
        for _ in range(_SELF_TESTS):
            if self._passes():
                return
            if self._stopping.wait(wait_s):
                raise StoppedError
            wait_s = min(_LONGEST_WAIT_S, 2 * wait_s)
        raise DeviceError(
            f"The self-test failed {_SELF_TESTS} times in a row: {self._problem}. No field is "
            "blamed, all went back to the queue. Look at the device and its driver, then start "
            "the worker again."
        )

    def judge_alone(self, read: ReadField) -> JudgedField | FailedField:
        """Judge a suspect by itself: a verdict, or the blame if it fails whatever is done.

        Raises:
            DeviceError: The device is to blame, or several suspects in a row failed, which says
                more of the worker than of them.
            StoppedError: The worker was stopped meanwhile.
        """
        for _ in range(_MOST_LAPSES):
            if ended := self._try_alone(read):
                self._suspect_tried = False
                return ended
            # What failed before the self-test did may have been the device's doing.
            self.prove_device()
        raise DeviceError("The device passes its self-test and fails it, by turns.")

    def _try_alone(self, read: ReadField) -> JudgedField | FailedField | None:
        """Try again and again; None when a self-test failed between, so that nothing is proven."""
        batches = -(-len(read.crops) // self._batch_size)
        failures: list[Exception] = []
        while self._passes(batches):
            if len(failures) == _TRIES_ALONE:
                return self._blame(read, failures[-1])
            self._suspect_tried = True
            try:
                judged = self._judge(read)
            except Exception as error:  # noqa: BLE001 - onnxruntime has a class for every kind
                failures.append(error)
            else:
                self._refused_in_a_row = 0
                return judged
        return None

    def _passes(self, batches: int = 1) -> bool:
        try:
            for _ in range(batches):
                self._networks.self_test(self._batch_size)
        except DeviceError as error:
            if self._problem is None:
                logger.warning("the device fails its self-test: %s; trying again", error)
            self._problem = str(error)
            return False
        if self._problem is not None:
            logger.info("the device passes its self-test again")
        self._problem = None
        return True

    def _judge(self, read: ReadField) -> JudgedField:
        filler = BatchFiller(self._batch_size, 0.0)
        filler.add(read, 0.0)
        ended: list[FieldInProgress] = []
        while filler.due_in(0.0) is not None:
            batch = filler.take()
            looked = self._networks.look(batch.crops, batch.cells).result()
            ended = hand_out(batch, self._manifest, looked)
        (progress,) = ended
        if progress.failure:
            raise progress.failure
        return JudgedField(read.held, progress.verdicts, progress.answers, read.look)

    def _blame(self, read: ReadField, failure: Exception) -> FailedField:
        self._refused_in_a_row += 1
        if self._refused_in_a_row >= _REFUSED_IN_A_ROW:
            raise DeviceError(
                f"{_REFUSED_IN_A_ROW} fields in a row failed alone, the last one with: {failure}. "
                "So many are not all wrong: look at the bundle, the driver and the device."
            )
        reason = failure.reason if isinstance(failure, HemalineError) else "inference-failed"
        detail = (
            f"The networks failed on this field alone {_TRIES_ALONE} times, and passed their "
            f"self-test before and after each: {failure}"
        )
        return FailedField(read.held, reason, detail.replace("\0", "")[:1000])
