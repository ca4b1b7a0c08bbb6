"""A Triton that asks for certificates, and the command `client` before it."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cocon.serving.address import Address
from cocon.serving.launcher import ServerProcess
from cocon.serving.tls_files import TlsFiles
from tests.certificates import Pki
from tests.client.conftest import Client, contract
from tests.client.models.conftest import write_config

pytestmark = [pytest.mark.triton, pytest.mark.videos]


@pytest.fixture(scope="module")
def served_by_tls(repository: Path, pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its URL."""
    folder = tmp_path_factory.mktemp("tls") / "model_repository"
    shutil.copytree(repository, folder)
    for model in (contract("rgb"), contract("flow", weights="2")):
        write_config(folder / f"cocon_{model.view}", model, "onnxruntime")
    tls = TlsFiles.checked(pki.file("server.pem"), pki.file("server.key"), pki.file("ca.pem"))
    address = replace(Address.on_free_ports(), tls=tls)
    with ServerProcess(folder, address, log=folder.parent / "log", timeout_s=600, scrutiny="none"):
        yield f"grpcs://{address.url}"


def test_rows_are_those_of_no_server_and_strangers_get_none(
    client: Client, served_by_tls: str, pki: Pki, videos: list[Path], monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    ca, cert, key = pki.file("ca.pem"), pki.file("me.pem"), pki.file("me.key")
    mutual = ["--ca", ca, "--cert", cert, "--key", key]
    embedded = client("embed", "--url", served_by_tls, *mutual, "--json", videos[0])
    assert embedded.returncode == 0, embedded.stderr
    local = client("embed", "--url", url, "--json", videos[0])
    found, same = (np.array([row["embedding"] for row in json.loads(ran.stdout)]) for ran in (embedded, local))
    assert (found * same).sum(-1).min() > 0.9999
    place = served_by_tls.removeprefix("grpcs://")
    for arguments, code, told in [
        (["--url", served_by_tls, "--ca", ca], 4, "asks who you are"),
        (["--url", served_by_tls, "--ca", pki.file("other-ca.pem"), "--cert", cert, "--key", key], 4, "is refused: "),
        (["--url", served_by_tls, "--ca", ca, "--cert", pki.file("stranger.pem"), "--key", pki.file("stranger.key")], 4,
         "refuses the certificate --cert"),
        (["--url", place], 4, f"speaks TLS, and --url names it without; write --url {served_by_tls}"),
        (["--url", place, *mutual], 2, f"write --url {served_by_tls}"),
        (["--url", served_by_tls, "--ca", "no.pem"], 2, "--ca 'no.pem' does not exist"),
    ]:  # fmt: skip
        ended = client("info", *arguments, "--timeout-s", 5)
        assert (ended.returncode, told in ended.stderr, ended.stderr.count("\n")) == (code, True, 1), ended.stderr
    monkeypatch.setenv("COCON_CA", ca)
    monkeypatch.setenv("COCON_CERT", cert)
    monkeypatch.setenv("COCON_KEY", key)
    assert client("info", "--url", served_by_tls).returncode == 0
