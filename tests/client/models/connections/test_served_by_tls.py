"""A Triton that asks for certificates, and the command `client` before it."""

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cocon.client import Credentials, connect
from cocon.serving.address import Address
from cocon.serving.command_line import server_command
from cocon.serving.installation import find_installation
from tests.client.conftest import Client, contract
from tests.client.models.conftest import write_config
from tests.client.models.connections.conftest import Pki

pytestmark = [pytest.mark.triton, pytest.mark.videos]


@pytest.fixture(scope="module")
def served_by_tls(repository: Path, pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its URL."""
    folder, address = tmp_path_factory.mktemp("tls") / "model_repository", Address.on_free_ports()
    shutil.copytree(repository, folder)
    for model in (contract("rgb"), contract("flow", weights="2")):
        write_config(folder / f"cocon_{model.view}", model, "onnxruntime")
    installation = find_installation(folder)
    command = [
        *server_command(installation, folder, address, {}),
        "--grpc-use-ssl=1",
        "--grpc-use-ssl-mutual=1",
        f"--grpc-server-cert={pki.file('server.pem')}",
        f"--grpc-server-key={pki.file('server.key')}",
        f"--grpc-root-cert={pki.file('ca.pem')}",
    ]
    with (folder.parent / "log").open("wb") as log:
        process = subprocess.Popen(
            command, env=dict(installation.environment), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/"
        )
    url = f"grpcs://{address.url}"
    try:
        shown = Credentials(pki.file("ca.pem"), pki.file("me.pem"), pki.file("me.key"))
        host = connect(url, deadline_s=300, awaits_start=True, credentials=shown)
        while "rgb" not in host.views:
            time.sleep(0.1)
        host.close()
        yield url
    finally:
        process.terminate()
        process.wait(60)


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
