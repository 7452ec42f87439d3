"""Kills of a child process at a chosen line of the code under test."""

import os
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from types import FrameType, ModuleType
from typing import Any


def killed_after(lines: int, modules: Sequence[ModuleType], act: Callable[[], object]) -> bool:
    """Run `act` in a child that kill -9 ends after so many lines of the modules.

    Returns:
        True when it came to its end before that.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        sys.settrace(_killing_after(lines, {str(module.__file__) for module in modules}))
        act()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return not os.WIFSIGNALED(status)


def _killing_after(lines: int, files: set[str]) -> Callable[[FrameType, str, Any], Any]:
    left = iter(range(lines, -1, -1))

    def trace(frame: FrameType, event: str, _argument: object) -> object:
        if frame.f_code.co_filename not in files:
            return None
        if event == "line" and next(left) == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace

    return trace
