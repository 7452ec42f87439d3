"""`python -m hemaline_local.leash COMMAND …`: run COMMAND, which dies when its starter dies.

A runner that is killed outright can stop nothing any more; the kernel does it for us (Linux'
PR_SET_PDEATHSIG), so that no broker or worker is left behind.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Tie this process to its parent, then become the command."""
    starter = int(sys.argv[1])
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != starter:  # it died before the leash was on
        sys.exit(1)
    os.execvp(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
