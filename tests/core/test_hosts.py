"""Which hosts are this machine."""

import socket

import pytest

from cocon.core.hosts import is_loopback, is_this_machine, with_port


@pytest.mark.parametrize(
    ("host", "loopback", "here"),
    [
        ("127.0.0.1", True, True),
        ("127.255.0.9", True, True),
        ("127.1", True, True),
        ("::1", True, True),
        ("[::1]", True, True),
        ("::1%lo", True, True),
        ("0:0:0:0:0:0:0:1", True, True),
        ("::ffff:127.0.0.1", True, True),
        ("localhost", True, True),
        ("LocalHost.", True, True),
        ("triton.localhost", True, True),
        ("0.0.0.0", False, True),
        ("::", False, True),
        (socket.gethostname(), False, True),
        ("fe80::1%eth0", False, False),
        ("128.0.0.1", False, False),
        ("localhost.example", False, False),
        ("127.0.0.1.example", False, False),
        ("", False, False),
    ],
)
def test_hosts(host: str, loopback: bool, here: bool) -> None:
    assert (is_loopback(host), is_this_machine(host)) == (loopback, here)


def test_an_ipv6_address_stands_in_brackets() -> None:
    assert [with_port(host, 1) for host in ("gpu", "1.2.3.4", "::1", "[::1]")] == [
        "gpu:1",
        "1.2.3.4:1",
        "[::1]:1",
        "[::1]:1",
    ]
