"""Options of every command that asks models: which server, and how it is known."""

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from cocon.client.models.defaults import API_KEY_HEADER, DEFAULT_URL
from cocon.core.options import Log, Verbose, takes_options
from cocon.embedding.repository import FormatName

if TYPE_CHECKING:
    from cocon.client.models.connect import ModelHost
    from cocon.client.models.connections.credentials import Credentials

__all__ = ["ServerOptions", "TimeoutS", "Urls", "takes_server_options"]

Urls = Annotated[
    list[str] | None,
    typer.Option(
        "--url",
        help="HOST:PORT of Triton, grpcs://HOST:PORT by TLS, or local:FOLDER; several servers share the work.",
        show_default=f"COCON_URL, or {DEFAULT_URL}",
    ),
]
CertificatesOfSigners = Annotated[
    str | None,
    typer.Option(
        "--ca",
        envvar="COCON_CA",
        metavar="FILE",
        help="Certificates that a server's must be signed by.",
        show_default="those of the system",
    ),
]
OwnCertificate = Annotated[
    str | None,
    typer.Option(
        "--cert",
        envvar="COCON_CERT",
        metavar="FILE",
        help="Certificate to show to a server that asks for one.",
        show_default=False,
    ),
]
OwnKey = Annotated[
    str | None,
    typer.Option("--key", envvar="COCON_KEY", metavar="FILE", help="Private key of --cert.", show_default=False),
]
ApiKeyFile = Annotated[
    str | None,
    typer.Option(
        "--api-key-file",
        envvar="COCON_API_KEY_FILE",
        metavar="FILE",
        help="Key to send with every request.",
        show_default="COCON_API_KEY",
    ),
]
ApiKeyHeader = Annotated[
    str, typer.Option("--api-key-header", envvar="COCON_API_KEY_HEADER", metavar="NAME", help="What it is sent as.")
]
TimeoutS = Annotated[float, typer.Option("--timeout-s", min=0.001, help="Deadline of a request, in seconds.")]


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """The options of every command that asks models. A command that `takes_server_options` has them as its own."""

    urls: Urls = None
    timeout_s: TimeoutS = 30.0
    ca: CertificatesOfSigners = None
    cert: OwnCertificate = None
    key: OwnKey = None
    api_key_file: ApiKeyFile = None
    api_key_header: ApiKeyHeader = API_KEY_HEADER
    verbose: Verbose = False
    log: Log = "text"

    @property
    def url(self) -> str:
        """Those of a repeated `--url`, with commas between; the variable COCON_URL by default.

        Raises:
            UsageError: A folder is named beside other places.
        """
        from cocon.client.models.connect import local_root
        from cocon.core.errors import UsageError

        given = self.urls or ()
        for url in given:
            if len(given) > 1 and local_root(url) is not None:
                raise UsageError(f"--url '{url}' is a folder, which stands alone; name it, or servers")
        return ",".join(given) or os.environ.get("COCON_URL") or DEFAULT_URL

    def each(self) -> "list[ServerOptions]":
        """The same for each of several servers alone; raises like `url`."""
        from cocon.client.models.connect import local_root

        urls = [self.url] if local_root(self.url) is not None else self.url.split(",")
        return [replace(self, urls=[url.strip()]) for url in urls]

    @property
    def credentials(self) -> "Credentials":
        """By which a server is known, and who asks it."""
        from cocon.client.models.connections.credentials import Credentials

        return Credentials(self.ca, self.cert, self.key, self.api_key_file, self.api_key_header)

    def connect(self, model_format: FormatName = "onnx") -> "ModelHost":
        """Where the models are; raises like `connect`."""
        from cocon.client.models.connect import connect

        return connect(self.url, timeout_s=self.timeout_s, model_format=model_format, credentials=self.credentials)


takes_server_options = takes_options(ServerOptions)
