"""The keys of a server of this user's: what unlocks those verbs of Triton's protocol that no stranger may use.

    headers = OPERATOR_KEY.headers(8001)      # {} where this user has none
    client.load_model("cocon_rgb", headers=headers)

Whoever starts a server makes a random key for each kind of verb, and leaves it in a file that only the same user can
read, beside the server's record (`server_ports.record_path`). Clients of that user on that machine thereby have their
tensors in shared memory, and nobody else can have the server open any. To load models is the operator's alone: no
client ever sends that key. A key lives as long as its server.
"""

import os
import re
import secrets
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cocon.embedding.server_ports import record_path

__all__ = ["KEYS", "MEMORY_KEY", "OPERATOR_KEY", "ServerKey"]

# How Triton wants a key named in the metadata of a request over gRPC.
_GRPC_PREFIX = "triton-grpc-protocol-"
_KEY = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ServerKey:
    """A kind of key.

    Attributes:
        name: Of the header that carries it.
        verbs: The groups of Triton's protocol that it unlocks, as `--grpc-restricted-protocol` calls them.
        ending: Of its file.
    """

    name: str
    verbs: tuple[str, ...]
    ending: str

    def path(self, grpc_port: int) -> Path:
        """The file of the key of the server on a port."""
        return record_path(grpc_port).with_suffix(self.ending)

    def make(self, grpc_port: int) -> str:
        """Make a new key and leave it in its file, for the user of this process alone; return it.

        Raises:
            OSError: The file cannot be written.
        """
        path, key = self.path(grpc_port), secrets.token_hex(32)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # whoever has the old one open reads no new key
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(f"{key}\n")
        return key

    def forget(self, grpc_port: int) -> None:
        """Delete the file, if there is one."""
        self.path(grpc_port).unlink(missing_ok=True)

    def headers(self, grpc_port: int) -> dict[str, str]:
        """What a gRPC request of these verbs carries; empty where this user has no key of the server on that port."""
        key = self._read(grpc_port)
        return {f"{_GRPC_PREFIX}{self.name}": key} if key else {}

    def _read(self, grpc_port: int) -> str | None:
        """The key in the file; None where there is none, or one that others could have written."""
        with suppress(OSError, UnicodeDecodeError):
            descriptor = os.open(self.path(grpc_port), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
            with os.fdopen(descriptor, encoding="ascii", newline="") as stream:
                status = os.fstat(descriptor)
                is_own = status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IRWXG | stat.S_IRWXO)
                text = stream.read(64 + 2) if is_own and stat.S_ISREG(status.st_mode) else ""
                return key if _KEY.fullmatch(key := text.removesuffix("\n")) else None
        return None


OPERATOR_KEY = ServerKey("cocon-operator", ("model-repository", "logging", "trace"), ".operator-key")
"""Of who runs the server: to load and unload models, to list what is not ready, to set logs and traces."""

MEMORY_KEY = ServerKey("cocon-memory", ("shared-memory",), ".memory-key")
"""Of clients of the same user: to have the server open shared memory of theirs."""

KEYS = (OPERATOR_KEY, MEMORY_KEY)
