"""A server that shows a certificate and asks clients for one."""

from pathlib import Path

import grpc
import psutil
import pytest
from tritonclient.grpc import InferenceServerClient
from tritonclient.utils import InferenceServerException

from cocon.core.errors import UsageError
from cocon.core.hosts import is_loopback
from cocon.serving.address import Address
from cocon.serving.command_line import check_flags
from cocon.serving.launcher import ServerProcess
from cocon.serving.operator_client import OperatorClient
from cocon.serving.record import ServerRecord
from cocon.serving.tls_files import TlsFiles
from tests.certificates import Pki


def address_with(tls: TlsFiles, host: str) -> Address:
    free = Address.on_free_ports(host)
    return Address(free.host, free.grpc_port, free.http_port, free.metrics_port, tls)


def is_live(url: str, *, root: str | None = None, pair: str | None = None) -> bool:
    paths = (root, pair and f"{pair}.key", pair and f"{pair}.pem")
    tls = grpc.ssl_channel_credentials(*(path and Path(path).read_bytes() for path in paths)) if root else None
    with InferenceServerClient(url, ssl=tls is not None, creds=tls) as client:
        return bool(client.is_server_live(client_timeout=20))


@pytest.mark.triton
def test_only_who_is_certified_gets_in_from_everywhere(
    repository: Path, can_serve: None, pki: Pki, tmp_path: Path
) -> None:
    tls = TlsFiles.checked(pki.file("server.pem"), pki.file("server.key"), pki.file("ca.pem"))
    address = address_with(tls, "0.0.0.0")
    log = tmp_path / "triton.log"
    with ServerProcess(repository, address, log=log, timeout_s=600, flags=["--log-verbose=1"]) as server:
        url, root = f"127.0.0.1:{address.grpc_port}", pki.file("ca.pem")
        assert is_live(url, root=root, pair=pki.file("me"))
        stranger = {"root": root, "pair": pki.file("stranger")}
        for refused in ({}, {"root": root}, stranger, {"root": pki.file("other-ca.pem")}):
            with pytest.raises(InferenceServerException):
                is_live(url, **refused)
        with OperatorClient(address) as operator:
            assert [model.state for model in operator.index()] == ["READY"]
        listening = {
            (is_loopback(found.laddr.ip), found.laddr.port)
            for found in psutil.Process(server.identity.pid).net_connections("tcp")
            if found.status == psutil.CONN_LISTEN
        }
        assert listening == {(False, address.grpc_port), (True, address.metrics_port)}
        ServerRecord(server.identity, address, repository, "", log, ("--log-verbose=1",)).save()
        found = ServerRecord.load(address.grpc_port)
        ServerRecord.forget(address.grpc_port)
        assert found is not None and (found.address, found.flags) == (address, ("--log-verbose=1",))
    assert "ModelInfer" in log.read_text() or "Ready for RPC" in log.read_text()  # what verbose logs have


@pytest.mark.parametrize(
    ("certificate", "key", "ca", "problem"),
    [
        ("expired.pem", "expired.key", None, "certificate has expired"),
        ("server.pem", "elsewhere.key", None, "KEY_VALUES_MISMATCH"),
        ("server.key", "server.key", None, "are no certificate and its private key"),
        ("nothing.pem", "server.key", None, "does not exist"),
        ("server.pem", "server.key", "other-ca.pem", "is not certified by --tls-ca"),
        ("server.pem", "server.key", "server.key", "has no certificate"),
    ],
)
def test_files_that_would_let_nobody_in_are_refused(
    pki: Pki, certificate: str, key: str, ca: str | None, problem: str
) -> None:
    with pytest.raises(UsageError, match=problem) as refused:
        TlsFiles.checked(pki.file(certificate), pki.file(key), ca and pki.file(ca))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("flag", "problem"),
    [
        ("log-verbose=1", "is no flag"),
        ("-v", "is no flag"),
        ("--grpc-port=1", "is said by --grpc-port"),
        ("--grpc-use-ssl=false", "is said by --tls-cert"),
        ("--model-control-mode=poll", "relies on it"),
    ],
)
def test_flags_that_contradict_options_are_refused(flag: str, problem: str) -> None:
    check_flags(["--log-verbose=1", "--cache-config=local,size=1048576"])
    with pytest.raises(UsageError, match=problem):
        check_flags([flag])


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_what_is_not_encrypted_stays_here(host: str, pki: Pki) -> None:
    tls = TlsFiles.checked(pki.file("server.pem"), pki.file("server.key"))
    assert Address("0.0.0.0", tls=tls).plain_interface == "127.0.0.1"
    assert Address("::", tls=tls).plain_interface == "::1"
    assert Address("0.0.0.0", is_insecure=True).plain_interface == "0.0.0.0"
    assert Address(host).plain_interface == Address(host).interface
    assert Address("127.0.0.1", tls=tls).named_url == "grpcs://127.0.0.1:8001"
