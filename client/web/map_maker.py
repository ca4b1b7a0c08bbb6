"""Has the map of an index laid out in a process of its own, as that takes minutes and all of a core."""

import os
import subprocess
import sys
from threading import Lock

from cocon.client.index.reader import IndexReader
from cocon.core.closing import Closing
from cocon.core.printable import in_one_line

__all__ = ["MapMaker"]

_NICENESS = 10  # answers come first
_MOST_TOLD = 2000


class MapMaker(Closing):
    """Runs `client index map`, once at a time. Safe for several threads.

    Args:
        index: To be laid out.
        name: Of it, as on a command line.
    """

    def __init__(self, index: IndexReader, name: str) -> None:
        self._index, self._name = index, name
        self._process: subprocess.Popen[str] | None = None
        self._lock = Lock()
        self._message = ""

    def start(self) -> None:
        """Begin, unless it is being laid out."""
        with self._lock:
            if self._is_running():
                return
            self._message = ""
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "cocon.client", "index", "map", "--index", self._name, "--quiet"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,  # Ctrl-C is the server's business
            )
            os.setpriority(os.PRIO_PROCESS, self._process.pid, _NICENESS)

    def state(self) -> str:
        """`computing`, `ready`, `stale` or `absent`; raises like `IndexReader.map`."""
        with self._lock:
            if self._is_running():
                return "computing"
        found = self._index.map()
        return "absent" if found is None else "stale" if found.is_stale else "ready"

    @property
    def message(self) -> str:
        """Why the last one came to nothing; else empty."""
        return self._message

    def close(self) -> None:
        """Stop it."""
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                self._process.kill()
                self._process.communicate()

    def _is_running(self) -> bool:
        if self._process is None:
            return False
        if self._process.poll() is None:
            return True
        _, told = self._process.communicate()
        if self._process.returncode:
            self._message = in_one_line(told[-_MOST_TOLD:].removeprefix("error: ")) or "it could not be laid out"
        self._process = None
        return False
