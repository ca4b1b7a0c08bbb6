"""The command `cocon serve`."""

import json
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import TYPE_CHECKING, Annotated

import typer

from cocon.core.printable import escaped, printable
from cocon.embedding.server_ports import GRPC_PORT, HTTP_PORT, METRICS_PORT

if TYPE_CHECKING:
    from cocon.serving.address import Address
    from cocon.serving.checking.repository_check import Scrutiny
    from cocon.serving.readiness import ModelState
    from cocon.serving.supervision.settings import WatchSettings
    from cocon.serving.tls_files import TlsFiles

__all__ = ["app"]

_REPOSITORY = "model_repository"
_SHOWN_INCIDENTS = 5

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(context_settings={"allow_extra_args": True})
def serve(
    context: typer.Context,
    repository: Annotated[Path, typer.Argument(help="Model repository, as `cocon export` writes it.")] = Path(
        _REPOSITORY
    ),
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    grpc_port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port of the protocol the client speaks.")
    ] = GRPC_PORT,
    http: Annotated[
        bool, typer.Option("--http", help="Speak the same protocol over HTTP too, for clients that need it.")
    ] = False,
    http_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of it with --http.")] = HTTP_PORT,
    metrics_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the Prometheus metrics.")] = METRICS_PORT,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate to show to clients, PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key, PEM.")] = None,
    tls_ca: Annotated[Path | None, typer.Option(help="Who certifies clients, PEM; others are refused.")] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Let other machines in without TLS, and by HTTP and to the metrics.")
    ] = False,
    timeout_s: Annotated[float, typer.Option(min=0, help="Seconds the models may take to load.")] = 120.0,
    detach: Annotated[bool, typer.Option("--detach", help="Serve in the background; return when READY.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="End the server in the background.")] = False,
    status: Annotated[bool, typer.Option("--status", help="Show the models of the server in the background.")] = False,
    trust: Annotated[
        bool,
        typer.Option("--trust-repository", help="Let whoever made the repository run code here, as other backends do."),
    ] = False,
    supervise: Annotated[
        bool, typer.Option(help="Ask the models, and restart what died or hangs: a model, or the server.")
    ] = True,
    probe_interval_s: Annotated[
        float, typer.Option(min=0.1, help="Seconds after which an idle model is asked whether it works.")
    ] = 10.0,
    probe_timeout_s: Annotated[
        float, typer.Option(min=1, help="Seconds without any answer after which a model hangs.")
    ] = 30.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Host a model repository with Triton; the table appears when every model is READY.

    Flags of tritonserver's go behind '--'. Other machines get in by TLS (--host, --tls-cert, --tls-key).
    Ends cleanly on Ctrl-C (exit code 130) and SIGTERM (0). A server in the background is known by its gRPC port.

    Example: cocon serve model_repository --detach -- --log-verbose=1
    """
    from cocon.core.errors import UsageError
    from cocon.serving.address import Address
    from cocon.serving.supervision.settings import WatchSettings

    if detach + stop + status > 1:
        raise UsageError("--detach, --stop and --status exclude each other")
    # The default action would skip every clean-up; SystemExit does not.
    signal.signal(signal.SIGTERM, _exit_cleanly)
    if stop:
        _stop(grpc_port, as_json=as_json)
        return
    if status:
        _status(grpc_port, as_json=as_json)
        return
    tls = _tls(tls_cert, tls_key, tls_ca)
    address = Address(host, grpc_port, http_port if http else None, metrics_port, tls, insecure)
    repository, flags = _flags_after(repository, context.args)
    scrutiny: Scrutiny = "trusting" if trust else "full"
    watch = WatchSettings(probe_interval_s, probe_timeout_s, timeout_s) if supervise else None
    begin = _detach if detach else _serve
    begin(repository, address, timeout_s=timeout_s, scrutiny=scrutiny, flags=flags, watch=watch, as_json=as_json)


def _tls(certificate: Path | None, key: Path | None, ca: Path | None) -> "TlsFiles | None":
    """The certificate to show, tried; None where nobody has named one."""
    from cocon.core.errors import UsageError
    from cocon.serving.tls_files import TlsFiles

    if certificate is None and key is None and ca is None:
        return None
    if certificate is None or key is None:
        raise UsageError("--tls-cert and --tls-key are named together, and --tls-ca beside them alone")
    return TlsFiles.checked(certificate, key, ca)


def _flags_after(repository: Path, more: Sequence[str]) -> tuple[Path, tuple[str, ...]]:
    """The repository and the flags of tritonserver's behind `--`; the first may stand in its place."""
    if str(repository).startswith("--"):
        return Path(_REPOSITORY), (str(repository), *more)
    return repository, tuple(more)


def _serve(
    repository: Path,
    address: "Address",
    *,
    timeout_s: float,
    scrutiny: "Scrutiny",
    watch: "WatchSettings | None",
    flags: Sequence[str],
    as_json: bool,
) -> None:
    from cocon.core.errors import ServerError
    from cocon.serving.launcher import ServerProcess
    from cocon.serving.record import log_path
    from cocon.serving.supervision.incidents import IncidentFile
    from cocon.serving.supervision.supervisor import Supervisor

    log = log_path(address.grpc_port)
    IncidentFile(log).forget()
    with ServerProcess(repository, address, log=log, timeout_s=timeout_s, scrutiny=scrutiny, flags=flags) as server:
        _show("serving", server.address.named_url, server.repository, log, server.models, as_json=as_json)
        if watch is not None:
            Supervisor(server, watch).watch()
        exit_status = server.wait()
    raise ServerError(f"tritonserver ended by itself with status {exit_status}; log: {log}")


def _detach(
    repository: Path,
    address: "Address",
    *,
    timeout_s: float,
    scrutiny: "Scrutiny",
    watch: "WatchSettings | None",
    flags: Sequence[str],
    as_json: bool,
) -> None:
    from cocon.serving.background import detach

    detached = detach(repository, address, timeout_s=timeout_s, scrutiny=scrutiny, flags=flags, watch=watch)
    record, verb = detached.record, "serving" if detached.is_new else "already serving"
    _show(verb, record.address.named_url, record.repository, record.log, detached.models, as_json=as_json)


def _status(grpc_port: int, *, as_json: bool) -> None:
    from cocon.serving.background import find
    from cocon.serving.readiness import model_states
    from cocon.serving.supervision.incidents import IncidentFile

    record = find(grpc_port)
    states = model_states(record.address)
    incidents = IncidentFile(record.log).read()
    health = {"supervised": record.is_kept(), "incidents": [incident.fields() for incident in incidents]}
    _show("serving", record.address.named_url, record.repository, record.log, states, as_json=as_json, health=health)
    if not as_json:
        print("supervised" if record.is_kept() else "not supervised: what fails is not restarted")
        for incident in incidents[-_SHOWN_INCIDENTS:]:
            print(printable(incident))


def _stop(grpc_port: int, *, as_json: bool) -> None:
    from cocon.serving.background import stop

    record = stop(grpc_port)
    if as_json:
        print(json.dumps({"stopped": record.address.named_url if record else None}))
    elif record:
        print(f"stopped the server of {printable(record.repository)} on {record.address.named_url}")
    else:
        print(f"no server in the background on port {grpc_port}")


def _show(
    verb: str,
    url: str,
    repository: Path,
    log: Path,
    models: "Sequence[ModelState]",
    *,
    as_json: bool,
    health: Mapping[str, object] = MappingProxyType({}),
) -> None:
    if as_json:
        states = [asdict(model) for model in models]
        shown = {"url": url, "repository": escaped(repository), "log": escaped(log), "models": states, **health}
        print(json.dumps(shown), flush=True)
        return
    from rich.table import Table

    from cocon.core.tables import plain_console

    table = Table("model", "version", "state", "backend")
    for model in models:
        table.add_row(model.model, model.version, model.state, model.backend)
    print(f"{verb} {printable(repository)} on {url}")
    plain_console(file=sys.stdout).print(table)


def _exit_cleanly(signal_number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)
