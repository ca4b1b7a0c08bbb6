"""By what a client knows its server, and shows who it is: certificates and a key, in files.

    credentials = Credentials(ca="ca.pem", cert="me.pem", key="me.key", api_key_file="api-key")
    with VideoEmbedder("grpcs://gpu:8001", credentials=credentials) as embedder:
        ...

Only names of files are kept. What is in them is read when a connection is made, and is in no message.
"""

import os
import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from cocon.client.models.defaults import API_KEY_HEADER
from cocon.client.models.target import Target
from cocon.core.errors import UsageError
from cocon.core.paths import check_file
from cocon.core.printable import printable

__all__ = ["API_KEY_VARIABLE", "NO_CREDENTIALS", "Credentials"]

API_KEY_VARIABLE = "COCON_API_KEY"
"""Of the environment: the key itself, where no file is named."""

_LONGEST_KEY = 8192
# What a header of HTTP/2 takes as it stands.
_KEY = re.compile(r"[!-~]+")
_HEADER = re.compile(r"[a-z0-9_.-]+")
_MOST_PEM_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Credentials:
    """Of one client, for all servers it asks.

    Attributes:
        ca: File of the certificates (PEM) that a server's must be signed by; those of the system by default.
        cert: File of the client's own certificate, and of those that signed it.
        key: File of the private key that belongs to it, not encrypted.
        api_key_file: File of a key that is sent with every request; the variable `COCON_API_KEY` by default.
        api_key_header: Header that it is sent in.
    """

    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    api_key_file: str | None = None
    api_key_header: str = API_KEY_HEADER

    def check(self, target: Target) -> None:
        """Refuse what cannot be, whether or not the server is there.

        Raises:
            UsageError: A file is not there or holds something else, one is named that is of no use, or the key would
                be sent over a network in clear.
        """
        if target.is_tls:
            self.tls_context()
        else:
            named = next((name for name in ("ca", "cert", "key") if getattr(self, name)), None)
            if named:
                raise UsageError(
                    f"--{named} '{printable(getattr(self, named))}' is for TLS, and --url {target.url} is without; "
                    f"write --url grpcs://{target.name}"
                )
        if self.headers() and not (target.is_tls or target.is_here):
            raise UsageError(
                f"{self._key_source()}: the key would be sent to {target.name} in clear; "
                f"write --url grpcs://{target.name}"
            )

    def tls_context(self) -> ssl.SSLContext:
        """What Python's own TLS makes of the files.

        Raises:
            UsageError: One is not there, or is none of certificates or of the key that belongs to one.
        """
        for name in ("ca", "cert", "key"):
            if path := getattr(self, name):
                check_file(path, f"--{name}")
        if bool(self.cert) != bool(self.key):
            named, other = ("cert", "key") if self.cert else ("key", "cert")
            raise UsageError(
                f"--{named} '{printable(getattr(self, named))}' needs --{other} FILE: a certificate is shown together "
                "with its private key"
            )
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except (OSError, ssl.SSLError) as error:
            raise _bad_file("ca", self.ca, "holds no certificate in PEM", error) from error
        context.set_alpn_protocols(["h2"])
        if self.cert:
            try:
                context.load_cert_chain(self.cert, self.key, password=_no_password)
            except (OSError, ssl.SSLError) as error:
                problem = f"and --key '{printable(self.key)}' are no certificate and its private key in PEM"
                raise _bad_file("cert", self.cert, problem, error) from error
        return context

    def pem(self) -> tuple[bytes | None, bytes | None, bytes | None]:
        """What gRPC takes: certificates to trust, the private key, and its certificate.

        Raises:
            UsageError: As `tls_context`.
        """
        self.tls_context()
        trusted = self.ca or ssl.get_default_verify_paths().cafile  # gRPC does not look for the system's
        return _content(trusted), _content(self.key), _content(self.cert)

    def headers(self) -> dict[str, str]:
        """What is sent with every request: name → value; empty without a key.

        Raises:
            UsageError: The file is not there, or what is named holds no key.
        """
        if (key := self._api_key()) is None:
            return {}
        header = self.api_key_header.lower()
        if not _HEADER.fullmatch(header) or header.startswith("grpc-") or header.endswith("-bin"):
            raise UsageError(
                f"--api-key-header '{printable(self.api_key_header)}' is no name of a header; such as x-api-key"
            )
        return {header: f"Bearer {key}" if header == API_KEY_HEADER else key}

    def _api_key(self) -> str | None:
        if self.api_key_file:
            check_file(self.api_key_file, "--api-key-file")
            try:
                with Path(self.api_key_file).open("rb") as file:
                    key = file.read(_LONGEST_KEY + 1).decode("latin-1").strip()
            except OSError as error:
                raise _bad_file("api-key-file", self.api_key_file, "cannot be read", error) from error
        else:
            key = os.environ.get(API_KEY_VARIABLE, "").strip()
            if not key:
                return None
        if not _KEY.fullmatch(key) or len(key) > _LONGEST_KEY:
            rule = f"one line of up to {_LONGEST_KEY} characters of ASCII without spaces"
            raise UsageError(f"{self._key_source()} holds no key, which is {rule}")
        return key

    def _key_source(self) -> str:
        return f"--api-key-file '{printable(self.api_key_file)}'" if self.api_key_file else API_KEY_VARIABLE


NO_CREDENTIALS = Credentials()
"""Of a client that shows none, and trusts whom the system trusts."""


def _content(path: str | None) -> bytes | None:
    if path is None:
        return None
    with Path(path).open("rb") as file:
        return file.read(_MOST_PEM_BYTES)


def _no_password() -> NoReturn:
    raise OSError("the key is encrypted; decrypt it with 'openssl pkey'")


def _bad_file(option: str, path: str | None, problem: str, error: OSError) -> UsageError:
    reason = error.strerror if error.errno else ""
    said = f" ({getattr(error, 'reason', None) or reason or error})"
    return UsageError(f"--{option} '{printable(path)}' {problem}{said}")
