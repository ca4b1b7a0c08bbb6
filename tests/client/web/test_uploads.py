"""Videos that are dropped on the page: within bounds, and from anybody."""

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.client.conftest import write_video
from tests.client.web.server import WebServer

MAX_BYTES, STOP_S = 200_000, 3.0


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("private")


@pytest.fixture(scope="module")
def bounded(indexed: Path, url: str, private: Path) -> Iterator[WebServer]:
    """A server that takes little."""
    limits = (f"max_bytes={MAX_BYTES}", "max_seconds=3", f"frame_timeout_s={STOP_S}")
    options = tuple(part for limit in limits for part in ("--limit", limit))
    with WebServer(indexed / "index", url, private, options) as server:
        server.wait_ready()
        yield server


def kept(private: Path) -> set[str]:
    """Files of videos in the private folder."""
    return {path.name for path in private.glob("*/*/video*")}


def raw_upload(server: WebServer, *, declared: int | None = None) -> socket.socket:
    """An upload whose body is still to come."""
    raw = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    length = "Transfer-Encoding: chunked" if declared is None else f"Content-Length: {declared}"
    sent = "".join(f"{name}: {text}\r\n" for name, text in server.headers().items())
    raw.sendall(f"POST /api/uploads HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n{sent}{length}\r\n\r\n".encode())
    return raw


def answered(raw: socket.socket) -> tuple[int, dict[str, str]]:
    """Status and error of what comes back."""
    content = b""
    while chunk := raw.recv(65536):
        content += chunk
        head, mark, body = content.partition(b"\r\n\r\n")
        if mark and body.endswith(b"}}"):
            break
    return int(head.split()[1]), json.loads(body)["error"]


def test_an_upload_finds_what_is_like_it(bounded: WebServer, indexed: Path) -> None:
    video = (indexed / "videos" / "left" / "v2.mp4").read_bytes()
    taken = bounded.post("/api/uploads", video, X_File_Name=quote("übung <b>.mp4")).json
    assert (taken["name"], taken["bytes"], taken["duration_seconds"], taken["plays"]) == (
        "übung <b>.mp4",
        len(video),
        2.0,
        True,
    )
    query = {"upload_id": taken["upload_id"]}
    answer = bounded.post("/api/search", {"query": query}).json
    assert (answer["hits"][0]["video_id"], answer["hits"][0]["score"]) == (3, 1.0)
    assert sum(found["probability"] for found in answer["classes"]) <= 1.0 + 1e-6
    part = bounded.post("/api/search", {"query": query | {"start_seconds": 1.2}, "all_moments": True}).json
    assert {hit["query_start_seconds"] for hit in part["hits"]} <= {1.2, 1.6}
    assert bounded.get(taken["media"], Range="bytes=0-9").body == video[:10]
    assert bounded.get(taken["still"]).headers["content-type"] == "image/jpeg"
    mixed = {"query": {"video_id": 1}, "liked": [query], "unliked": [{"video_id": 6}]}
    assert bounded.post("/api/search", mixed).status == 200


def test_names_of_uploads_are_shown_and_nothing_else(bounded: WebServer, indexed: Path, private: Path) -> None:
    video = (indexed / "videos" / "left" / "v0.mp4").read_bytes()
    for given, shown in (
        ("../../etc/passwd", "passwd"),
        ("C:\\films\\a.mp4", "a.mp4"),
        ("a\nb\u202e.mp4", "a\\x0ab\\xe2\\x80\\xae.mp4"),
        ("", "video"),
        ("x" * 5000, "x" * 200),
        ("%", "%"),
    ):
        assert bounded.post("/api/uploads", video, X_File_Name=quote(given)).json["name"] == shown
    assert kept(private) <= {"video", "video.mp4"}


def test_what_is_no_video_is_refused_and_not_kept(bounded: WebServer, indexed: Path, private: Path) -> None:
    before = len([*private.glob("*/*/video*")])
    video = (indexed / "videos" / "left" / "v0.mp4").read_bytes()
    for content, status in (
        (b"", 400),
        (b"no video at all", 422),
        (b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", 422),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", 422),
        (video[: len(video) // 3], 422),
        (b"<script>alert(1)</script>" * 100, 422),
    ):
        answer = bounded.post("/api/uploads", content, X_File_Name="bad.mp4")
        assert answer.status == status, content[:20]
        assert str(private) not in answer.body.decode()
        if status == 422:
            assert "bad.mp4" in answer.error["message"]
    assert len([*private.glob("*/*/video*")]) == before


def test_what_decodes_only_in_part_is_said_when_it_asks(bounded: WebServer, indexed: Path) -> None:
    assert bounded.post("/api/search", {"query": {"upload_id": "guessed"}}).status == 404
    assert bounded.get("/media/uploads/guessed").status == 404
    assert bounded.get("/media/uploads/guessed/still").status == 404


def test_too_many_bytes_are_refused_before_and_while_they_come(bounded: WebServer, private: Path) -> None:
    before = len([*private.glob("*/*/video*")])
    with raw_upload(bounded, declared=MAX_BYTES + 1) as raw:
        status, error = answered(raw)  # of no byte that was sent
    assert (status, error["class"]) == (413, "TooLargeError")
    assert f"{MAX_BYTES:,}" in error["message"]
    with raw_upload(bounded) as raw:
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        raw.sendall(chunk * 4)
        status, _ = answered(raw)
    assert status == 413
    assert len([*private.glob("*/*/video*")]) == before


def test_a_video_that_lasts_too_long_is_refused(bounded: WebServer, tmp_path: Path) -> None:
    long = write_video(tmp_path / "long.mp4", seed=1, num_frames=50).read_bytes()
    answer = bounded.post("/api/uploads", long, X_File_Name="long.mp4")
    assert (answer.status, answer.error["class"]) == (413, "TooLargeError")
    assert "max_seconds" in answer.error["message"]


def test_uploads_that_stop_are_ended_and_keep_nobody_waiting(bounded: WebServer, indexed: Path, private: Path) -> None:
    before = len([*private.glob("*/*/video*")])
    waiting = [raw_upload(bounded, declared=1000) for _ in range(4)]
    for raw in waiting:
        raw.sendall(b"half of it")
    time.sleep(0.3)
    begun = time.monotonic()
    assert bounded.post("/api/search", {"query": {"video_id": 1}}).status == 200
    video = (indexed / "videos" / "left" / "v1.mp4").read_bytes()
    assert bounded.post("/api/uploads", video).status == 429
    assert time.monotonic() - begun < STOP_S, "others were kept waiting"
    waiting.pop().close()  # a tab that is closed
    for raw in waiting:
        status, error = answered(raw)
        assert (status, error["class"]) == (408, "RequestTimeout")
        raw.close()
    assert bounded.post("/api/uploads", video).status == 200
    assert len([*private.glob("*/*/video*")]) <= max(before + 1, 8)
    assert not [path for path in private.glob("*/*/video*") if path.read_bytes() == b"half of it"]


def test_of_many_uploads_the_last_are_kept(bounded: WebServer, indexed: Path, private: Path) -> None:
    video = (indexed / "videos" / "left" / "v1.mp4").read_bytes()
    ids = [bounded.post("/api/uploads", video).json["upload_id"] for _ in range(10)]
    assert [bounded.get(f"/media/uploads/{each}").status for each in ids] == [404] * 2 + [200] * 8
    assert len([*private.glob("*/*/video*")]) == 8
    assert bounded.post("/api/search", {"query": {"upload_id": ids[0]}}).error["remedy"] == "upload the video again"


@pytest.mark.slow
def test_an_upload_that_drips_is_ended(indexed: Path, url: str, tmp_path: Path) -> None:
    with WebServer(indexed / "index", url, tmp_path, ("--limit", "frame_timeout_s=0.4")) as server:
        begun = time.monotonic()
        with raw_upload(server, declared=10_000) as raw:
            while time.monotonic() - begun < 30:
                try:
                    raw.sendall(b"x")
                except OSError:
                    break
                time.sleep(0.1)
        assert time.monotonic() - begun < 20
