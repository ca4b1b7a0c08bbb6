"""Which proxy the environment names for a host."""

import pytest

from cocon.core.proxies import Proxy, proxy_for, without_credentials

VARIABLES = ("grpc_proxy", "https_proxy", "http_proxy", "no_grpc_proxy", "no_proxy", "NO_PROXY")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)


def test_the_first_variable_of_grpc_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert proxy_for("gpu", 8001) is None
    for variable in ("http_proxy", "https_proxy", "grpc_proxy"):
        monkeypatch.setenv(variable, f"http://me:secret@{variable}:1")
        assert proxy_for("gpu", 8001) == Proxy(variable, f"http://***@{variable}:1")
    assert proxy_for("127.0.0.1", 8001) is None


@pytest.mark.parametrize("variable", ["no_grpc_proxy", "no_proxy", "NO_PROXY"])
@pytest.mark.parametrize(
    ("exempt", "host", "is_exempt"),
    [
        ("*", "gpu.lab.example", True),
        ("gpu.lab.example", "gpu.lab.example", True),
        ("GPU.lab.example", "gpu.LAB.example", True),
        ("other, .lab.example,", "gpu.lab.example", True),
        ("*.lab.example", "gpu.lab.example", True),
        ("gpu.lab.example:8001", "gpu.lab.example", True),
        ("gpu.lab.example:8000", "gpu.lab.example", False),
        ("lab.example.org", "gpu.lab.example", False),
        (", ,", "gpu.lab.example", False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.0.0.0/99 10.1.2.3", "10.1.2.3", True),
        ("fd00::/8", "fd00::5", True),
        ("[fd00::5]", "fd00::5", True),
    ],
)
def test_exempt_hosts(variable: str, exempt: str, host: str, is_exempt: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy:1")
    monkeypatch.setenv(variable, exempt)
    assert (proxy_for(host, 8001) is None) == is_exempt


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://proxy:1", "http://proxy:1"),
        ("http://me:se@cr/et@proxy:1/", "http://***@proxy:1/"),
        ("me:secret@proxy:1", "***@proxy:1"),
        ("socks5://me:s://t@proxy", "socks5://***@proxy"),
    ],
)
def test_credentials_are_hidden(url: str, shown: str) -> None:
    assert without_credentials(url) == shown
