"""`python -m hemaline_local.end_with_parent PID COMMAND …`: run COMMAND, which ends with PID.

A runner that is killed outright can stop nothing any more; the kernel does it for us (Linux'
PR_SET_PDEATHSIG), so that no broker or worker is left behind.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def end_with_parent(parent: int, number: int = signal.SIGTERM) -> None:
    """Get this signal when the parent process ends; end now if it has ended already."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        sys.exit(1)


def main() -> None:
    """Tie this process to its parent, then become the command."""
    end_with_parent(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
