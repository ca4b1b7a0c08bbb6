"""Where a server listens, in the forms in which hosts are written."""

import socket

import pytest

from cocon.core.errors import ServerError
from cocon.serving.address import Address


@pytest.mark.parametrize(
    ("host", "interface", "url"),
    [
        ("127.0.0.1", "127.0.0.1", "127.0.0.1:8001"),
        ("127.1", "127.0.0.1", "127.1:8001"),
        ("localhost", "127.0.0.1", "localhost:8001"),
        ("LOCALHOST", "127.0.0.1", "LOCALHOST:8001"),
        ("::1", "::1", "[::1]:8001"),
        ("[::1]", "::1", "[::1]:8001"),
        ("::ffff:127.0.0.1", "127.0.0.1", "[::ffff:127.0.0.1]:8001"),
    ],
)
def test_the_interface_is_a_number(host: str, interface: str, url: str) -> None:
    address = Address(host)
    assert (address.interface, address.url, address.is_loopback) == (interface, url, True)


def test_a_name_that_is_no_host_is_refused() -> None:
    with pytest.raises(ServerError, match=r"--host 'nothing\.invalid' is no address of this machine"):
        Address("nothing.invalid").check_free()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_port_in_use_is_named(host: str) -> None:
    address = Address.on_free_ports(host)
    address.check_free()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with (
        socket.create_server((host, address.metrics_port), family=family),
        pytest.raises(
            ServerError, match="Address already in use; end what uses it, or choose another with --metrics-port"
        ),
    ):
        address.check_free()


def test_a_host_of_another_machine_is_refused() -> None:
    with pytest.raises(
        ServerError, match=r"192\.0\.2\.1:8001: Cannot assign requested address; name an address of this"
    ):
        Address("192.0.2.1").check_free()
