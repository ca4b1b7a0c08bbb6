"""Run a command that ends when its parent does: `python tether.py PARENT_PID COMMAND [ARGUMENT …]`.

A script of its own, because the alternative, a `preexec_fn`, runs Python between fork and exec, which is unsafe once
the parent has threads (a gRPC channel has some).
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ask the kernel for SIGTERM at the parent's death, then become the command."""
    parent_pid, *command = sys.argv[1:]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent_pid):  # it died before the request above
        sys.exit(1)
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
