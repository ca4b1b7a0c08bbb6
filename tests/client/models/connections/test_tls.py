"""TLS both ways: who is let in, and what is said to whom who is not."""

import pytest

from cocon.client.models.connections.credentials import NO_CREDENTIALS, Credentials
from cocon.client.models.server import TritonServer
from cocon.core.errors import ServerError
from tests.certificates import Pki
from tests.client.models.conftest import Flaky, serving
from tests.client.models.connections.conftest import serving_tls


def software(url: str, credentials: Credentials = NO_CREDENTIALS) -> str:
    with TritonServer(url, timeout_s=5.0, credentials=credentials) as server:
        return server.software


def refusal(url: str, credentials: Credentials = NO_CREDENTIALS) -> str:
    with pytest.raises(ServerError) as caught:
        software(url, credentials)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_server_that_shows_a_signed_certificate_is_asked(pki: Pki) -> None:
    with serving_tls(pki) as url:
        assert software(url, Credentials(ca=pki.file("ca.pem"))) == "triton 2.0"
        assert software(url.replace("127.0.0.1", "localhost"), Credentials(ca=pki.file("ca.pem"))) == "triton 2.0"


def test_both_show_certificates(pki: Pki) -> None:
    with serving_tls(pki, is_mutual=True) as url:
        shown = Credentials(pki.file("ca.pem"), pki.file("me.pem"), pki.file("me.key"))
        assert software(url, shown) == "triton 2.0"


@pytest.mark.parametrize(
    ("name", "ca", "told"),
    [
        ("server", None, "name the certificate of who signed it: --ca FILE"),
        ("server", "other-ca.pem", "must hold the certificate of who signed it"),
        ("elsewhere", "ca.pem", "IP address mismatch, certificate is not valid for '127.0.0.1'; name the server as"),
        ("expired", "ca.pem", "certificate has expired; the server needs a new one"),
    ],
)
def test_a_certificate_that_shows_nothing_is_refused(name: str, ca: str | None, told: str, pki: Pki) -> None:
    with serving_tls(pki, name) as url:
        said = refusal(url, Credentials(ca=ca and pki.file(ca)))
    assert said.startswith(f"the certificate of server {url.removeprefix('grpcs://')} is refused: ")
    assert told in said


def test_a_server_that_asks_who_asks_is_told_nothing_without_a_certificate(pki: Pki) -> None:
    with serving_tls(pki, is_mutual=True) as url:
        said = refusal(url, Credentials(ca=pki.file("ca.pem")))
        assert "asks who you are" in said
        assert "show a certificate: --cert FILE --key FILE" in said
        said = refusal(url, Credentials(pki.file("ca.pem"), pki.file("stranger.pem"), pki.file("stranger.key")))
        assert f"refuses the certificate --cert '{pki.file('stranger.pem')}'" in said


def test_tls_where_there_is_none_and_none_where_there_is(pki: Pki) -> None:
    with serving_tls(pki) as url:
        place = url.removeprefix("grpcs://")
        assert refusal(place) == f"server {place} speaks TLS, and --url names it without; write --url {url}"
    with serving_tls(pki, is_mutual=True) as url:
        assert "speaks TLS, and --url names it without" in refusal(url.removeprefix("grpcs://"))
    with serving(Flaky()) as place:
        assert f"server {place} speaks no TLS" in refusal(f"grpcs://{place}", Credentials(ca=pki.file("ca.pem")))


def test_a_wrong_certificate_is_waited_for_by_nobody(pki: Pki) -> None:
    with (
        serving_tls(pki, "expired") as url,
        TritonServer(url, deadline_s=600, awaits_start=True, credentials=Credentials(ca=pki.file("ca.pem"))) as server,
        pytest.raises(ServerError, match="certificate has expired"),
    ):
        _ = server.software


def test_another_server_is_asked_where_a_certificate_is_refused(pki: Pki) -> None:
    with serving_tls(pki, "expired") as expired, serving_tls(pki) as url:
        assert software(f"{expired},{url}", Credentials(ca=pki.file("ca.pem"))) == "triton 2.0"
        for other in ("grpcs://127.0.0.2:9", expired.replace("127.0.0.1", "localhost")):
            assert " is refused: " in refusal(f"{expired},{other}", Credentials(ca=pki.file("ca.pem")))


def test_nobody_there_is_that_by_tls_too(pki: Pki) -> None:
    assert "no Triton server answers at 127.0.0.1:9" in refusal("grpcs://127.0.0.1:9")
