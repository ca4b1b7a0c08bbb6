"""Start a `tritonserver` process, wait until its models are READY, and end it without leaving anything behind.

with ServerProcess(Path("model_repository"), Address.on_free_ports()) as server:
    client = tritonclient.grpc.InferenceServerClient(server.url)
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from cocon.core.errors import UsageError
from cocon.core.paths import real_path
from cocon.core.printable import printable
from cocon.core.storage import storing
from cocon.embedding.repository import check_repository
from cocon.embedding.server_keys import KEYS, ServerKey
from cocon.serving.address import Address
from cocon.serving.checking.repository_check import Scrutiny, check_served
from cocon.serving.command_line import EXIT_TIMEOUT_S, check_flags, server_command, shared_memory_prefix
from cocon.serving.installation import PLAIN, Installation, find_installation
from cocon.serving.processes import ProcessIdentity, end_group
from cocon.serving.readiness import ModelState, wait_until_ready
from cocon.serving.worker_memory import SHARED_MEMORY, check_worker_memory

__all__ = ["ServerProcess", "check_start", "end_server", "model_names"]


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
        served = _plainly_named(self.repository, self.log) if installation.is_bundled else self.repository
        self._command = server_command(installation, served, self.address, _new_keys(self.address), self._flags)
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
            _forget_keys(self.address)

    def end(self) -> None:
        """End the server and its workers, and leave its keys for `start_again`."""
        if self._identity is not None:
            _end_processes(self._identity, self.address)
        if self._process is not None:
            self._process.wait()


def check_start(
    repository: Path, address: Address, *, scrutiny: Scrutiny, flags: Sequence[str], replaced: Address | None = None
) -> Installation:
    """Make sure that a server can be started, as far as that is known before, and say which one.

    Args:
        repository: What it is to serve.
        address: Where it is to listen.
        scrutiny: How closely to look at the repository.
        flags: The operator's own flags of tritonserver's.
        replaced: Of a server that is to end first: its ports and its memory are free then.

    Raises:
        UsageError: The repository is missing, empty or could run code, or the host is not allowed.
        MismatchError: A model is not what its configuration says.
        ServerError: No server can run on this machine, or a port is in use.
    """
    model_names(repository)
    address.check_reach()
    check_flags(flags)
    check_served(repository, scrutiny)
    installation = find_installation(repository)
    _check_host(address, installation)
    if installation.is_bundled:
        check_worker_memory(repository, freed_bytes=_memory_bytes(replaced) if replaced else 0)
    address.check_free(replaced)
    return installation


def model_names(repository: Path) -> list[str]:
    """The models of a repository: its folders, hidden ones left out.

    Raises:
        UsageError: The repository does not exist or has no model.
    """
    check_repository(repository)
    names = sorted(folder.name for folder in repository.iterdir() if folder.is_dir() and folder.name[0] != ".")
    if not names:
        raise UsageError(f"model repository '{printable(repository)}' has no model; make one with 'cocon export'")
    return names


def end_server(server: ProcessIdentity, address: Address) -> None:
    """End a server, its workers, and the shared memory that killed ones leave behind; its keys unlock nothing more."""
    _end_processes(server, address)
    _forget_keys(address)


def _end_processes(server: ProcessIdentity, address: Address) -> None:
    """The same, but the keys stay for a server that takes its place."""
    end_group(server, timeout_s=EXIT_TIMEOUT_S + 5)
    for region in _shared_memory(address):
        with suppress(OSError):  # a stranger's, or a folder: anybody may write there
            region.unlink()


def _shared_memory(address: Address) -> Iterator[Path]:
    return SHARED_MEMORY.glob(f"{shared_memory_prefix(address)}*")


def _memory_bytes(address: Address) -> int:
    """What the workers of the server that listens here have of the shared memory."""
    taken = 0
    for region in _shared_memory(address):
        with suppress(OSError):  # gone meanwhile
            taken += region.stat().st_blocks * 512
    return taken


def _forget_keys(address: Address) -> None:
    """Delete the keys of the server that listened here."""
    for key in KEYS:
        key.forget(address.grpc_port)


def _new_keys(address: Address) -> dict[ServerKey, str]:
    keys = {}
    for key in KEYS:
        with storing(key.path(address.grpc_port)):
            keys[key] = key.make(address.grpc_port)
    return keys


def _plainly_named(repository: Path, log: Path) -> Path:
    """The repository, or a link to it beside the log where a shell would read its name as something else.

    The wheel's server starts its workers by a shell, without quotes, and they know ASCII alone.
    """
    if PLAIN.fullmatch(str(repository)):
        return repository
    link = log.with_suffix(".models")
    if not PLAIN.fullmatch(str(link)):
        places = (
            f"model repository '{printable(repository)}' nor '{printable(log.parent)}', where a link to it could be"
        )
        raise UsageError(
            f"neither {places}, has a name that the workers of nvidia-pytriton can be given (plain ASCII); set "
            "XDG_STATE_HOME"
        )
    link.unlink(missing_ok=True)
    link.symlink_to(repository)
    return link


def _check_host(address: Address, installation: Installation) -> None:
    is_known = address.tls is not None and address.tls.ca  # who connects has been certified
    if installation.is_bundled and not (address.is_loopback or is_known or address.is_insecure):
        raise UsageError(
            f"--host {address.host}: the tritonserver of nvidia-pytriton is old and has published vulnerabilities, so "
            "strangers must not reach it; have clients show certificates (--tls-ca), use the NGC image, or say "
            "--insecure"
        )
