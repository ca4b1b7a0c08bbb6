"""Who is answered, and what no request reaches."""

import socket
from http.client import HTTPConnection

import pytest

from cocon.client.web.access import Access
from tests.client.web.server import WebServer

PROMISES = {
    "content-security-policy": "default-src 'self'; img-src 'self' blob:; media-src 'self' blob:; object-src 'none'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def test_the_token_gives_a_cookie_that_no_script_and_no_other_page_has(shown: WebServer) -> None:
    opened = shown.ask("GET", shown.address.partition(str(shown.port))[2], cookie="")
    assert opened.status == 200
    name, *marks = opened.headers["set-cookie"].split("; ")
    assert name.startswith(f"cocon_{shown.port}=")
    assert {"HttpOnly", "Path=/", "SameSite=strict"} <= {*marks}
    assert b"token" not in opened.body
    assert shown.get("/").status == 200


def test_a_browser_is_started_with_an_address_that_works_once() -> None:
    access = Access(1234)
    once, always = (url.partition("token=")[2] for url in (access.ticket_url(), access.url))
    assert [access.takes(once), access.takes(once)] == [True, False]
    assert [access.takes(always), access.takes(always)] == [True, True]
    assert not access.takes("")


@pytest.mark.parametrize("cookie", ["", "cocon_1=x", "own=; {name}=guessed"])
def test_without_the_cookie_nothing_is_told(shown: WebServer, cookie: str) -> None:
    sent = cookie.format(name=shown.cookie.partition("=")[0])
    for path in ("/api/index", "/api/videos", "/media/videos/1", "/media/videos/1/still", "/app.css", "/nothing"):
        refused = shown.ask("GET", path, cookie=sent)
        assert (refused.status, refused.error["class"]) == (403, "Forbidden"), path
    page = shown.ask("GET", "/", cookie=sent)
    assert page.status == 403
    assert b"client web" in page.body
    assert shown.ask("GET", "/?token=wrong", cookie=sent).status == 403
    assert shown.ask("POST", "/api/search", {"query": {"video_id": 1}}, cookie=sent).status == 403


def test_a_name_that_somebody_points_at_this_machine_is_none_of_ours(shown: WebServer) -> None:
    for host in (
        "evil.example",
        f"evil.example:{shown.port}",
        "127.0.0.1",
        "127.0.0.1:1",
        f"localhost:{shown.port}.",
        "[",
    ):
        for path in ("/", "/api/index", shown.address.partition(str(shown.port))[2]):
            refused = shown.get(path, Host=host)
            assert (refused.status, refused.headers.get("x-frame-options")) == (403, "DENY"), host
    assert shown.get("/api/index", Host=f"localhost:{shown.port}").status == 200


def test_two_hosts_or_none_are_refused(shown: WebServer) -> None:
    head = f"GET /api/index HTTP/1.{{}}\r\nCookie: {shown.cookie}\r\nConnection: close\r\n{{}}\r\n"
    ours = f"Host: 127.0.0.1:{shown.port}\r\n"
    for request in (head.format(1, ours + "Host: evil.example\r\n"), head.format(0, ""), head.format(1, "")):
        with socket.create_connection(("127.0.0.1", shown.port), timeout=30) as raw:
            raw.sendall(request.encode())
            assert raw.recv(15).split()[1] in (b"400", b"403")


def test_other_pages_of_the_same_browser_ask_in_vain(shown: WebServer) -> None:
    for site in ("cross-site", "same-site"):
        for path in ("/api/index", "/media/videos/1", "/"):
            assert shown.get(path, Sec_Fetch_Site=site, Sec_Fetch_Mode="no-cors").status == 403
        assert shown.get("/", Sec_Fetch_Site=site, Sec_Fetch_Mode="navigate").status == 200, "a link to the page"
    assert shown.get("/api/index", Sec_Fetch_Site="same-origin").status == 200
    query = {"query": {"video_id": 1}}
    ours = f"http://127.0.0.1:{shown.port}"
    for wrong in (
        {"X-CoCon": None},
        {"Origin": None},
        {"Origin": "null"},
        {"Origin": "http://evil.example"},
        {"Origin": f"http://127.0.0.1:{shown.port + 1}"},
        {"Origin": f"http://localhost:{shown.port}"},
        {"Origin": ours, "X-CoCon": "0"},
    ):
        refused = shown.ask("POST", "/api/search", query, headers=wrong)
        assert (refused.status, refused.error["class"]) == (403, "Forbidden"), wrong
    assert shown.ask("POST", "/api/search", query).status == 200


def test_every_answer_says_how_it_is_to_be_treated(shown: WebServer) -> None:
    answers = [
        shown.get("/"),
        shown.get("/api/index"),
        shown.get("/media/videos/1", Range="bytes=0-3"),
        shown.get("/media/videos/1", Range="bytes=99999999-"),
        shown.get("/media/videos/1", Range="cats"),
        shown.get("/nothing"),
        shown.ask("GET", "/", cookie=""),
        shown.ask("PUT", "/api/index", {}, headers=shown.headers()),
    ]
    assert [answer.status for answer in answers] == [200, 200, 206, 416, 400, 404, 403, 405]
    for answer in answers:
        assert {name: answer.headers.get(name) for name in PROMISES} == PROMISES
        assert "server" not in answer.headers
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "path",
    [
        "/../../../../etc/passwd",
        "/..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/%2fetc%2fpasswd",
        "/__init__.py",
        "/../access.py",
        "/index.html%00.css",
        "/media/videos/../../../../etc/passwd",
        "/media/videos/%2fetc%2fpasswd",
        "/media/videos/..%2f1",
        "/media/videos/-1",
        "/media/videos/99",
        "/media/videos/1e0",
        "/media/videos/" + "9" * 5000,
        "/media/videos/9223372036854775808",
        "/media/uploads/..%2f..%2fv0.mp4",
        "/media/uploads/.",
    ],
)
def test_no_path_leads_to_a_file(shown: WebServer, path: str) -> None:
    for asked in (path, path + "/still"):
        refused = shown.get(asked)
        assert refused.status == 404, asked
        assert refused.error["message"]


def test_it_listens_to_this_machine_alone(shown: WebServer) -> None:
    with pytest.raises(OSError):
        HTTPConnection("127.0.0.2", shown.port, timeout=5).request("GET", "/")
