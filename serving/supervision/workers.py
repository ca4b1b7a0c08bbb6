"""The Python workers of a running server: what each serves, and which of them have ended or stand still.

watch = WorkerWatch(server.identity)
ended, stopped = watch.look()
"""

import signal
from dataclasses import dataclass
from pathlib import Path

import psutil

from cocon.serving.processes import ProcessIdentity

__all__ = ["ServerWorker", "WorkerWatch"]

_WORKER = "triton_python_backend_stub"


@dataclass(frozen=True, slots=True)
class ServerWorker:
    """A process of Triton's Python backend: one instance of one version of a model.

    Attributes:
        process: The process.
        model: What it serves.
        version: The version of it.
    """

    process: ProcessIdentity
    model: str
    version: str


class WorkerWatch:
    """Looks after the workers of one server. Those of other backends live in the server itself and end with it.

    Args:
        server: The server process.
    """

    def __init__(self, server: ProcessIdentity) -> None:
        self._server = server
        self._known: set[ServerWorker] = set()

    def look(self) -> tuple[list[ServerWorker], list[ServerWorker]]:
        """Those that have ended since the last look, and those that are stopped, as by SIGSTOP.

        A worker is known from the first look at which it runs: it must be seen once before it can be missed.
        """
        ended = [worker for worker in self._known if not worker.process.is_alive()]
        self._known.difference_update(ended)
        stopped = [worker for worker in self._known if _is_stopped(worker.process)]
        return ended, stopped

    def discover(self) -> None:
        """Learn of new workers. It reads every process of the machine, so it is not for every look."""
        if not self._server.is_alive():
            return
        pids = {worker.process.pid for worker in self._known}
        try:
            children = psutil.Process(self._server.pid).children()
        except psutil.NoSuchProcess:
            return
        self._known.update(worker for child in children if child.pid not in pids and (worker := _worker(child)))

    def of(self, model: str, version: str | None = None) -> list[ServerWorker]:
        """The known workers of a model, or of one version of it, that have not ended."""
        return [
            worker
            for worker in self._known
            if worker.model == model and version in (None, worker.version) and worker.process.is_alive()
        ]

    def kill(self, model: str) -> None:
        """End all workers of a model: one that only stands still would take the server with it when it goes on."""
        self.discover()
        for worker in self.of(model):
            worker.process.send(signal.SIGKILL)


def _worker(process: psutil.Process) -> ServerWorker | None:
    """None for another child of the server, or one that is gone."""
    identity = ProcessIdentity.of(process.pid)
    try:
        arguments = process.cmdline()
    except psutil.NoSuchProcess:  # a zombie is one, too
        return None
    if identity is None or len(arguments) < 2 or Path(arguments[0]).name != _WORKER:
        return None
    # The file that it serves: <repository>/<model>/<version>/<file>.
    *_, model, version, _ = Path(arguments[1]).parts
    return ServerWorker(identity, model, version)


def _is_stopped(process: ProcessIdentity) -> bool:
    try:
        return bool(psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)
    except psutil.NoSuchProcess:
        return False
