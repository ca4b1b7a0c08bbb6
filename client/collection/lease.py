"""One writer at a time for an index that several machines may write: a row that says who, and until when.

Milvus has no locks. Whoever wants to write puts its own row there and looks, a moment later, whose it is. A writer that
is killed on this machine is known to be gone; of another machine's, nobody knows until its time is over.
"""

import json
import os
import secrets
import socket
import time
from typing import Any

import numpy as np

from cocon.client.collection.stored_rows import StoredRows
from cocon.core.errors import UsageError
from cocon.core.printable import printable

__all__ = ["WriterLease"]

_KEY = "state:writer"
_LASTS_S, _RENEWED_S = 600.0, 60.0
# Between writing the row and looking whose it is.
_MOMENT_S = 0.25
_PAUSE_S = 0.5


class WriterLease:
    """Held from its making on; `release` ends it.

    Args:
        stored: Of the index.
        embedding_dim: D.
        wait_s: How long to wait for another writer.

    Raises:
        UsageError: Another process is writing.
    """

    def __init__(self, stored: StoredRows, embedding_dim: int, *, wait_s: float) -> None:
        self._stored, self._dim = stored, embedding_dim
        self._token = secrets.token_hex(8)
        deadline = time.monotonic() + wait_s
        while True:
            holder = self._holder()
            if holder is None or _is_over(holder):
                self._write()
                if stored.url.file is None:  # a file has one process
                    time.sleep(_MOMENT_S)
                holder = self._holder()
                if holder is not None and holder["token"] == self._token:
                    return
            if time.monotonic() >= deadline:
                raise UsageError(
                    f"index '{stored.url}' is being written by {_named(holder)}; try again when it is done, or wait "
                    "for it (--wait-s)"
                )
            time.sleep(_PAUSE_S)

    def renew(self) -> None:
        """Before something is written: go on holding it.

        Raises:
            UsageError: Another process has taken it, as this one was silent for too long.
        """
        if time.monotonic() - self._written_s < _RENEWED_S:
            return
        holder = self._holder()
        if holder is None or holder["token"] != self._token:
            raise UsageError(
                f"index '{self._stored.url}' is being written by {_named(holder)}, as this process was silent for too "
                "long; run the same again"
            )
        self._write()

    def release(self) -> None:
        """Let others write."""
        holder = self._holder()
        if holder is not None and holder["token"] == self._token:
            self._stored.delete("catalogue", [_KEY])

    def _write(self) -> None:
        record = {
            "token": self._token,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "until": time.time() + _LASTS_S,
        }
        row = {"key": _KEY, "kind": "state", "video_id": 0, "label": "", "path": "", "terms": {}}
        self._stored.put("catalogue", [row | {"record": json.dumps(record), "vector": np.zeros(self._dim, np.float32)}])
        self._written_s = time.monotonic()

    def _holder(self) -> dict[str, Any] | None:
        found = self._stored.of_keys("catalogue", [_KEY], ["record"])
        return json.loads(found[0]["record"]) if found else None


def _is_over(holder: dict[str, Any]) -> bool:
    if time.time() > holder["until"]:
        return True
    if holder["host"] != socket.gethostname() or holder["pid"] == os.getpid():
        return False
    try:
        os.kill(holder["pid"], 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _named(holder: dict[str, Any] | None) -> str:
    return "another process" if holder is None else f"process {holder['pid']} on {printable(str(holder['host']))}"
