"""Start a `tritonserver` process, wait until its models are READY, and end it without leaving anything behind.

with ServerProcess(Path("model_repository"), Address.on_free_ports()) as server:
    client = tritonclient.grpc.InferenceServerClient(server.url)
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from cocon.core.paths import real_path
from cocon.serving.address import Address
from cocon.serving.checking.repository_check import Scrutiny, check_served
from cocon.serving.command_line import server_command
from cocon.serving.installation import Installation, find_installation
from cocon.serving.leavings import end_processes, forget_keys, new_keys
from cocon.serving.processes import ProcessIdentity
from cocon.serving.readiness import ModelState, wait_until_ready
from cocon.serving.starting import check_start, model_names, plainly_named

__all__ = ["ServerProcess"]


class ServerProcess:
    """A Triton server that this process started: a context manager, ready inside, gone after.

    The server leads a process group of its own, so Ctrl-C in a terminal reaches only the caller, and it is told to end
    when the thread that started it dies, unless it is detached.

    Attributes:
        repository: Absolute path of the model repository.
        address: Where it listens.
        log: The file its output goes to.
        models: What it serves, once READY.
        scrutiny: How closely the repository is looked at before a start.
    """

    def __init__(
        self,
        repository: Path,
        address: Address | None = None,
        *,
        log: Path,
        timeout_s: float = 120.0,
        detached: bool = False,
        scrutiny: Scrutiny = "full",
        flags: Sequence[str] = (),
    ) -> None:
        self.repository = real_path(repository)
        self.address = address or Address()
        self.log = log
        self._timeout_s = timeout_s
        self._detached = detached
        self.scrutiny = scrutiny
        self._flags = tuple(flags)
        self.models: list[ModelState] = []
        self._command: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._identity: ProcessIdentity | None = None

    @classmethod
    def adopt(
        cls,
        identity: ProcessIdentity,
        command: Sequence[str],
        repository: Path,
        address: Address,
        *,
        log: Path,
        timeout_s: float = 120.0,
        scrutiny: Scrutiny = "full",
    ) -> Self:
        """Take over a server in the background that another process has started.

        Args:
            identity: The server process.
            command: What it was started with; see `command`.
            repository: What it serves.
            address: Where it listens.
            log: Where its output goes.
            timeout_s: How long its models may take to load when it is started again, in seconds.
            scrutiny: How closely to look at the repository before that.
        """
        server = cls(repository, address, log=log, timeout_s=timeout_s, detached=True, scrutiny=scrutiny)
        server._command, server._identity = list(command), identity
        return server

    def __enter__(self) -> Self:
        self.start()
        try:
            self.wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """What a gRPC client connects to: `host:port`."""
        return self.address.url

    @property
    def identity(self) -> ProcessIdentity:
        """The server process, once started."""
        if self._identity is None:
            raise RuntimeError("the server has not been started")
        return self._identity

    @property
    def command(self) -> list[str]:
        """What it was started with. The keys are in it, so it is not to be written down."""
        return list(self._command)

    def start(self) -> None:
        """Start the process; its models are not READY yet.

        Raises:
            UsageError: The repository is missing, empty or could run code, or the host is not allowed.
            MismatchError: A model is not what its configuration says.
            ServerError: No server can run on this machine, or a port is in use.
        """
        installation = check_start(self.repository, self.address, scrutiny=self.scrutiny, flags=self._flags)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        served = plainly_named(self.repository, self.log) if installation.is_bundled else self.repository
        self._command = server_command(installation, served, self.address, new_keys(self.address), self._flags)
        self._launch(installation)

    def start_again(self) -> None:
        """Start the process with the command it had, after `end`; its models are not READY yet.

        Raises:
            UsageError: The repository is missing, empty or could run code by now.
            MismatchError: A model is not what its configuration says.
            ServerError: No server can run on this machine any more.
        """
        model_names(self.repository)
        check_served(self.repository, self.scrutiny)
        self._launch(find_installation(self.repository))

    def _launch(self, installation: Installation) -> None:
        command = self._command
        if not self._detached:
            tether = Path(__file__).with_name("tether.py")
            command = [sys.executable, "-I", "-S", str(tether), str(os.getpid()), *command]
        with self.log.open("wb") as log:
            # The workers have the working directory on their module path, so it must not be the caller's.
            self._process = subprocess.Popen(
                command,
                env=dict(installation.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
                start_new_session=True,
            )
        self._identity = ProcessIdentity.of(self._process.pid)

    def wait_until_ready(self) -> list[ModelState]:
        """Wait until every model is READY; see `readiness.wait_until_ready`."""
        names = model_names(self.repository)
        self.models = wait_until_ready(
            self.address, names, log=self.log, is_alive=self.is_alive, timeout_s=self._timeout_s
        )
        return self.models

    def is_alive(self) -> bool:
        """Whether the process runs."""
        if self._process is None:
            return self._identity is not None and self._identity.is_alive()
        return self._process.poll() is None

    def wait(self) -> int:
        """Wait for the process to end by itself, and return its exit status."""
        if self._process is None:
            raise RuntimeError("the server has not been started")
        return self._process.wait()

    def stop(self) -> None:
        """End the server and its workers; without effect when it is not running."""
        self.end()
        if self._identity is not None:
            forget_keys(self.address)

    def end(self) -> None:
        """End the server and its workers, and leave its keys for `start_again`."""
        if self._identity is not None:
            end_processes(self._identity, self.address)
        if self._process is not None:
            self._process.wait()
