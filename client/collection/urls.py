"""Names of indexes that are kept in Milvus.

milvus://HOST:19530/NAME        a server: TLS, but on this machine
milvus+plain://HOST:19530/NAME  a server without TLS, where the network is trusted
milvus:FOLDER/FILE.db/NAME      Milvus Lite, a file of this process
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cocon.core.errors import UsageError
from cocon.core.printable import printable

__all__ = ["CollectionUrl", "is_collection_url"]

_DEFAULT_PORT = 19530
_SCHEMES = ("milvus:", "milvus+plain:")
_SERVER = re.compile(r"milvus(\+plain)?://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?/([^/]*)/?", re.ASCII)
_FILE = re.compile(r"milvus:(?!//)(.+\.db)/([^/]*)/?", re.DOTALL)
# Milvus takes 255 letters; ours go behind.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}", re.ASCII)
_RESERVED = ("_catalogue",)
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


def is_collection_url(text: str) -> bool:
    """Whether a name of an index means one in Milvus, and no folder."""
    return text.startswith(_SCHEMES)


@dataclass(frozen=True, slots=True)
class CollectionUrl:
    """An index in Milvus. As a text, as it was written.

    Attributes:
        text: As it was written.
        name: Of the index.
        address: Of the server, `HOST:PORT`; None for Milvus Lite.
        file: Of Milvus Lite; None for a server.
        is_plain: Whether the server is asked without TLS.
    """

    text: str
    name: str
    address: str | None
    file: Path | None
    is_plain: bool

    @classmethod
    def parse(cls, text: str) -> Self:
        """What a URL means.

        Raises:
            UsageError: It is none, or Milvus does not allow the name.
        """
        found = _SERVER.fullmatch(text)
        if found is not None and int(found[3] or _DEFAULT_PORT) <= 65535:
            plain, host, port, name = found.groups()
            is_plain = plain is not None or host in _LOOPBACK or host.startswith("127.")
            _check_name(name, text)
            return cls(text, name, f"{host}:{port or _DEFAULT_PORT}", None, is_plain)
        found = _FILE.fullmatch(text)
        if found is None:
            raise UsageError(
                f"index '{printable(text)}' must be milvus://HOST:{_DEFAULT_PORT}/NAME, or milvus:FILE.db/NAME for "
                "Milvus Lite"
            )
        _check_name(found[2], text)
        return cls(text, found[2], None, Path(found[1]), True)

    def __str__(self) -> str:
        return printable(self.text)


def _check_name(name: str, text: str) -> None:
    if not _NAME.fullmatch(name) or name.endswith(_RESERVED):
        raise UsageError(
            f"index '{printable(text)}': the name '{printable(name)}' must be of letters, digits and _, begin with no "
            f"digit, have at most 200 of them, and not end in {_RESERVED[0]}"
        )
