"""Certificates that are in order, and that are not."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

__all__ = ["Pki", "make_pki"]


@dataclass(frozen=True, slots=True)
class Pki:
    """Files: `ca.pem`, `other-ca.pem` of somebody else, and of each name of `issue` a `.pem` and a `.key`."""

    folder: Path
    ca: trustme.CA
    other: trustme.CA

    def file(self, name: str) -> str:
        return str(self.folder / name)

    def issue(self, name: str, *hosts: str, by_other: bool = False, expired: bool = False) -> None:
        end = datetime.now(UTC) - timedelta(days=1) if expired else None
        signer = self.other if by_other else self.ca
        issued = signer.issue_cert(*hosts, not_after=end)
        (self.folder / f"{name}.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(self.file(f"{name}.key"))


def make_pki(folder: Path) -> Pki:
    made = Pki(folder, trustme.CA(), trustme.CA())
    made.ca.cert_pem.write_to_path(made.file("ca.pem"))
    made.other.cert_pem.write_to_path(made.file("other-ca.pem"))
    made.issue("server", "127.0.0.1", "localhost")
    made.issue("elsewhere", "gpu.example")
    made.issue("expired", "127.0.0.1", expired=True)
    made.issue("me", "me@example.org")
    made.issue("stranger", "me@example.org", by_other=True)
    return made
