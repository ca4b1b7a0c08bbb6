"""What the backend does with the bytes of a video, with encoders of this process in place of the server's."""

import os
import runpy
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cocon.client import VideoEmbedder
from cocon.client.models.connect import connect
from cocon.core.errors import (
    CoconError,
    MissingViewError,
    ServerError,
    TimedOutError,
    TooLargeError,
    UsageError,
    VideoError,
)
from cocon.serving.backends.cocon_video.asked import Asked
from cocon.serving.backends.cocon_video.embedding_service import CancelledRequestError, EmbeddingService
from cocon.serving.backends.cocon_video.kept_file import FileKeeper
from cocon.video.decoding.limits import MediaLimits
from cocon.video.following.rule import Following
from cocon.video.pictures.encode import write_mp4
from tests.client.conftest import contract, make_repository, write_video
from tests.disks import full_disk

pytestmark = pytest.mark.videos


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("repository")
    return f"local:{make_repository(root, contract('rgb'), contract('flow', weights='2'), contract('depth'))}"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def service(url: str, files: Path) -> Iterator[EmbeddingService]:
    with EmbeddingService(connect(url), MediaLimits(max_bytes=1 << 20), deadline_s=60) as opened:
        yield opened


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("films") / "a.mp4", seed=1)


def content(path: Path) -> "np.ndarray[tuple[int], np.dtype[np.uint8]]":
    return np.fromfile(path, np.uint8)


def left(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]


@pytest.mark.parametrize(("views", "overlap"), [(("rgb",), 0.0), (("rgb",), 0.5), (("flow", "rgb"), 0.5)])
def test_it_gives_the_rows_of_the_client(
    service: EmbeddingService, url: str, video: Path, files: Path, views: tuple[str, ...], overlap: float
) -> None:
    with VideoEmbedder(url, views=views, overlap=overlap) as embedder:
        expected = embedder.embed(video)
    answer = service.embed(content(video), Asked(views, overlap, str(video)))
    assert len(expected) > 2
    for row, other in zip(answer.embedding.rows(), expected.rows(), strict=True):
        np.testing.assert_allclose(row.pop("embedding"), other.pop("embedding"), atol=1e-6)  # type: ignore[arg-type]
        assert row == other
    assert expected.probabilities is not None and answer.embedding.probabilities is not None
    np.testing.assert_allclose(answer.embedding.probabilities, expected.probabilities, atol=1e-6)
    assert sorted(answer.views) == sorted(views)
    assert left(files) == []


def test_it_follows_people_as_the_client_does(video_of_person: Path, tmp_path: Path, files: Path) -> None:
    plain = contract("rgb")
    followed = replace(plain, geometry=replace(plain.geometry, following=Following()))
    told = {}
    for name, one in {"plain": plain, "followed": followed}.items():
        url = f"local:{make_repository(tmp_path / name, one)}"
        with VideoEmbedder(url) as embedder:
            expected = embedder.embed(video_of_person)
        with EmbeddingService(connect(url), MediaLimits(), deadline_s=60) as opened:
            answer = opened.embed(content(video_of_person), Asked(name=str(video_of_person)))
        np.testing.assert_allclose(answer.embedding.embedding, expected.embedding, atol=1e-6)
        told[name] = expected.embedding
    assert np.abs(told["plain"] - told["followed"]).max() > 1e-3


@pytest.fixture(scope="module")
def video_of_person(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn person at the left of a wide picture."""
    person = runpy.run_path(str(Path(__file__).parents[3] / "video" / "person.py"))["draw_person"]()[0]
    picture = np.full((400, 800, 3), (200, 205, 210), np.uint8)
    picture[40:360, 20:360] = person
    path = tmp_path_factory.mktemp("person") / "a.mp4"
    write_mp4(path, ((index / 10, picture) for index in range(12)))
    return path


@pytest.mark.parametrize("kind", ["empty", "text", "cut", "playlist"])
def test_its_errors_are_those_of_the_client(
    service: EmbeddingService, url: str, video: Path, tmp_path: Path, files: Path, kind: str
) -> None:
    whole = video.read_bytes()
    text = {
        "empty": b"",
        "text": b"no video\n",
        "cut": whole[: len(whole) // 2],
        "playlist": b"#EXTM3U\nhttp://a/b.ts\n",
    }
    path = tmp_path / f"{kind} \x1b[31m.mp4"
    path.write_bytes(text[kind])
    with VideoEmbedder(url) as embedder, pytest.raises(VideoError) as expected:
        embedder.embed(path)
    with pytest.raises(VideoError) as found:
        service.embed(content(path), Asked(name=str(path)))
    assert (type(found.value), str(found.value)) == (type(expected.value), str(expected.value))
    assert left(files) == []


def test_a_video_that_is_too_large_is_not_even_kept(service: EmbeddingService) -> None:
    message = r"video 'a.mp4' has 1,048,577 bytes, the limit max_bytes is 1,048,576; who serves it raises it with cocon"
    with pytest.raises(TooLargeError, match=message):
        service.embed(np.zeros((1 << 20) + 1, np.uint8), Asked(name="a.mp4"))


def test_a_full_disk_is_the_servers_fault(service: EmbeddingService, files: Path) -> None:
    with full_disk(), pytest.raises(ServerError, match="the server has no room for the video: File too large; try"):
        service.embed(np.zeros(1 << 10, np.uint8), Asked())
    assert left(files) == []


def test_what_is_not_there_is_said_and_the_next_video_works(service: EmbeddingService, video: Path) -> None:
    with pytest.raises(UsageError, match="view 'smell'"):
        service.embed(content(video), Asked(("smell",)))
    with pytest.raises(MissingViewError, match="view 'depth' of video"):
        service.embed(content(video), Asked(("depth",)))
    partly = service.embed(content(video), Asked(("depth", "rgb"), name="a.mp4"))
    assert partly.embedding.view == "rgb" and list(partly.embedding.missing) == ["depth"]
    assert partly.notes == tuple(partly.embedding.missing.values())


@pytest.mark.parametrize(
    ("is_cancelled", "deadline_s", "error"), [(True, 60.0, CancelledRequestError), (False, 0.0, TimedOutError)]
)
def test_who_waits_no_longer_and_what_takes_too_long_ends(
    url: str, files: Path, tmp_path: Path, is_cancelled: bool, deadline_s: float, error: type[CoconError]
) -> None:
    long = write_video(tmp_path / "long.mp4", seed=2, num_frames=4000)
    with EmbeddingService(connect(url), MediaLimits(), deadline_s=deadline_s) as service:
        with pytest.raises(error):
            service.embed(content(long), Asked(name="long.mp4"), is_cancelled=lambda: is_cancelled)
        assert left(files) == []


def test_what_a_killed_worker_has_left_is_removed_and_nothing_else(files: Path) -> None:
    dead, others, busy = files / "cocon-video-dead", files / "cocon-other", FileKeeper()
    for folder in (dead, others):
        folder.mkdir()
        (folder / ".lock").touch()
        (folder / "video.mp4").touch()
    (link := files / "cocon-video-link").symlink_to(others)
    for folder in files.iterdir():
        os.utime(folder, (0, 0), follow_symlinks=False)
    with FileKeeper():
        assert sorted(path.name for path in files.iterdir() if path.name in (dead.name, others.name, link.name)) == [
            others.name,
            link.name,
        ]
        assert len(list(files.glob("cocon-video-*"))) == 3  # the link, and two of those who live
    busy.close()
    assert [path.name for path in files.glob("cocon-video-*")] == [link.name]
