"""Runs a module's tests again and again, in forks of one process that has the libraries ready.

Most unit tests take a second, and what they import takes five.
"""

import contextlib
import importlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

_ROOT = Path(__file__).parents[2]
_PACKAGES = ("shared", "edge", "cloud", "deploy", "tests")
_LIMIT_S = 300


class Runs:
    """The tests of one module in one checkout; a context manager, which ends the process."""

    def __init__(self, checkout: Path, tests: tuple[str, ...]) -> None:
        self._checkout, self._tests = checkout, tests
        self._server: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        """Start nothing yet: perhaps every change was noticed before."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the process."""
        if self._server:
            self._server.communicate()

    def must_pass(self) -> None:
        """Run the tests once, before the first change: what fails then notices nothing."""
        if self._server:
            return
        env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        env.pop("HEMALINE_DATA", None)  # real images take minutes; the drawn ones must notice
        env["PYTHONPATH"] = os.pathsep.join(str(self._checkout / part) for part in _PACKAGES)
        self._server = subprocess.Popen(
            [_ROOT / ".venv" / "bin" / "python", __file__, *self._tests],
            cwd=self._checkout,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if not self._answer():
            sys.exit(f"these tests fail without any change: {' '.join(self._tests)}")

    def passes(self) -> bool:
        """Run the tests on the checkout as it is now."""
        assert self._server is not None
        assert self._server.stdin is not None
        self._server.stdin.write("\n")
        self._server.stdin.flush()
        return self._answer()

    def _answer(self) -> bool:
        assert self._server is not None
        assert self._server.stdout is not None
        return self._server.stdout.readline() == "passed\n"


def _serve(tests: list[str]) -> None:
    """Run the tests, import the libraries that they needed, and run them anew at each line."""
    with tempfile.TemporaryFile("w+") as needed:
        _say(_passes(tests, needed))
        needed.seek(0)
        for name in needed.read().split():
            with contextlib.suppress(Exception):  # then the tests import it, as they did before
                importlib.import_module(name)
    for _ in sys.stdin:
        _say(_passes(tests))


def _say(passed: bool) -> None:
    sys.stdout.write("passed\n" if passed else "failed\n")
    sys.stdout.flush()


def _passes(tests: list[str], needed: TextIO | None = None) -> bool:
    """Run the tests in a fork, which may take five minutes: an endless loop is noticed, too."""
    child = os.fork()
    if not child:
        os.setsid()
        os._exit(_run(tests, needed))
    signal.signal(signal.SIGALRM, lambda *_: os.killpg(child, signal.SIGKILL))
    signal.alarm(_LIMIT_S)
    _, status = os.waitpid(child, 0)
    signal.alarm(0)
    return os.waitstatus_to_exitcode(status) == 0


def _run(tests: list[str], needed: TextIO | None) -> int:
    """Run the tests in silence, and write down which libraries they imported."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nothing, stream)
    import pytest  # noqa: PLC0415 - who imports this module for `Runs` has no pytest

    options = ["-q", "-x", "-n", "0", "-p", "no:cacheprovider"]
    # Each run rewrites the assertions of its own plugins only, and those are loaded already.
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    code = int(pytest.main([*options, *tests]))
    if needed:
        files = {name: getattr(module, "__file__", None) for name, module in sys.modules.items()}
        needed.write(" ".join(name for name, file in files.items() if "site-packages" in str(file)))
        needed.flush()
    return code


if __name__ == "__main__":
    _serve(sys.argv[1:])
