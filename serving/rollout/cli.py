"""`cocon serve promote`, `rollback` and `status`: which versions a running server serves."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cocon.core.paths import real_path
from cocon.core.printable import escaped, printable
from cocon.embedding.server_ports import GRPC_PORT

if TYPE_CHECKING:
    from collections.abc import Callable

    from cocon.serving.operator_client import OperatorClient
    from cocon.serving.rollout.plan import RolloutPlan
    from cocon.serving.rollout.rolling import Rolled
    from cocon.serving.rollout.versioned_model import VersionedModel

__all__ = ["promote", "rollback", "version_status"]

_Models = Annotated[list[str], typer.Argument(help="Models, such as cocon_rgb, or all.", metavar="MODEL...|all")]
_Repository = Annotated[
    Path | None,
    typer.Option(help="Model repository that the server has. Default: that of the server in the background."),
]
_GrpcPort = Annotated[int, typer.Option(min=1, max=65535, help="gRPC port of the server.")]
_DrainS = Annotated[
    float,
    typer.Option(min=0, help="Seconds that versions before stay at most; 10 s without a request, and they go."),
]
_CutOff = Annotated[
    bool, typer.Option("--cut-off", help="Go on where versions have other tensors, so a server cannot have both.")
]
_Trust = Annotated[
    bool,
    typer.Option("--trust-repository", help="Let whoever made the repository run code here, as other backends do."),
]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]


@dataclass(frozen=True, slots=True)
class _Manner:
    """How versions are changed: as the options of the same names say."""

    drain_s: float
    cuts_off: bool
    trusts: bool


@dataclass(frozen=True, slots=True)
class _Running:
    """A server and its repository."""

    server: "OperatorClient"
    repository: Path

    def models(self) -> "Mapping[str, VersionedModel]":
        """The models of the repository with the versions that the server has of them, as it is now."""
        from cocon.serving.rollout.plan import models_of
        from cocon.serving.rollout.rolling import models_on

        return models_on(self.server, models_of(self.repository))


def promote(
    models: _Models,
    version: Annotated[int | None, typer.Option(min=1, help="Version to go to. Default: the newest.")] = None,
    repository: _Repository = None,
    grpc_port: _GrpcPort = GRPC_PORT,
    drain_s: _DrainS = 60.0,
    cut_off: _CutOff = False,
    trust: _Trust = False,
    as_json: _Json = False,
) -> None:
    """Have a running server serve the newest version of models, or another one, without a lost request.

    The ensemble of all views and the video model follow to versions of theirs that call those. Who began with the
    version before may go on with it until it is asked no more.

    Example: cocon serve promote all
    """
    from cocon.serving.rollout.plan import promotion

    _carry_out(
        lambda found: promotion(found, models, version=version),
        repository,
        grpc_port,
        _Manner(drain_s, cut_off, trust),
        as_json=as_json,
    )


def rollback(
    models: _Models,
    repository: _Repository = None,
    grpc_port: _GrpcPort = GRPC_PORT,
    drain_s: _DrainS = 60.0,
    cut_off: _CutOff = False,
    trust: _Trust = False,
    as_json: _Json = False,
) -> None:
    """Have a running server serve what it served before the last promotion of models, without a lost request.

    Example: cocon serve rollback all
    """
    from cocon.serving.rollout.plan import return_to_previous

    _carry_out(
        lambda found: return_to_previous(found, models),
        repository,
        grpc_port,
        _Manner(drain_s, cut_off, trust),
        as_json=as_json,
    )


def version_status(repository: _Repository = None, grpc_port: _GrpcPort = GRPC_PORT, as_json: _Json = False) -> None:
    """Show which versions a running server serves, and which newer ones lie in its repository.

    Example: cocon serve status
    """
    with _running(repository, grpc_port) as running:
        rows = [_row(model) for _, model in sorted(running.models().items())]
    if as_json:
        print(json.dumps({"repository": escaped(running.repository), "models": rows}))
        return
    _print_table(
        ("model", "current", "served", "on disk", "newer", "before"),
        [tuple(map(_said, row.values())) for row in rows],
    )


def _carry_out(
    plan_of: "Callable[[Mapping[str, VersionedModel]], RolloutPlan]",
    repository: Path | None,
    grpc_port: int,
    manner: _Manner,
    *,
    as_json: bool,
) -> None:
    from cocon.core.tables import plain_console
    from cocon.serving.checking.repository_check import check_served
    from cocon.serving.rollout.rolling import roll_out

    console = plain_console()
    with _running(repository, grpc_port) as running:

        def planned() -> "RolloutPlan":
            plan = plan_of(running.models())
            check_served(running.repository, "trusting" if manner.trusts else "full", models=plan.targets)
            return plan

        with console.status("looking") as state:
            on_progress = state.update if console.is_terminal else console.print
            rolled = roll_out(
                running.server,
                planned,
                drain_s=manner.drain_s,
                cuts_off=manner.cuts_off,
                alone=partial(_alone, grpc_port, running.repository),
                on_progress=on_progress,
            )
    _tell(rolled, as_json=as_json)


@contextmanager
def _running(repository: Path | None, grpc_port: int) -> Iterator[_Running]:
    """The server on a port of this machine."""
    from cocon.core.errors import UsageError
    from cocon.embedding.repository import check_repository
    from cocon.serving.address import Address
    from cocon.serving.operator_client import OperatorClient
    from cocon.serving.record import ServerRecord

    record = ServerRecord.load(grpc_port)
    if record is not None and not record.process.is_alive():
        record = None
    if record is None and repository is None:
        raise UsageError(
            f"no server in the background on port {grpc_port}; of one in the foreground, name its --repository"
        )
    root = real_path(repository or record.repository if record else repository or Path())
    if record is not None and root != record.repository:
        raise UsageError(
            f"the server on port {grpc_port} serves '{printable(record.repository)}' and not '{printable(root)}'; "
            "leave --repository out, or name the --grpc-port of the server that is meant"
        )
    address = record.address if record else Address(grpc_port=grpc_port)
    check_repository(root)
    with OperatorClient(address) as server:
        yield _Running(server, root)


@contextmanager
def _alone(grpc_port: int, repository: Path) -> Iterator[None]:
    """Neither a supervisor nor an export, nor who else changes versions, is at work meanwhile.

    Then `cocon serve --detach` knows that the server has what the repository says: what has been promoted, or, if that
    failed, the files that were put back.
    """
    from contextlib import suppress

    from cocon.core.errors import CoconError
    from cocon.embedding.repository import writing
    from cocon.serving.record import ServerRecord, exclusive, repository_digest

    with exclusive(grpc_port), writing(repository):
        record = ServerRecord.load(grpc_port)
        was_known = record is not None and record.digest == repository_digest(repository)
        try:
            yield
        except BaseException:
            if was_known:
                with suppress(CoconError, OSError):  # what failed is told, and not this
                    _remember(grpc_port, repository)
            raise
        _remember(grpc_port, repository)


def _remember(grpc_port: int, repository: Path) -> None:
    """Note in the record what the repository now says; for who has both alone."""
    from dataclasses import replace

    from cocon.serving.record import ServerRecord, repository_digest

    record = ServerRecord.load(grpc_port)
    if record is not None and record.repository == repository:
        replace(record, digest=repository_digest(repository)).save()


def _row(model: "VersionedModel") -> dict[str, str | int | tuple[int, ...]]:
    return {
        "model": model.name,
        "current": model.current,
        "served": model.served,
        "on_disk": model.versions,
        "newer": model.newer,
        "before": model.previous,
    }


def _tell(rolled: "Sequence[Rolled]", *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"models": [asdict(each) for each in rolled]}))
    elif rolled:
        _print_table(("model", "before", "now"), [(each.model, _said(each.before), str(each.now)) for each in rolled])
    else:
        print("nothing to change: what is wanted is served")


def _print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from cocon.core.tables import new_table, print_table

    table = new_table(*columns, is_dense=True)
    for row in rows:
        table.add_row(*map(printable, row))
    print_table(table)


def _said(value: str | int | tuple[int, ...]) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "-"
    return str(value or "-")
