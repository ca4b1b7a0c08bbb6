"""Videos that are named by URLs, from a server on this machine and from fsspec's memory."""

import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath

import fsspec
import pytest

from cocon.client import FailedVideo, VideoEmbedder, VideoEmbedding, VideoIndex
from cocon.client.fetching.remote_files import RemoteFiles
from cocon.client.fetching.urls import is_remote, remote_name
from cocon.core.errors import TimedOutError, TooLargeError, UnreadableVideoError, UsageError
from cocon.core.folder_lock import folder_lock
from cocon.video.decoding.limits import MediaLimits
from tests.client.conftest import Client, write_video


class Server:
    """A folder as a web site, and what was asked of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fetched: list[str] = []
        self.status = 200
        told, site = self.fetched, self

        class Handler(SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                if site.status == 200:
                    told.append(self.path)
                    super().do_GET()
                else:
                    self.send_error(site.status)

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=[0.05], daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def site(tmp_path: Path, videos: list[Path]) -> Iterator[Server]:
    folder = tmp_path / "site"
    folder.mkdir()
    for name, video in zip("abc", videos, strict=False):
        shutil.copy(video, folder / f"{name}.mp4")
    server = Server(folder)
    yield server
    server.close()


def test_urls_are_told_from_paths() -> None:
    for url in ("https://host/a.mp4", "s3://bucket/a b.mp4", "gs://b/x", "http://127.0.0.1:80/a?b=c", "memory://a/b"):
        assert is_remote(url)
        assert remote_name(PurePosixPath(url)) == url
    for name in ("a.mp4", "/https:/a", "file:///a.mp4", "zip://a::https://h/b", "C:/a", "https:///a"):
        assert not is_remote(name)
        assert remote_name(PurePosixPath(name)) is None or name == "https:///a"


def test_an_index_of_urls(client: Client, site: Server, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(f"{site.url}/a.mp4\n{site.url}/gone.mp4\nsite/b.mp4\n")
    arguments = ("index", "add", "@list.txt", f"{site.url}/c.mp4", "--remote", "--cache", "cache", "-q")
    first = client(*arguments)
    assert first.returncode == 3
    assert first.stdout == "index: 3 added, 0 unchanged, 1 failed\n"
    assert f"failed: {site.url}/gone.mp4: does not exist" in first.stderr
    index = VideoIndex(tmp_path / "index")
    assert [video.video for video in index.videos()] == [
        str(tmp_path / "site/b.mp4"), f"{site.url}/a.mp4", f"{site.url}/c.mp4"
    ]  # fmt: skip
    assert [path for path in site.fetched if path != "/gone.mp4"] == ["/a.mp4", "/c.mp4"]
    site.fetched.clear()
    assert client(*arguments).stdout == "index: 0 added, 3 unchanged, 1 failed\n"
    assert [path for path in site.fetched if path != "/gone.mp4"] == []  # they are as they were
    write_video(site.folder / "a.mp4", seed=40)
    os.utime(site.folder / "a.mp4", (1e9, 1e9))
    assert client(*arguments).stdout == "index: 0 added, 1 updated, 2 unchanged, 1 failed\n"
    site.close()
    assert client("index", "prune", "--yes").stdout == "index: 0 pruned\n"
    found = client("search", "site/a.mp4", "--top", "1", "--format", "json")
    assert f"{site.url}/a.mp4" in found.stdout
    assert client("index", "remove", f"{site.url}/a.mp4").stdout == "index: 1 removed\n"


def test_what_is_fetched_is_embedded_like_a_file(client: Client, site: Server, tmp_path: Path) -> None:
    from pyarrow import parquet

    (site.folder / "broken.mp4").write_bytes(b"no video")
    names = ("a.mp4", "broken.mp4", "b.mp4")
    urls = [f"{site.url}/{name}" for name in names]
    fetched = client("embed", *urls, "--remote", "--cache", "cache", "--output", "remote.parquet", "-q")
    here = client("embed", *(f"site/{name}" for name in names), "--output", "here.parquet", "-q")
    assert (fetched.returncode, here.returncode) == (3, 3)
    assert fetched.stderr.replace(site.url, "site") == here.stderr
    one, other = (parquet.read_table(tmp_path / f"{name}.parquet") for name in ("remote", "here"))
    assert one.drop(["video"]).equals(other.drop(["video"]))
    assert set(one["video"].to_pylist()) == {urls[0], urls[2]}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["https://host/a.mp4"], 2, "'https://host/a.mp4' is a URL; download it, or have 'client index add'"),
        (["s3://bucket/a.mp4", "--remote"], 2, "videos of 's3://' need a driver; run: pip install s3fs"),
        (["https://me:secret@host/a.mp4", "--remote"], 2, "the URL of 'host/a.mp4' holds credentials"),
        (["https://me:secret@host/a.mp4"], 2, "'host/a.mp4' is a URL; download it"),
        (["https://host/a.mp4?v=1&X-Amz-Signature=secret", "--remote"], 2, "the URL of 'https://host/a.mp4?…' holds"),
        (["https://host/a.mp4?access%5Ftoken=secret", "--remote"], 2, "the URL of 'https://host/a.mp4?…' holds"),
        (["https://host/a.mp4", "--remote", "--engine", "ray"], 2, "--remote fetches to this machine; with --engine"),
    ],
    ids=["not-asked-for", "no-driver", "credentials", "credentials-alone", "signed", "token", "ray"],
)
def test_what_cannot_be_fetched_is_one_line(client: Client, arguments: list[str], code: int, message: str) -> None:
    finished = client("index", "add", *arguments)
    assert finished.returncode == code
    assert finished.stderr.startswith(f"error: {message}")
    assert finished.stderr.count("\n") == 1
    assert "secret" not in finished.stderr


def test_a_url_in_a_list_is_not_followed_unless_that_is_asked_for(client: Client, site: Server, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(f"{site.url}/a.mp4\nsite/b.mp4\n")
    finished = client("index", "add", "@list.txt", "-q")
    assert (finished.returncode, finished.stdout) == (3, "index: 1 added, 0 unchanged, 1 failed\n")
    assert f"{site.url}/a.mp4" in finished.stderr and "--remote" in finished.stderr
    assert site.fetched == []


def test_a_store_that_is_away_is_not_said_to_lack_the_file(site: Server, tmp_path: Path) -> None:
    files = RemoteFiles(tmp_path / "cache", max_cache_bytes=1 << 30, limits=MediaLimits())
    with pytest.raises(UnreadableVideoError, match=r"does not exist$"):
        files.fetch(f"{site.url}/gone.mp4")
    site.status = 403
    with pytest.raises(UnreadableVideoError, match="cannot be fetched: 403"):
        files.fetch(f"{site.url}/a.mp4")
    site.close()
    with pytest.raises(UnreadableVideoError, match="cannot be fetched: Cannot connect to host"):
        files.fetch(f"{site.url}/a.mp4")


def test_the_cache_holds_what_is_in_use_and_otherwise_no_more_than_it_may(site: Server, tmp_path: Path) -> None:
    sizes = [(site.folder / name).stat().st_size for name in ("a.mp4", "b.mp4")]
    files = RemoteFiles(tmp_path / "cache", max_cache_bytes=max(sizes) + 100, limits=MediaLimits())
    first = files.fetch(f"{site.url}/a.mp4")
    second = files.fetch(f"{site.url}/b.mp4")
    assert first.read_bytes() == (site.folder / "a.mp4").read_bytes()
    assert second.exists()
    files.let_go(first)
    assert not first.exists() and second.exists()
    files.let_go(second)
    assert second.exists()
    assert files.fetch(f"{site.url}/b.mp4") == second
    assert site.fetched.count("/b.mp4") == 1


def test_one_command_uses_a_cache_at_a_time(client: Client, site: Server, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    with folder_lock(tmp_path / "cache", "cache of videos"):
        other = client("index", "add", f"{site.url}/a.mp4", "--remote", "--cache", "cache")
    assert (other.returncode, other.stdout) == (2, "")
    assert other.stderr.startswith("error: cache of videos 'cache' is being written by process")
    assert site.fetched == []


def test_what_a_site_says_is_told_in_short_and_without_its_secrets(site: Server, tmp_path: Path) -> None:
    class Liar(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200)
            self.end_headers()

        def do_GET(self) -> None:
            if "signed" in self.path:
                self.send_response(403)
            elif "moved" in self.path:
                self.send_response(302)
                self.send_header("Location", "/b.mp4?signed=secret")
            else:
                self.send_response(200)
                self.send_header("Content-Length", "1")
            self.end_headers()
            self.wfile.write(b"x" * 30_000)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Liar) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        files = RemoteFiles(tmp_path / "cache", max_cache_bytes=1 << 30, limits=MediaLimits())
        for name in ("moved.mp4", "long.mp4"):
            with pytest.raises(UnreadableVideoError, match="cannot be fetched") as failed:
                files.fetch(f"http://127.0.0.1:{server.server_port}/{name}")
            assert "secret" not in str(failed.value) and len(str(failed.value)) < 500
        server.shutdown()


def test_a_site_that_gives_a_byte_now_and_then_is_not_waited_for(tmp_path: Path) -> None:
    class Slow(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            with suppress(OSError):
                for _ in range(600):
                    self.wfile.write(b"x")
                    time.sleep(0.05)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        limits = MediaLimits(frame_timeout_s=0.1)
        files = RemoteFiles(tmp_path / "cache", max_cache_bytes=1 << 30, limits=limits)
        with pytest.raises(TimedOutError, match="too slowly"):
            files.fetch(f"http://127.0.0.1:{server.server_port}/a.mp4")
        server.shutdown()


def test_what_is_too_large_is_refused_before_and_while_it_is_fetched(site: Server, tmp_path: Path) -> None:
    small = RemoteFiles(tmp_path / "cache", max_cache_bytes=1 << 30, limits=MediaLimits(max_bytes=100))
    with pytest.raises(TooLargeError, match=f"^video '{site.url}/a.mp4' .*max_bytes"):
        small.fetch(f"{site.url}/a.mp4")
    tiny = RemoteFiles(tmp_path / "other", max_cache_bytes=100, limits=MediaLimits())
    with pytest.raises(TooLargeError, match="more than the cache may hold"):
        tiny.fetch(f"{site.url}/a.mp4")
    assert site.fetched == []
    assert not [*(tmp_path / "cache").iterdir()]


def test_stores_of_fsspec_are_read(url: str, videos: list[Path], tmp_path: Path) -> None:
    from cocon.client.fetching.remote_embedder import RemoteSettings
    from cocon.client.pipeline.embedder_settings import EmbedderSettings

    memory = fsspec.filesystem("memory")
    memory.pipe("/bucket/a b.mp4", videos[0].read_bytes())
    files = RemoteFiles(tmp_path / "cache", max_cache_bytes=1 << 30, limits=MediaLimits())
    names = ["memory://bucket/none.mp4", "memory://bucket/a b.mp4", str(videos[1]), "memory://bucket/none2.mp4"]
    with RemoteSettings(EmbedderSettings(url), files).open() as embedder, VideoEmbedder(url) as plain:
        missing, found, here, last = embedder.embed_many(names)
        expected = plain.embed(videos[0])
    assert isinstance(missing, FailedVideo) and isinstance(missing.error, UnreadableVideoError)
    assert isinstance(found, VideoEmbedding) and isinstance(here, VideoEmbedding) and isinstance(last, FailedVideo)
    assert [missing.video, found.video, here.video, last.video] == names
    assert found.embedding.tobytes() == expected.embedding.tobytes()
    with pytest.raises(UsageError, match="need a driver"):
        files.check(["gs://bucket/a.mp4"])
