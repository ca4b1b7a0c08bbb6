"""A real Envoy before a real server, by the deployed files: who has no key gets nothing, who has one not all."""

import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np
import pytest
import trustme
from tritonclient.grpc import service_pb2

from tests.serving.conftest import CLIP
from tests.serving.deploy.conftest import (
    FILES,
    Deployed,
    environment_without_proxies,
    fetched,
    free_port,
    installed,
    run,
)
from tests.serving.hostile.grpc_attacks import SERVICE, VERBS
from tests.serving.hostile.siege import new_question

pytestmark = pytest.mark.triton

KEY = "c" * 64
OPEN_VERBS = {
    "ServerLive",
    "ServerReady",
    "ServerMetadata",
    "ModelReady",
    "ModelMetadata",
    "ModelConfig",
    "ModelStatistics",
    "ModelInfer",
    "ModelStreamInfer",
}


@dataclass(frozen=True, slots=True)
class Proxy:
    """Envoy before a server.

    Attributes:
        url: Of its port for clients.
        metrics_url: Of its own metrics.
        authority: The certificate that signed its own.
        keys: Its file of API keys.
        log: What it says, the log of requests in it.
    """

    url: str
    metrics_url: str
    authority: bytes
    keys: Path
    log: Path


def configured(folder: Path, server_url: str) -> tuple[Path, int, int]:
    """The deployed configuration with the paths and ports of this machine; the ports for clients and for metrics."""
    text = (FILES / "envoy" / "envoy.yaml").read_text(encoding="utf-8")
    port, metrics_port = free_port(), free_port()
    here = {
        "/etc/envoy": str(folder),
        "port_value: 8443": f"port_value: {port}",
        "port_value: 9901": f"port_value: {free_port()}",
        "port_value: 9902": f"port_value: {metrics_port}",
        "{address: server, port_value: 8001}": f"{{address: 127.0.0.1, port_value: {server_url.rpartition(':')[2]}}}",
        "0.0.0.0": "127.0.0.1",
    }
    for there, changed in here.items():
        assert there in text
        text = text.replace(there, changed)
    path = folder / "envoy.yaml"
    path.write_text(text, encoding="utf-8")
    return path, port, metrics_port


def write_keys(path: Path, key: str) -> None:
    """The example's file with this key; renamed into place, as a secret's is."""
    example = (FILES / "envoy" / "api-keys.example.yaml").read_text(encoding="utf-8")
    aside = path.with_suffix(".new")
    aside.write_text(example.replace("replace-this-by-a-random-key-of-64-characters", key), encoding="utf-8")
    aside.rename(path)


@pytest.fixture(scope="module")
def proxy(deployed: Deployed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    folder = tmp_path_factory.mktemp("envoy")
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    for name in ("tls", "keys"):
        (folder / name).mkdir()
    certificate.private_key_pem.write_to_path(folder / "tls" / "tls.key")
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(folder / "tls" / "tls.crt", append=True)
    keys = folder / "keys" / "api-keys.yaml"
    write_keys(keys, KEY)
    path, port, metrics_port = configured(folder, deployed.url)
    command = [installed("envoy"), "--config-path", str(path), "--use-dynamic-base-id", "--concurrency", "1"]
    run(*command[:3], "--mode", "validate")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment_without_proxies())
    try:
        metrics_url = f"http://127.0.0.1:{metrics_port}/stats/prometheus"
        known = Proxy(f"127.0.0.1:{port}", metrics_url, authority.cert_pem.bytes(), keys, folder / "log")
        with channel(known) as opened:
            grpc.channel_ready_future(opened).result(timeout=60)
        wait_for_status(known, grpc.StatusCode.OK)
        yield known
    finally:
        process.terminate()
        process.wait(timeout=30)


def channel(proxy: Proxy) -> grpc.Channel:
    return grpc.secure_channel(proxy.url, grpc.ssl_channel_credentials(proxy.authority))


def asked(proxy: Proxy, verb: str, key: str | None = KEY, body: bytes = b"") -> tuple[grpc.StatusCode, str]:
    """The status of an answer, and its words."""
    metadata = [] if key is None else [("authorization", f"Bearer {key}")]
    with channel(proxy) as opened:
        try:
            opened.unary_unary(f"/{SERVICE.full_name}/{verb}")(body, timeout=30, metadata=metadata)
        except grpc.RpcError as error:
            return error.code(), error.details() or ""
    return grpc.StatusCode.OK, ""


def wait_for_status(proxy: Proxy, status: grpc.StatusCode, key: str = KEY) -> None:
    """Until Envoy has found the server, or has read its keys anew."""
    deadline = time.monotonic() + 60
    while asked(proxy, "ServerLive", key)[0] is not status:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_client_with_a_key_gets_the_answer_that_the_server_gives(proxy: Proxy, deployed: Deployed) -> None:
    question = new_question("cocon_rgb", "clip", [1, *CLIP]).SerializeToString()
    path = f"/{SERVICE.full_name}/ModelInfer"
    with channel(proxy) as opened, grpc.insecure_channel(deployed.url) as direct:
        metadata = [("authorization", f"Bearer {KEY}")]
        answers = [
            opened.unary_unary(path)(question, timeout=30, metadata=metadata),
            direct.unary_unary(path)(question, timeout=30),
        ]
    vectors = [service_pb2.ModelInferResponse.FromString(each).raw_output_contents[0] for each in answers]
    np.testing.assert_allclose(*(np.frombuffer(each, np.float32) for each in vectors), rtol=1e-6)


@pytest.mark.parametrize("key", [None, "", "wrong", KEY[:-1], f"{KEY}c"])
def test_without_the_right_key_nothing_is_answered(proxy: Proxy, key: str | None) -> None:
    assert {asked(proxy, verb, key)[0] for verb in ("ServerLive", "ModelInfer", "RepositoryModelUnload")} == {
        grpc.StatusCode.UNAUTHENTICATED
    }


def test_a_clients_key_opens_none_of_the_operators_verbs(proxy: Proxy) -> None:
    statuses = {verb: asked(proxy, verb) for verb in VERBS}
    closed = {verb for verb, (status, _) in statuses.items() if status is grpc.StatusCode.PERMISSION_DENIED}
    assert closed == set(VERBS) - OPEN_VERBS - {"RepositoryIndex"}
    # The server itself says of this one that it is closed, in words that the client goes by.
    assert statuses["RepositoryIndex"][0] is grpc.StatusCode.UNAVAILABLE
    assert "restricted" in statuses["RepositoryIndex"][1]


def test_plaintext_and_a_stranger_to_the_authority_get_no_connection(proxy: Proxy) -> None:
    stranger = grpc.ssl_channel_credentials(trustme.CA().cert_pem.bytes())
    for opened in (grpc.insecure_channel(proxy.url), grpc.secure_channel(proxy.url, stranger)):
        with opened, pytest.raises(grpc.RpcError) as refused:
            opened.unary_unary(f"/{SERVICE.full_name}/ServerLive")(b"", timeout=10)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_replaced_key_is_another_key_without_a_restart(proxy: Proxy) -> None:
    try:
        write_keys(proxy.keys, "d" * 64)
        wait_for_status(proxy, grpc.StatusCode.OK, "d" * 64)
        assert asked(proxy, "ServerLive", KEY)[0] is grpc.StatusCode.UNAUTHENTICATED
    finally:
        write_keys(proxy.keys, KEY)
        wait_for_status(proxy, grpc.StatusCode.OK)


def test_requests_are_counted_and_logged_by_the_name_of_the_client_and_without_its_key(proxy: Proxy) -> None:
    assert asked(proxy, "ServerReady")[0] is grpc.StatusCode.OK
    assert "envoy_http_downstream_rq_total" in fetched(proxy.metrics_url)
    deadline = time.monotonic() + 30  # Envoy writes its log when it has time
    while '"client":"first"' not in (told := proxy.log.read_text(encoding="utf-8")):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert KEY not in told
