"""From the first line to the last: how a server starts, ends, and lives without what it needs."""

import shutil
import signal
import socket
from pathlib import Path

import psutil
import pytest

from cocon.client import VideoEmbedder, VideoIndex
from tests.client.conftest import Client, contract, make_repository
from tests.client.web.server import WebServer

NOWHERE = "127.0.0.1:1"


def left(private: Path) -> list[str]:
    return [path.name for path in private.iterdir() if "cocon-web" in path.name]


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGINT, 130),
        pytest.param(signal.SIGTERM, 0, marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, 0, marks=pytest.mark.slow),
    ],
)
def test_nothing_is_left_behind(indexed: Path, url: str, tmp_path: Path, number: int, code: int) -> None:
    with WebServer(indexed / "index", url, tmp_path) as server:
        server.wait_ready()
        assert server.post("/api/uploads", (indexed / "videos/left/v0.mp4").read_bytes()).status == 200
        assert server.get("/media/videos/1/still").status == 200
        (folder,) = tmp_path.glob("cocon-web-*")
        assert folder.stat().st_mode & 0o777 == 0o700
        playing = server.connection()  # a film that was paused
        playing.request("GET", "/media/videos/1", headers=server.headers())
        workers = psutil.Process(server.process.pid).children(recursive=True)
        assert workers
        server.process.send_signal(number)
        assert server.ended() == (code, "")
        playing.close()
    assert left(tmp_path) == []
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert alive == []


def test_what_a_killed_server_leaves_the_next_one_removes(indexed: Path, url: str, tmp_path: Path) -> None:
    (tmp_path / "cocon-web-link").symlink_to(indexed)
    with WebServer(indexed / "index", url, tmp_path) as living:
        (own,) = (name for name in left(tmp_path) if name != "cocon-web-link")
        with WebServer(indexed / "index", url, tmp_path) as killed:
            killed.process.kill()
            killed.ended()
        assert len(left(tmp_path)) == 3
        with WebServer(indexed / "index", url, tmp_path):
            assert len(left(tmp_path)) == 3, "that of the killed one is gone"
            assert own in left(tmp_path)
            assert living.get("/media/videos/1/still").status == 200
    assert left(tmp_path) == ["cocon-web-link"]
    assert (indexed / "index").is_dir(), "a link is followed nowhere"


def test_a_command_that_cannot_begin_says_so_in_a_line(indexed: Path, client: Client, process: Client) -> None:
    missing = client("web", "--index", "nowhere", "--no-browser")
    assert (missing.returncode, missing.stdout) == (2, "")
    assert missing.stderr == "error: index 'nowhere' does not exist; make one with 'client index add'\n"
    assert client("web", "--index", indexed / "index", "--limit", "max_bytes=0").returncode == 2
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused = process("web", "--index", indexed / "index", "--no-browser", "--port", port)
    assert (refused.returncode, refused.stdout) == (4, "")
    assert refused.stderr.startswith(f"error: port {port} of 127.0.0.1 cannot be had: Address already in use; name ")


def test_without_a_server_what_is_stored_still_asks(indexed: Path, tmp_path: Path) -> None:
    with WebServer(indexed / "index", NOWHERE, tmp_path) as server:
        embedder = server.wait_ready(False)["embedder"]
        assert (embedder["ready"], embedder["url"]) == (False, NOWHERE)
        assert "server" in embedder["message"]
        assert len(server.post("/api/search", {"query": {"video_id": 1}}).json["hits"]) == 5
        assert server.get("/media/videos/1").status == 200
        upload = server.post("/api/uploads", (indexed / "videos/left/v0.mp4").read_bytes())
        assert upload.status == 200
        answer = server.post("/api/search", {"query": {"upload_id": upload.json["upload_id"]}})
        assert (answer.status, answer.error["class"]) == (503, "ServerError")
        aligned = server.post("/api/alignment", {"query": {"video_id": 1}, "video_id": 2})
        assert (aligned.status, aligned.error["class"]) == (503, "ServerError")


def test_a_model_of_another_index_is_refused_in_words_until_the_right_one_comes(
    indexed: Path, tmp_path: Path, repository: Path
) -> None:
    models = make_repository(tmp_path / "models", contract("rgb", weights="9"))
    with WebServer(indexed / "index", f"local:{models}", tmp_path) as server:
        assert "was made by another model" in server.wait_ready(False)["embedder"]["message"]
        upload = server.post("/api/uploads", (indexed / "videos/left/v0.mp4").read_bytes()).json
        query = {"query": {"upload_id": upload["upload_id"]}}
        answer = server.post("/api/search", query)
        assert (answer.status, answer.error["class"]) == (409, "MismatchError")
        shutil.rmtree(models)
        shutil.copytree(repository, models)
        assert server.post("/api/search", query).json["hits"][0]["video_id"] == 1


def test_an_index_may_be_empty_change_go_and_come_back(indexed: Path, url: str, tmp_path: Path) -> None:
    folder, away = tmp_path / "index", tmp_path / "away"
    shutil.copytree(indexed / "index", folder)
    index = VideoIndex(folder)
    with WebServer(folder, url, tmp_path) as server:
        index.remove([str(indexed / "videos" / "left")])
        assert server.get("/api/videos").json["total"] == 3
        assert server.get("/media/videos/1").status == 404
        index.remove([str(indexed / "videos" / "right")])
        empty = server.get("/api/index").json
        assert (empty["num_videos"], empty["labels"], empty["map"]) == (0, [], "absent")
        assert server.get("/api/videos").json == {"total": 0, "videos": []}
        assert server.post("/api/clusters", {"count": 3}).json == {"clusters": []}
        assert server.get("/api/suggestions").json == {"videos": []}
        upload = server.post("/api/uploads", (indexed / "videos/left/v0.mp4").read_bytes()).json
        assert server.post("/api/search", {"query": {"upload_id": upload["upload_id"]}}).json["hits"] == []
        folder.rename(away)
        for path in ("/api/index", "/api/videos", "/media/videos/1", "/api/map"):
            gone = server.get(path)
            assert (gone.status, gone.error["class"]) == (400, "UsageError"), path
        away.rename(folder)
        with VideoEmbedder(url) as embedder:
            index.add([indexed / "videos" / "left" / "v0.mp4"], embedder)
        assert server.get("/api/index").json["num_videos"] == 1
        (folder / "catalog.sqlite").write_bytes(b"no catalogue")
        damaged = server.get("/api/videos")
        assert (damaged.status, damaged.error["class"]) == (409, "MismatchError")


def test_a_closed_tab_breaks_nothing(shown: WebServer) -> None:
    for _ in range(20):
        connection = shown.connection()
        connection.request("GET", "/media/videos/1/still?at=1.5", headers=shown.headers())
        connection.close()
    assert shown.get("/media/videos/2/still").status == 200
    assert shown.process.poll() is None
