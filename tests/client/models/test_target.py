"""What `--url` may say, and what is said where it says something else."""

from pathlib import Path

import pytest

from cocon.client.models.target import Target
from cocon.core.errors import UsageError


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("127.0.0.1:8001", "127.0.0.1:8001"),
        ("grpc://gpu:8001", "gpu:8001"),
        ("GRPC://LOCALHOST:8001/", "LOCALHOST:8001"),
        (" gpu:8001\n", "gpu:8001"),
        ("[::1]:8001", "[::1]:8001"),
        ("grpc://[fe80::1%eth0]:8001", "[fe80::1%eth0]:8001"),
        ("127.1:8001", "127.0.0.1:8001"),
        ("unix:/run/triton", "unix:/run/triton"),
        ("unix:///run/triton", "unix:/run/triton"),
    ],
)
def test_forms(url: str, name: str) -> None:
    target = Target.parse(url)
    assert (target.name, target.url, target.is_tls) == (name, name, False)


def test_tls() -> None:
    target = Target.parse("GRPCS://gpu:8001/")
    assert (target.name, target.url, target.is_tls) == ("gpu:8001", "grpcs://gpu:8001", True)


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("", "such as --url 127.0.0.1:8001"),
        ("grpc://", "such as --url 127.0.0.1:8001"),
        ("grpcs://gpu", "name the port too: --url grpcs://gpu:8001"),
        ("grpcs://::1", "in brackets, before the port: --url grpcs://[::1]:8001"),
        ("tcp://gpu:8001", "such as --url 127.0.0.1:8001"),
        ("localhost", "name the port too: --url localhost:8001"),
        (":8001", "name the host too: --url 127.0.0.1:8001"),
        ("::1", "in brackets, before the port: --url [::1]:8001"),
        ("[::1]", "in brackets, before the port: --url [::1]:8001"),
        ("::1:8005", "in brackets, before the port: --url [::1]:8005"),
        ("gpu:", "a port is a number"),
        ("gpu:port", "a port is a number"),
        ("gpu:\u00b2", "a port is a number"),
        ("gpu:0", "a port is a number"),
        ("gpu:65536", "a port is a number"),
        ("gpu:8001/v2", "neither a user nor a path in it: --url gpu:8001"),
        ("grpc://me:secret@gpu:8001", "neither a user nor a path in it: --url gpu:8001"),
        ("http://gpu:8000", "the client speaks gRPC, to another port than HTTP: --url gpu:8001"),
        ("https://gpu:9001/v2", "to another port than HTTP: --url grpcs://gpu:9001"),
        ("HTTP://[::1]", "to another port than HTTP: --url [::1]:8001"),
        ("models", "for that folder: --url local:models"),
    ],
)
def test_other_forms_are_refused_with_what_to_write(
    url: str, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    with pytest.raises(UsageError) as caught:
        Target.parse(url)
    assert remedy in str(caught.value)
    assert "is neither HOST:PORT, grpcs://HOST:PORT nor local:FOLDER" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_brackets_are_for_addresses() -> None:
    with pytest.raises(UsageError, match="'gpu' is no IPv6 address; write it without brackets"):
        Target.parse("[gpu]:8001")
