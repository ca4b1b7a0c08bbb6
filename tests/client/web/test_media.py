"""Files of an index to a browser: in parts, and only as long as they are what was indexed."""

import os
import shutil
from pathlib import Path

import pytest

from cocon.client import VideoEmbedder, VideoIndex
from tests.client.conftest import write_video
from tests.client.web.server import WebServer

SECRET = b"a file that is none of the index"


def test_files_come_in_the_parts_that_are_asked_for(shown: WebServer, indexed: Path) -> None:
    whole = (indexed / "videos" / "left" / "v0.mp4").read_bytes()
    size = len(whole)
    answer = shown.get("/media/videos/1")
    assert (answer.status, answer.body, answer.headers["content-type"]) == (200, whole, "video/mp4")
    assert answer.headers["accept-ranges"] == "bytes"
    for asked, begin, end in (
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        (f"bytes={size - 5}-", size - 5, size),
        ("bytes=-7", size - 7, size),
        (f"bytes=5-{size * 2}", 5, size),
    ):
        answer = shown.get("/media/videos/1", Range=asked)
        assert (answer.status, answer.body) == (206, whole[begin:end]), asked
        assert answer.headers["content-range"] == f"bytes {begin}-{end - 1}/{size}"
    several = shown.get("/media/videos/1", Range="bytes=0-1,8-9")
    assert several.status == 206
    assert several.headers["content-type"].startswith("multipart/byteranges")
    beyond = shown.get("/media/videos/1", Range=f"bytes={size}-")
    assert (beyond.status, beyond.headers["content-range"]) == (416, f"bytes */{size}")
    assert shown.get("/media/videos/1", Range=f"bytes=-{size * 2}").status in (206, 416)  # before Starlette 1
    for wrong in ("bytes=", "bytes=9-3", "bytes=x-y", "cats=1-2"):
        assert shown.get("/media/videos/1", Range=wrong).status in (200, 400, 416), wrong
    old = shown.get("/media/videos/1", Range="bytes=0-1", If_Range='"another"')
    assert (old.status, old.body) == (200, whole)
    head = shown.ask("HEAD", "/media/videos/1")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(size))


def test_stills_are_whole_pictures_of_the_size_that_is_asked_for(shown: WebServer) -> None:
    import cv2
    import numpy as np

    for asked, shape in (("at=0.5&px=48", (36, 48)), ("at=99&px=9999", (48, 64)), ("", (48, 64))):
        answer = shown.get(f"/media/videos/1/still?{asked}")
        assert (answer.status, answer.headers["content-type"]) == (200, "image/jpeg")
        pixels = cv2.imdecode(np.frombuffer(answer.body, np.uint8), cv2.IMREAD_COLOR)
        assert pixels is not None
        assert pixels.shape[:2] == shape
    for wrong in ("at=-1", "at=nan", "at=x", "px=inf"):
        assert shown.get(f"/media/videos/1/still?{wrong}").error["class"] == "UsageError"


def test_films_of_moments_are_short(shown: WebServer) -> None:
    film = shown.get("/media/videos/1?preview=0.5-1.5")
    assert (film.status, film.headers["content-type"]) == (200, "video/mp4")
    assert film.body[4:8] == b"ftyp"
    for wrong in ("", "1", "1-1", "2-1", "0-21", "a-b", "-1-2", "0-1e9"):
        assert shown.get(f"/media/videos/1?preview={wrong}").error["class"] == "UsageError", wrong


@pytest.fixture
def changing(tmp_path: Path, url: str) -> tuple[Path, VideoIndex]:
    """A folder of eight videos, whose numbers are one less than their ids, and an index of them."""
    folder = tmp_path / "videos"
    paths = [write_video(folder / f"v{number}.mp4", seed=number) for number in range(8)]
    for path in paths:
        os.utime(path, (1e9, 1e9))
    index = VideoIndex(tmp_path / "index")
    with VideoEmbedder(url) as embedder:
        assert index.add(paths, embedder).added == 8
    return folder, index


def test_what_is_in_the_place_of_an_indexed_file_is_not_told(
    changing: tuple[Path, VideoIndex], url: str, tmp_path: Path
) -> None:
    folder, index = changing
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(SECRET)
    original = (folder / "v0.mp4").read_bytes()
    with WebServer(index.folder, url, tmp_path) as server:
        assert [server.get(f"/media/videos/{number}").status for number in range(1, 9)] == [200] * 8
        (folder / "v0.mp4").unlink()
        (folder / "v0.mp4").symlink_to(secret)
        (folder / "v1.mp4").write_bytes(SECRET)
        padded = SECRET.ljust((folder / "v2.mp4").stat().st_size)
        (folder / "v2.mp4").write_bytes(padded)
        os.utime(folder / "v2.mp4", (1e9, 1e9))  # of the same size, and of the same age
        (folder / "v3.mp4").unlink()
        (folder / "v4.mp4").unlink()
        os.mkfifo(folder / "v4.mp4")
        (folder / "v5.mp4").unlink()
        (folder / "v5.mp4").mkdir()
        (folder / "v6.mp4").rename(folder / "aside.mp4")
        shutil.copy(folder / "aside.mp4", folder / "v6.mp4")
        os.utime(folder / "v7.mp4")
        for number, status in ((1, 409), (2, 409), (3, 409), (4, 410), (5, 409), (6, 409)):
            for path in (f"/media/videos/{number}", f"/media/videos/{number}/still?at=1", "?preview=0-1"):
                asked = path if path.startswith("/") else f"/media/videos/{number}{path}"
                answer = server.get(asked)
                assert (answer.status, SECRET in answer.body) == (status, False), asked
                assert answer.error["remedy"]
        assert server.get("/media/videos/7").status == 200, "a copy is the same content"
        assert server.get("/media/videos/8").status == 200, "it was only touched"
        assert server.get("/media/videos/8/still").status == 200
        hits = server.post("/api/search", {"query": {"video_id": 1}}).json["hits"]
        assert len(hits) == 7, "what is stored still asks, and is found"
        assert {hit["plays"] for hit in hits if hit["video_id"] in (2, 3)} == {False}
        (folder / "v0.mp4").unlink()
        (folder / "v0.mp4").write_bytes(original)
        assert server.get("/media/videos/1").body == original, "it is back"
