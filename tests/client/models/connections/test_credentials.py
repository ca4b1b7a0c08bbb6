"""What is refused before a server is asked, and what is sent to one that is."""

from pathlib import Path

import grpc
import pytest

from cocon.client.models.connect import connect
from cocon.client.models.connections.credentials import Credentials
from cocon.client.models.server import TritonServer
from cocon.core.errors import ServerError, UsageError
from tests.certificates import Pki
from tests.client.models.conftest import Flaky, serving
from tests.client.models.connections.conftest import KeyKeeper, serving_tls


@pytest.fixture
def key_file(tmp_path: Path) -> str:
    path = tmp_path / "key"
    path.write_text("s3cret\n")
    return str(path)


@pytest.mark.parametrize(
    ("header", "sent", "value"),
    [("authorization", "authorization", "Bearer s3cret"), ("X-API-Key", "x-api-key", "s3cret")],
)
def test_a_key_lets_in_who_has_it(
    header: str, sent: str, value: str, key_file: str, pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    ca = pki.file("ca.pem")
    with serving_tls(pki, keeper=KeyKeeper(sent, value)) as url:
        with TritonServer(url, credentials=Credentials(ca, api_key_file=key_file, api_key_header=header)) as server:
            assert server.software == "triton 2.0"
        with (
            TritonServer(url, credentials=Credentials(ca, api_key_header=header)) as server,
            pytest.raises(ServerError, match=r"refuses who asks: no valid key; name a key that it knows: --api-key"),
        ):
            _ = server.software
        monkeypatch.setenv("COCON_API_KEY", "s3cret")
        with TritonServer(url, credentials=Credentials(ca, api_key_header=header)) as server:
            assert server.software == "triton 2.0"


class _Restricted(Flaky):
    """Says what a Triton with `--grpc-restricted-protocol=health,metadata:key=VALUE` says."""

    def ServerMetadata(self, request: object, context: grpc.ServicerContext) -> object:  # noqa: N802  # the protocol's name
        reason = "This protocol is restricted, expecting header 'triton-grpc-protocol-key'"
        context.abort(grpc.StatusCode.UNAVAILABLE, reason)


def test_a_triton_that_restricts_its_protocol_says_which_header() -> None:
    told = r"restricted, expecting header 'triton-grpc-protocol-key'; name a key .* --api-key-header NAME"
    with serving(_Restricted()) as place, TritonServer(place) as server, pytest.raises(ServerError, match=told):
        _ = server.software


def test_a_key_goes_over_no_network_in_clear(key_file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = Credentials(api_key_file=key_file)
    with pytest.raises(UsageError, match=r"would be sent to gpu:8001 in clear; write --url grpcs://gpu:8001"):
        connect("gpu:8001", credentials=credentials)
    with serving(Flaky()) as place, TritonServer(place, credentials=credentials) as server:
        assert server.software == "triton 2.0"  # it does not leave this machine
    monkeypatch.setenv("COCON_API_KEY", "s3cret")
    with pytest.raises(UsageError, match="COCON_API_KEY: the key would be sent") as caught:
        connect("gpu:8001")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", "holds no key"), (b"two words", "holds no key"), (b"\xff", "holds no key"), (b"k" * 9000, "of up to 8192")],
)
def test_what_is_no_key_is_refused_and_not_told(content: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=told) as caught:
        connect("127.0.0.1:8001", credentials=Credentials(api_key_file=str(path)))
    assert "two words" not in str(caught.value)


def test_a_header_has_a_name_of_one(key_file: str) -> None:
    for header in ("x key", "grpc-timeout", "key-bin", "", "a\nb"):
        with pytest.raises(UsageError, match="is no name of a header; such as x-api-key"):
            connect("127.0.0.1:8001", credentials=Credentials(api_key_file=key_file, api_key_header=header))


def test_files_that_are_none_are_named(pki: Pki, tmp_path: Path) -> None:
    (tmp_path / "junk").write_bytes(b"junk")
    junk, ca, mine, key = str(tmp_path / "junk"), pki.file("ca.pem"), pki.file("me.pem"), pki.file("me.key")
    for credentials, told in [
        (Credentials(ca="no.pem"), "--ca 'no.pem' does not exist"),
        (Credentials(ca=junk), f"--ca '{junk}' holds no certificate in PEM"),
        (Credentials(cert=mine), "needs --key FILE"),
        (Credentials(key=key), "needs --cert FILE"),
        (Credentials(cert=mine, key=pki.file("stranger.key")), "are no certificate and its private key in PEM"),
        (Credentials(cert=mine, key=junk), "are no certificate and its private key in PEM"),
    ]:
        with pytest.raises(UsageError) as caught:
            connect("grpcs://127.0.0.1:8001", credentials=credentials)
        assert told in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match=r"is for TLS, and --url gpu:8001 is without; write --url grpcs://gpu:8001"):
        connect("gpu:8001", credentials=Credentials(ca=ca))


def test_an_encrypted_key_asks_nobody(pki: Pki, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(Path(pki.file("me.key")).read_bytes(), None)
    encrypted = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"word")
    )
    (tmp_path / "encrypted.key").write_bytes(encrypted)
    credentials = Credentials(cert=pki.file("me.pem"), key=str(tmp_path / "encrypted.key"))
    with pytest.raises(UsageError, match="the key is encrypted; decrypt it with 'openssl pkey'"):
        connect("grpcs://127.0.0.1:8001", credentials=credentials)
