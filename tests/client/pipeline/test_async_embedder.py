"""Embedding from coroutines: the same vectors, side by side, and called off at any time."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from cocon.client import AsyncVideoEmbedder, FailedVideo, VideoEmbedder, VideoEmbedding
from cocon.client.pipeline.embedder_settings import EmbedderSettings
from cocon.core.errors import ServerError, UnreadableVideoError, UsageError
from tests.client.conftest import write_video


@pytest.fixture
def expected(embedder: VideoEmbedder, videos: list[Path]) -> list[VideoEmbedding]:
    return [embedder.embed(video) for video in videos]


@pytest.fixture(scope="module")
def long_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of five minutes."""
    return write_video(tmp_path_factory.mktemp("long") / "long.mp4", seed=7, num_frames=3000)


def assert_same(found: object, expected: VideoEmbedding) -> None:
    assert isinstance(found, VideoEmbedding)
    assert found.video == expected.video
    np.testing.assert_allclose(found.embedding, expected.embedding, atol=1e-6)


def test_many_at_a_time_are_what_they_are_one_by_one(
    url: str, videos: list[Path], expected: list[VideoEmbedding]
) -> None:
    async def embedded() -> list[VideoEmbedding]:
        async with AsyncVideoEmbedder(url) as embedder:
            assert embedder.model.fingerprint == expected[0].fingerprint
            return await asyncio.gather(*map(embedder.embed, videos))

    for found, same in zip(asyncio.run(embedded()), expected, strict=True):
        assert_same(found, same)


def test_an_iteration_gives_all_in_order_and_goes_on_past_a_bad_one(
    url: str, videos: list[Path], expected: list[VideoEmbedding], tmp_path: Path
) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"no video")

    async def named() -> AsyncIterator[Path]:
        for path in [*videos[:3], tmp_path / "bad.mp4", *videos[3:]]:
            yield path
            await asyncio.sleep(0.01)

    async def embedded() -> list[VideoEmbedding | FailedVideo]:
        async with AsyncVideoEmbedder(url) as embedder:
            return [result async for result in embedder.embed_many(named())]

    found = asyncio.run(embedded())
    failed = found.pop(3)
    assert isinstance(failed, FailedVideo)
    for result, same in zip(found, expected, strict=True):
        assert_same(result, same)


def test_a_result_is_there_before_the_next_path_is(
    url: str, videos: list[Path], expected: list[VideoEmbedding]
) -> None:
    async def embedded() -> list[VideoEmbedding | FailedVideo]:
        results: asyncio.Queue[VideoEmbedding | FailedVideo] = asyncio.Queue()
        found: list[VideoEmbedding | FailedVideo] = []

        async def named() -> AsyncIterator[Path]:
            for path in videos[:2]:
                yield path
                found.append(await results.get())

        async with AsyncVideoEmbedder(url) as embedder:
            async for result in embedder.embed_many(named()):
                results.put_nowait(result)
        return found

    found = asyncio.run(asyncio.wait_for(embedded(), timeout=60))
    for result, same in zip(found, expected[:2], strict=True):
        assert_same(result, same)


def test_who_is_cancelled_while_it_opens_waits_no_longer_and_leaves_nothing_open(url: str) -> None:
    may_open, is_closed = threading.Event(), threading.Event()

    class Watched(VideoEmbedder):
        def close(self) -> None:
            super().close()
            is_closed.set()

    class Slow(EmbedderSettings):
        def open(self) -> VideoEmbedder:
            assert may_open.wait(60)
            return Watched(self.url)

    async def opened() -> None:
        async with AsyncVideoEmbedder(Slow(url)):
            raise AssertionError

    async def cancelled() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(opened(), timeout=0.2)
        assert not may_open.is_set()
        may_open.set()
        assert await asyncio.to_thread(is_closed.wait, 60)

    asyncio.run(asyncio.wait_for(cancelled(), timeout=30))


def test_who_is_cancelled_holds_up_nobody(
    url: str, videos: list[Path], expected: list[VideoEmbedding], long_video: Path
) -> None:
    async def embedded() -> VideoEmbedding:
        async with AsyncVideoEmbedder(url) as embedder:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(embedder.embed(long_video), timeout=0.3)
            waiting = [asyncio.ensure_future(embedder.embed(path)) for path in [long_video] * 20]
            await asyncio.sleep(0)
            for task in waiting:
                task.cancel()
            return await embedder.embed(videos[0])

    assert_same(asyncio.run(embedded()), expected[0])


def test_a_video_that_is_not_wanted_any_more_is_not_decoded_further(embedder: VideoEmbedder, long_video: Path) -> None:
    asked: list[object] = []

    def is_wanted(path: object) -> bool:
        asked.append(path)
        return len(asked) < 3

    (result,) = embedder.embed_many([long_video], is_wanted=is_wanted)
    assert isinstance(result, FailedVideo)
    assert "is not wanted any more" in result.message
    assert asked == [long_video] * 3


def test_who_waits_when_it_is_closed_waits_no_longer(url: str, long_video: Path) -> None:
    async def closed() -> None:
        async with AsyncVideoEmbedder(url) as embedder:
            waiting = [asyncio.ensure_future(embedder.embed(long_video)) for _ in range(3)]
            await asyncio.sleep(0.2)
        for result in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(result, asyncio.CancelledError)
        with pytest.raises(UsageError, match="the embedder is not open"):
            await embedder.embed(long_video)

    asyncio.run(closed())


def test_errors_reach_who_asked(url: str, tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"no video")

    async def failing() -> None:
        with pytest.raises(ServerError, match="no Triton server answers"):
            async with AsyncVideoEmbedder("127.0.0.1:9"):
                pass
        async with AsyncVideoEmbedder(url) as embedder:
            with pytest.raises(UsageError, match="does not exist"):
                await embedder.embed(tmp_path / "no.mp4")
            with pytest.raises(UnreadableVideoError):
                await embedder.embed(tmp_path / "bad.mp4")

    asyncio.run(failing())
