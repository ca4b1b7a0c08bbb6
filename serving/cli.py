"""The command `cocon serve`."""

import json
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from cocon.core.printable import escaped, printable
from cocon.embedding.server_ports import GRPC_PORT, HTTP_PORT, METRICS_PORT
from cocon.serving.checking.cli import check
from cocon.serving.rollout.cli import promote, rollback, version_status

if TYPE_CHECKING:
    from cocon.serving.address import Address
    from cocon.serving.checking.repository_check import Scrutiny
    from cocon.serving.readiness import ModelState
    from cocon.serving.supervision.settings import WatchSettings
    from cocon.serving.tls_files import TlsFiles

__all__ = ["app"]

_REPOSITORY = "model_repository"
_SHOWN_INCIDENTS = 5
_SERVE = "-"


class _ServeVerbs(TyperGroup):
    """`cocon serve REPOSITORY`, unless the first word is one of the other verbs: such a folder is `./status`."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]  # vendored Context is not public
        others = [name for name in self.commands if name != _SERVE]
        parsed: list[str] = super().parse_args(ctx, args if args[:1] and args[0] in others else [_SERVE, *args])
        return parsed

    def resolve_command(self, ctx: typer.Context, args: list[str]) -> Any:  # type: ignore[override]  # noqa: ANN401  # as above
        name, command, rest = super().resolve_command(ctx, args)
        return (None if name == _SERVE else name), command, rest


app = typer.Typer(cls=_ServeVerbs, add_completion=False, pretty_exceptions_enable=False)
app.command()(promote)
app.command()(rollback)
app.command()(check)
app.command("status")(version_status)


@app.command(_SERVE, context_settings={"allow_extra_args": True})
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
    ] = 30.0,
    probe_timeout_s: Annotated[
        float, typer.Option(min=1, help="Seconds without any answer after which a model hangs.")
    ] = 30.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Host a model repository with Triton; the table appears when every model is READY.

    Flags of tritonserver's go behind '--'. Other machines get in by TLS (--host, --tls-cert, --tls-key).
    Ends cleanly on Ctrl-C (exit code 130) and SIGTERM (0). A server in the background is known by its gRPC port.
    Which versions it serves is changed by 'cocon serve promote' and 'rollback', and shown by 'cocon serve status';
    'cocon serve check' looks at a repository, and serves nothing.

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
    with ServerProcess(repository, address, log=log, timeout_s=timeout_s, scrutiny=scrutiny, flags=flags) as server:
        IncidentFile(log).forget()  # they were another server's
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
        states = [asdict(model) | {"newer_on_disk": _newer(repository, model)} for model in models]
        shown = {"url": url, "repository": escaped(repository), "log": escaped(log), "models": states, **health}
        print(json.dumps(shown), flush=True)
        return
    from rich.table import Table

    from cocon.core.tables import plain_console

    table = Table("model", "version", "state", "backend", "newer on disk")
    for model in models:
        newer = ", ".join(map(str, _newer(repository, model)))
        table.add_row(model.model, model.version, model.state, model.backend, newer)
    print(f"{verb} {printable(repository)} on {url}")
    plain_console(file=sys.stdout).print(table)


def _newer(repository: Path, model: "ModelState") -> list[int]:
    """Versions that lie there and are above the one that is served: 'cocon serve promote' has them served."""
    from cocon.embedding.repository import version_folders

    return sorted(version for version in version_folders(repository / model.model) if version > int(model.version or 0))


def _exit_cleanly(signal_number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)
