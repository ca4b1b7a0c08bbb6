"""What a server has outside of its process, and would leave behind: workers, their shared memory, its keys."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from cocon.core.storage import storing
from cocon.embedding.server_keys import KEYS, ServerKey
from cocon.serving.address import Address
from cocon.serving.command_line import EXIT_TIMEOUT_S, shared_memory_prefix
from cocon.serving.processes import ProcessIdentity, end_group
from cocon.serving.worker_memory import SHARED_MEMORY

__all__ = ["end_processes", "end_server", "forget_keys", "memory_bytes", "new_keys"]


def end_server(server: ProcessIdentity, address: Address) -> None:
    """End a server, its workers, and the shared memory that killed ones leave behind; its keys unlock nothing more."""
    end_processes(server, address)
    forget_keys(address)


def end_processes(server: ProcessIdentity, address: Address) -> None:
    """As `end_server`, but the keys stay for a server that takes its place."""
    end_group(server, timeout_s=EXIT_TIMEOUT_S + 5)
    for region in _shared_memory(address):
        with suppress(OSError):  # a stranger's, or a folder: anybody may write there
            region.unlink()


def memory_bytes(address: Address) -> int:
    """What the workers of the server that listens here have of the shared memory."""
    taken = 0
    for region in _shared_memory(address):
        with suppress(OSError):  # gone meanwhile
            taken += region.stat().st_blocks * 512
    return taken


def new_keys(address: Address) -> dict[ServerKey, str]:
    """A key of each kind for the server that is to listen here."""
    keys = {}
    for key in KEYS:
        with storing(key.path(address.grpc_port)):
            keys[key] = key.make(address.grpc_port)
    return keys


def forget_keys(address: Address) -> None:
    """Delete the keys of the server that listened here."""
    for key in KEYS:
        key.forget(address.grpc_port)


def _shared_memory(address: Address) -> Iterator[Path]:
    return SHARED_MEMORY.glob(f"{shared_memory_prefix(address)}*")
