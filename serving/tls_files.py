"""The certificate that a server shows, tried before the server is started with it.

    tls = TlsFiles.checked("server.pem", "server.key")
    tls = TlsFiles.checked("server.pem", "server.key", ca="clients.pem")     # clients show one as well

A certificate is tried by a handshake with itself, in memory: so a key of another certificate, one that has expired, and
one that clients may not show are each one line, and not a server that nobody can talk to.
"""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import grpc

from cocon.core.errors import UsageError
from cocon.core.paths import check_file
from cocon.core.printable import printable

__all__ = ["TlsFiles"]

_ChannelOption = tuple[str, str]


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Files in PEM form; absolute paths.

    Attributes:
        certificate: What the server shows: its certificate, and those between it and the authority.
        key: Its private key, without a passphrase.
        name: A name or address that the certificate is for.
        ca: Authorities by which clients must be certified; empty where clients show nothing.
    """

    certificate: str
    key: str
    name: str
    ca: str = ""

    @classmethod
    def checked(cls, certificate: Path | str, key: Path | str, ca: Path | str | None = None) -> Self:
        """Try the files, and return them.

        Raises:
            UsageError: One is missing or is no such file, they do not belong together, or the certificate has expired.
        """
        named = {"--tls-cert": certificate, "--tls-key": key, "--tls-ca": ca}
        for option, path in named.items():
            if path is not None:
                check_file(path, option)
        files = {option: str(Path(path).absolute()) for option, path in named.items() if path}
        name = _name_in(files["--tls-cert"], files["--tls-key"], files.get("--tls-ca"))
        return cls(files["--tls-cert"], files["--tls-key"], name, files.get("--tls-ca", ""))

    def operator_credentials(self) -> tuple[grpc.ChannelCredentials, list[_ChannelOption]]:
        """By what its operator connects, who trusts this very certificate, and shows it where one is asked for."""
        certificate = Path(self.certificate).read_bytes()
        own = (Path(self.key).read_bytes(), certificate) if self.ca else (None, None)
        options = [("grpc.ssl_target_name_override", self.name)]
        return grpc.ssl_channel_credentials(certificate, *own), options


def _name_in(certificate: str, key: str, ca: str | None) -> str:
    """The first name that a certificate is for, seen in a handshake with itself."""
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # it is its own authority here
    pair = f"--tls-cert '{printable(certificate)}' and --tls-key '{printable(key)}'"
    what = f"{pair} are no certificate and its private key (PEM, without a passphrase)"
    _tried(lambda: server.load_cert_chain(certificate, key, password=lambda: ""), what)
    _tried(lambda: client.load_verify_locations(certificate), what)
    _tried(lambda: _shaken(server, client), f"--tls-cert '{printable(certificate)}' cannot be used")
    if ca is not None:
        _tried(lambda: server.load_verify_locations(ca), f"--tls-ca '{printable(ca)}' has no certificate in PEM form")
        server.verify_mode = ssl.CERT_REQUIRED
        client.load_cert_chain(certificate, key)
        why = f"is not certified by --tls-ca '{printable(ca)}' for clients too, and it is what 'cocon serve' asks with"
        _tried(lambda: _shaken(server, client), f"--tls-cert '{printable(certificate)}' {why}")
    names = _shaken(server, client)
    if not names:
        raise UsageError(f"--tls-cert '{printable(certificate)}' names no host (subjectAltName); clients refuse such")
    return names[0].replace("*", "any", 1)


def _tried(trial: Callable[[], object], what: str) -> None:
    try:
        trial()
    except (ssl.SSLError, OSError) as error:
        reason = getattr(error, "verify_message", "") or getattr(error, "reason", "") or error.strerror or str(error)
        raise UsageError(f"{what}: {reason}; name another") from error


def _shaken(server: ssl.SSLContext, client: ssl.SSLContext) -> list[str]:
    """Shake hands in memory; return the names in the certificate that the client has seen and believed."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(to_client, to_server)
    answering = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(3):  # each has to read what the other has written: TLS 1.3 tells of a refusal at the end
        for side in (asking, answering):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    found: dict[str, Any] = dict(asking.getpeercert() or {})
    return [name for kind, name in found.get("subjectAltName", ()) if kind in ("DNS", "IP Address")]
