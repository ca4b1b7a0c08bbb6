"""The state file of a server in the background: what `--status`, `--stop` and a second `--detach` go by.

One file per gRPC port, in `$XDG_STATE_HOME/cocon` (default `~/.local/state/cocon`), beside the server's log.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self, get_type_hints

from filelock import FileLock

from cocon.core.atomic import replacing
from cocon.core.errors import ServerError
from cocon.core.printable import escaped, printable, unescaped
from cocon.embedding.server_ports import record_path
from cocon.serving.address import Address
from cocon.serving.processes import ProcessIdentity, running_commands

__all__ = ["ServerRecord", "exclusive", "log_path", "repository_digest"]


@dataclass(frozen=True, slots=True)
class ServerRecord:
    """A server started with `--detach`.

    Attributes:
        process: The server process.
        address: Where it listens.
        repository: Absolute path of its model repository.
        digest: `repository_digest` at its start; another one now means that it serves old models.
        log: Its log.
        keeper: The process that supervises it, if one does.
        flags: Flags of tritonserver's that the operator has added.
    """

    process: ProcessIdentity
    address: Address
    repository: Path
    digest: str
    log: Path
    flags: tuple[str, ...] = ()
    keeper: ProcessIdentity | None = None

    def is_kept(self) -> bool:
        """Whether a process supervises the server."""
        return self.keeper is not None and self.keeper.is_alive()

    @classmethod
    def load(cls, grpc_port: int) -> Self | None:
        """The record of this port; None when there is none. The server in it may have ended.

        Raises:
            ServerError: It is damaged.
        """
        path = _path(grpc_port)
        try:
            return cls._of(json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            remedy = f"end the server with: cocon serve --stop --grpc-port {grpc_port}"
            raise ServerError(f"the record '{printable(path)}' of a server is damaged; {remedy}") from error

    @classmethod
    def _of(cls, fields: Mapping[str, Any]) -> Self:
        record = cls(
            process=ProcessIdentity(**fields["process"]),
            address=Address.from_fields(fields["address"]),
            repository=Path(unescaped(fields["repository"])),
            digest=fields["digest"],
            log=Path(unescaped(fields["log"])),
            keeper=ProcessIdentity(**fields["keeper"]) if fields.get("keeper") else None,
            flags=tuple(fields.get("flags", ())),
        )
        for part in (record.process, record.keeper, record.address, record.address.tls):
            _check_types(part)
        if not all(isinstance(text, str) for text in (record.digest, *record.flags)):
            raise TypeError("a digest and flags are texts")
        return record

    @classmethod
    def found(cls, grpc_port: int) -> Self | None:
        """What a record would say of the server of this user on a port, as far as its own command does."""
        for process, command in running_commands("tritonserver"):
            flags = dict(flag.removeprefix("--").partition("=")[::2] for flag in command[1:])
            if flags.get("grpc-port") == str(grpc_port):
                repository = Path(flags.get("model-repository", ""))
                return cls(process, Address(grpc_port=grpc_port), repository, "", log_path(grpc_port))
        return None

    def save(self) -> None:
        """Write the record, whole or not at all."""
        path = _path(self.address.grpc_port)
        fields = asdict(self) | {"repository": escaped(self.repository), "log": escaped(self.log)}
        with replacing(path) as aside:
            aside.write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")

    @staticmethod
    def forget(grpc_port: int) -> None:
        """Delete the record of this port, if there is one."""
        _path(grpc_port).unlink(missing_ok=True)


def exclusive(grpc_port: int) -> FileLock:
    """What a `with` holds to have this port's record for itself: a second `--detach` or `--stop` waits."""
    return FileLock(_path(grpc_port).with_suffix(".lock"), thread_local=False, fallback_to_soft=False)


def log_path(grpc_port: int) -> Path:
    """Where the server on this port writes its log."""
    return _path(grpc_port).with_suffix(".log")


def repository_digest(repository: Path) -> str:
    """What changes when a file of a model does (by name, size and time; the content is not read)."""
    digest = hashlib.sha256()
    for path in sorted(repository.rglob("*")):
        # What is hidden is an exporter's own, as its lock.
        if path.is_file() and not path.relative_to(repository).parts[0].startswith("."):
            stat = path.stat()
            digest.update(f"{path.relative_to(repository)}\0{stat.st_size}\0{stat.st_mtime_ns}\0".encode())
    return digest.hexdigest()


def _check_types(part: object) -> None:
    """Raise TypeError where a field of a dataclass is of another type than it says."""
    if part is None:
        return
    for name, kind in get_type_hints(type(part)).items():
        if not isinstance(getattr(part, name), kind):
            raise TypeError(f"{name} is no {kind}")


def _path(grpc_port: int) -> Path:
    path = record_path(grpc_port)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
