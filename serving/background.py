"""Servers in the background: start one, look it up, end it."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cocon.core.errors import ServerError
from cocon.core.paths import real_path
from cocon.serving.address import Address
from cocon.serving.checking.repository_check import Scrutiny
from cocon.serving.launcher import ServerProcess
from cocon.serving.leavings import end_server
from cocon.serving.processes import end_group, running_commands
from cocon.serving.readiness import ModelState, wait_until_ready
from cocon.serving.record import ServerRecord, exclusive, log_path, repository_digest
from cocon.serving.starting import check_start, model_names
from cocon.serving.supervision.crash_logs import keep_log, kept_logs
from cocon.serving.supervision.incidents import IncidentFile
from cocon.serving.supervision.keeper import start_keeper
from cocon.serving.supervision.settings import WatchSettings

__all__ = ["Detached", "detach", "find", "stop"]

_logger = logging.getLogger(__name__)

# It may have to end a server that it is just starting.
_KEEPER_TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True)
class Detached:
    """What `detach` arrived at.

    Attributes:
        record: The server.
        models: Its models, all READY.
        is_new: Whether it was started now; otherwise it ran already.
    """

    record: ServerRecord
    models: list[ModelState]
    is_new: bool


def detach(
    repository: Path,
    address: Address,
    *,
    timeout_s: float,
    scrutiny: Scrutiny = "full",
    watch: WatchSettings | None = None,
    flags: Sequence[str] = (),
) -> Detached:
    """Serve a repository in the background, and return when every model is READY.

    A server that serves this repository on this port is kept; it is replaced when the repository has changed since,
    or when it was started with other options.

    Args:
        repository: The model repository.
        address: Where to listen.
        timeout_s: How long the models may take to load, in seconds.
        scrutiny: How closely to look at the repository before it is served.
        watch: How closely to watch a new server; None leaves it alone.
        flags: The operator's own flags of tritonserver's.

    Raises:
        UsageError: The repository or one of its models is broken, or could run code.
        MismatchError: A model is not what its configuration says; a server that runs goes on.
        ServerError: The port is in use, by a server of another repository for instance, or a model was not in time.
    """
    repository = real_path(repository)
    with exclusive(address.grpc_port):
        running = _running(address.grpc_port)
        if running is not None and running.repository != repository:
            remedy = f"end it with: cocon serve --stop --grpc-port {address.grpc_port}"
            raise ServerError(f"{running.address.url} serves {running.repository}; {remedy}")
        news = "" if running is None else _news(running, address, flags)
        if running is not None and news:
            # A server that works is not ended for one that will not start.
            check_start(repository, address, scrutiny=scrutiny, flags=flags, replaced=running.address)
            _logger.warning("%s %s: starting anew", repository, news)
            _end(running)
            running = None
        if running is None:
            return _start(repository, address, timeout_s=timeout_s, scrutiny=scrutiny, flags=flags, watch=watch)
        is_alive, models = running.process.is_alive, model_names(repository)
        ready = wait_until_ready(running.address, models, log=running.log, is_alive=is_alive, timeout_s=timeout_s)
        if watch is not None and running.keeper is not None and not running.is_kept():
            running = _keep_again(running, watch, scrutiny)
        return Detached(running, ready, is_new=False)


def find(grpc_port: int) -> ServerRecord:
    """Look up the server in the background on this port.

    Raises:
        ServerError: None runs there; one that crashed is told with its log.
    """
    record = ServerRecord.load(grpc_port)
    if record is None:
        raise ServerError(f"no server in the background on port {grpc_port}; start one with: cocon serve --detach")
    if not record.process.is_alive():
        log = next(iter(kept_logs(record.log)), record.log)
        if record.is_kept():
            raise ServerError(f"the server on port {grpc_port} crashed and is being started again; log: {log}")
        raise ServerError(f"the server on port {grpc_port} crashed; log: {log}; start it with: cocon serve --detach")
    return record


def stop(grpc_port: int) -> ServerRecord | None:
    """End the server in the background on this port, and return what it was; None when there was none.

    Where its record is damaged, it is known by its own command.
    """
    try:
        _dismiss(ServerRecord.load(grpc_port))  # without waiting for it: it may be starting the server again
    except ServerError:
        ServerRecord.forget(grpc_port)
        if (found := ServerRecord.found(grpc_port)) is not None:
            _end(found)
        return found
    with exclusive(grpc_port):
        record = _running(grpc_port)
        if record is not None:
            _end(record)
        return record


def _running(grpc_port: int) -> ServerRecord | None:
    record = ServerRecord.load(grpc_port)
    if record is not None and not record.process.is_alive():
        keep_log(record.log)
        _end(record)  # it crashed: its workers may still be there
        return None
    return record


def _news(running: ServerRecord, address: Address, flags: Sequence[str]) -> str:
    """Why a server that runs is not the one that is wanted; empty where it is."""
    if running.digest != repository_digest(running.repository):
        return "has changed since its server was started"
    return "" if (running.address, running.flags) == (address, tuple(flags)) else "is served with other options"


def _start(
    repository: Path,
    address: Address,
    *,
    timeout_s: float,
    scrutiny: Scrutiny,
    flags: Sequence[str],
    watch: WatchSettings | None,
) -> Detached:
    digest = repository_digest(repository)  # before the start: a change while models load must count as one
    log = log_path(address.grpc_port)
    server = ServerProcess(
        repository, address, log=log, timeout_s=timeout_s, detached=True, scrutiny=scrutiny, flags=flags
    )
    try:
        server.start()
        IncidentFile(log).forget()  # they were another server's
        record = ServerRecord(server.identity, address, repository, digest, log, tuple(flags))
        record.save()
        models = server.wait_until_ready()
        if watch is not None:
            record = start_keeper(record, server, watch)
    except BaseException:  # also an interrupt: nothing half-started may stay behind
        server.stop()
        ServerRecord.forget(address.grpc_port)
        raise
    return Detached(record, models, is_new=True)


def _keep_again(record: ServerRecord, watch: WatchSettings, scrutiny: Scrutiny) -> ServerRecord:
    """Have a server that goes on supervised again, after its keeper has died."""
    for process, command in running_commands("tritonserver"):
        if process == record.process:
            _logger.warning("the supervisor of %s has ended: starting it again", record.address.url)
            server = ServerProcess.adopt(
                process, command, record.repository, record.address, log=record.log, scrutiny=scrutiny
            )
            return start_keeper(record, server, watch)
    return record


def _dismiss(record: ServerRecord | None) -> None:
    if record is not None and record.keeper is not None:
        end_group(record.keeper, timeout_s=_KEEPER_TIMEOUT_S)


def _end(record: ServerRecord) -> None:
    _dismiss(record)
    end_server(record.process, record.address)
    ServerRecord.forget(record.address.grpc_port)
