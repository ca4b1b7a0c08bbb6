"""Ray, asked through a process of its own: started when the session is opened, gone when that is closed."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

from cocon.core import errors
from cocon.core.closing import Closing
from cocon.core.errors import CoconError, ServerError
from cocon.core.printable import in_one_line
from cocon.video.workers.cores import num_cores

__all__ = ["RaySession"]

# For Ray to end what it has started.
_END_TIMEOUT_S = 30.0
_LOG_TAIL_BYTES = 4096


class RaySession(Closing):
    """A cluster of Ray: one on this machine's cores, or one that is there.

    Args:
        address: Of the cluster, such as `10.0.0.1:6379`; None for one of this machine's own.

    Raises:
        ModuleNotFoundError: Ray is not installed.
    """

    def __init__(self, address: str | None) -> None:
        if find_spec("ray") is None:
            raise ModuleNotFoundError(name="ray")
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed by `close`
        self._process = subprocess.Popen(
            # -P: a module lying beside the videos must not be imported.
            [sys.executable, "-P", "-m", "cocon.client.bulk.ray_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if os.environ.get("COCON_DEBUG") else self._log,
            text=True,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C is the command's business
        )
        self._num_workers: int | None = None
        self._ask({"address": address, "num_cpus": num_cores(), "pythonpath": os.environ.get("PYTHONPATH", "")})

    @property
    def num_workers(self) -> int:
        """Cores of the cluster; waits for it.

        Raises:
            ServerError: It cannot be started or reached.
        """
        if self._num_workers is None:
            self._num_workers = int(self._answer()["num_workers"])
        return self._num_workers

    def make_shards(self, job: str, shards: Sequence[tuple[Path, str]]) -> Iterator[int]:
        """Make shards, as many at a time as there are cores.

        Args:
            job: What `EmbedShard` is made with.
            shards: The file of each, and what `EmbedShard` is called with.

        Yields:
            The place of each in `shards`, when its file is there; of one whose workers have died every time, none.

        Raises:
            ServerError: Ray gave up.
            CoconError: What embedding raised.
        """
        assert self._num_workers is not None
        told = [{"path": os.path.abspath(path), "request": request} for path, request in shards]  # noqa: PTH100  # links are kept
        self._ask({"job": job, "shards": told})
        while "finished" not in (answer := self._answer()):
            yield int(answer["done"])

    def close(self) -> None:
        """Stop Ray, whatever it is doing."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._process.stdout.close()
        self._log.close()

    def _ask(self, request: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # its last word says why
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._died()
        answer: dict[str, Any] = json.loads(line)
        if told := answer.get("error"):
            kind: type[CoconError] = getattr(errors, told["class"], CoconError)
            raise kind(told["message"])
        return answer

    def _died(self) -> ServerError:
        self._process.wait()
        return ServerError(f"the process that asks Ray has died: {self._last_words()}")

    def _last_words(self) -> str:
        self._log.seek(max(0, self._log.seek(0, os.SEEK_END) - _LOG_TAIL_BYTES))
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return in_one_line(lines[-1]) if lines else f"exit code {self._process.wait()}"
