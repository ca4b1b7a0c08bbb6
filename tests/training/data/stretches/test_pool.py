"""The pool: the frames of one pass, in bounded room, the same batches from any step, and nothing left behind."""

import errno
import logging
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from fractions import Fraction
from itertools import islice
from pathlib import Path
from threading import Event, Timer

import av
import numpy as np
import psutil
import pytest
import torch

from cocon.core.errors import StorageError, VideoError
from cocon.training.config.run import Config
from cocon.training.data.loader import Batch, clip_batches
from cocon.training.data.reading.decoded_video import load_video
from cocon.training.data.stretches import pool
from cocon.training.data.stretches.cutting import Footage
from cocon.training.data.stretches.opening import training_frames, view_requests
from cocon.training.data.stretches.pool import PooledFrames
from cocon.video.store.dataset import DatasetFolder
from cocon.video.workers.pool import WorkerPool

MakeConfig = Callable[..., Config]


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go."""
    place = tmp_path / "scratch"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr("tempfile.tempdir", None)
    return place


@pytest.fixture
def pooled(long_films: Path, tiny_config: MakeConfig, scratch: Path) -> Callable[..., Config]:
    """`pooled("section.key=value", ...)`: a configuration whose films are cut."""

    def make(*settings: str) -> Config:
        cut = ["data.long_seconds=6", "data.stretch_seconds=2.5", "views=['rgb', 'flow']", "data.reuse=4"]
        return tiny_config(f"data.folder='{long_films}'", "classifier.head=none", *cut, *settings)

    return make


@contextmanager
def _frames(config: Config) -> Iterator[PooledFrames]:
    frames = training_frames(config, DatasetFolder.open(config.data.folder)).train
    assert isinstance(frames, PooledFrames)
    with frames:
        yield frames


def _batches(config: Config, first: int = 0, last: int = 12) -> list[Batch]:
    with _frames(config) as frames:
        return list(clip_batches(frames, config, first_step=first, num_steps=last))


def _assert_same(batches: list[Batch], others: list[Batch]) -> None:
    assert len(batches) == len(others)
    for batch, other in zip(batches, others, strict=True):
        assert all(torch.equal(batch["clips"][view], other["clips"][view]) for view in ("rgb", "flow"))


def test_stretches_have_the_frames_of_their_video_in_files_without_a_name(
    pooled: Callable[..., Config], scratch: Path
) -> None:
    config = pooled()
    with _frames(config) as frames, WorkerPool() as workers:
        entry = next(each for each in DatasetFolder.open(config.data.folder).videos)
        whole = load_video(entry, config.data.folder, view_requests(config), workers)
        for position in range(5):
            stretch = frames[position]
            start = stretch.entry.start_seconds
            for view, decoded in stretch.views.items():
                first = int(np.searchsorted(whole.views[view].timestamps, start - 1e-6))
                stop = first + len(decoded.timestamps)
                assert decoded.timestamps[0] == 0
                expected = whole.views[view].pixels
                assert expected is not None and isinstance(decoded.pixels, np.memmap)
                np.testing.assert_array_equal(decoded.pixels, expected[first:stop])
                assert whole.views[view].timestamps[first] == pytest.approx(start, abs=0.11)
        assert sum(len(frames[position].timestamps) for position in range(5)) == len(whole.timestamps)
        (folder,) = scratch.glob("cocon-stretches-*")
        assert list(folder.rglob("*.npy")) == []
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("first", [1, 5, 11])
def test_a_step_has_the_same_batch_whatever_step_one_starts_from(first: int, pooled: Callable[..., Config]) -> None:
    config = pooled("data.cache_gib=0.0005")  # six of fifteen stretches
    _assert_same(_batches(config, first), _batches(config)[first:])


def test_a_step_has_the_same_batch_however_many_threads_make_it(pooled: Callable[..., Config]) -> None:
    _assert_same(_batches(pooled("data.workers=3")), _batches(pooled()))


def test_where_little_fits_little_is_at_hand(pooled: Callable[..., Config]) -> None:
    config = pooled("data.cache_gib=0.0005")
    budget = int(0.0005 * 2**30)
    with _frames(config) as frames:
        one = frames[0].num_bytes
        plan = frames.plan(2, 0)
        assert 2 < plan.capacity < 8
        for step in range(20):
            frames.look_ahead(plan, step, Event())
            for draw in plan.draws(step):
                assert frames.entries[draw.position] == frames[draw.position].entry
            assert frames.num_bytes_at_hand <= budget + one


def test_a_video_that_ends_before_its_header_says_is_told_once_and_the_rest_of_it_is_used(
    pooled: Callable[..., Config], long_films: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "cut short"
    folder.mkdir()
    for path in long_films.glob("*.mp4"):
        (folder / path.name).write_bytes(path.read_bytes())
    broken = folder / "film_1.mp4"
    broken.write_bytes(broken.read_bytes()[: broken.stat().st_size // 2])  # its index lies in front
    config = pooled(f"data.folder='{folder}'", "data.max_failed_share=0.5")
    with _frames(config) as frames, caplog.at_level(logging.WARNING):
        batches = list(clip_batches(frames, config, first_step=0, num_steps=20))
        positions = [frames[position].entry.video_id for position in range(15)]
    assert len(batches) == 20
    assert list(frames.failures) == ["film_1.mp4"] and frames.num_videos == 3
    assert sum("film_1" in message for message in caplog.messages) == 1
    assert any(position.startswith("film_1.mp4#") for position in positions)
    assert "from " in frames.failures["film_1.mp4"]
    _assert_same(_batches(config, 7, 20), batches[7:])


def test_if_nothing_loads_that_is_an_error(pooled: Callable[..., Config], long_films: Path, tmp_path: Path) -> None:
    config = pooled(f"data.folder='{tmp_path / 'films'}'")
    config.data.folder.mkdir()
    for path in long_films.glob("*.mp4"):
        (config.data.folder / path.name).write_bytes(path.read_bytes())
    with _frames(config) as frames:
        for path in config.data.folder.glob("*.mp4"):
            path.write_bytes(b"nothing")
        with pytest.raises(VideoError):
            list(clip_batches(frames, config, first_step=0, num_steps=1))
        assert len(frames.failures) == 3


def test_who_takes_a_few_batches_leaves_no_process_no_thread_and_no_file(
    pooled: Callable[..., Config], scratch: Path
) -> None:
    config = pooled()
    before = set(psutil.Process().children(recursive=True))
    with _frames(config) as frames:
        with closing(iter(clip_batches(frames, config, first_step=0, num_steps=1000))) as batches:
            assert len(list(islice(batches, 3))) == 3
        assert set(psutil.Process().children(recursive=True)) - before
    assert set(psutil.Process().children(recursive=True)) - before == set()
    assert list(scratch.iterdir()) == []


def test_what_a_killed_training_left_is_removed_by_the_next(
    pooled: Callable[..., Config], scratch: Path, long_films: Path
) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from cocon.video.store.private_folder import place_on_disk, private_folder\n"
        "with private_folder('stretches', place_on_disk()) as folder:\n"
        "    (folder / 'half.npy').write_bytes(b'x'); print(folder, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        assert process.stdout is not None
        left = Path(process.stdout.readline().strip())
        with _frames(pooled()) as frames:
            assert frames[0] and left.is_dir(), "somebody is at work there"
        process.send_signal(signal.SIGKILL)
    for _ in range(50):
        if process.poll() is not None:
            break
        time.sleep(0.1)
    with _frames(pooled()) as frames:
        assert frames[0] and not left.exists()


def test_pages_that_were_read_are_given_back(pooled: Callable[..., Config]) -> None:
    with _frames(pooled()) as frames:
        plan = frames.plan(2, 0)
        frames.look_ahead(plan, 0, Event())
        pixels = [frames[draw.position].views["rgb"].pixels for draw in plan.draws(0)]
        sums = [int(one.sum()) for one in pixels if one is not None]
        frames.look_ahead(plan, 1, Event())
        assert [int(one.sum()) for one in pixels if one is not None] == sums


def _with_a_pause(path: Path) -> Path:
    """A film of three seconds, nothing for ten, and three more; frames come as something moves."""
    rng = np.random.default_rng(0)
    with av.open(path, "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 96, "yuv420p"
        for number in range(60):
            picture = rng.integers(0, 256, (96, 96, 3), np.uint8)  # a small file would not be looked into
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number + (100 if number >= 30 else 0), Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_a_stretch_without_a_frame_is_replaced_and_no_failure(
    pooled: Callable[..., Config], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "paused"
    folder.mkdir()
    for name in ("a.mkv", "b.mkv"):
        _with_a_pause(folder / name)
    config = pooled(f"data.folder='{folder}'", "views=['rgb']", "data.max_failed_share=0")
    with _frames(config) as frames, caplog.at_level(logging.WARNING):
        assert len(frames) > 10
        for position in range(len(frames)):
            assert len(frames[position].timestamps)
        assert len(frames[2].timestamps) and frames[2].entry is not frames.entries[2]
        assert frames.failures == {}
        judged = frames.for_judging()
        for _ in range(2):
            assert all(len(judged[position].timestamps) for position in range(len(judged)))
        assert judged.failures == {}
        judged.close()
    assert caplog.messages == []


def test_a_full_disk_is_not_the_videos_fault(pooled: Callable[..., Config]) -> None:
    with _frames(pooled()) as frames:
        for error in (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), StorageError("'a' cannot be written")):
            with (
                pytest.raises(StorageError, match=r"TMPDIR.*data\.cache_gib"),
                frames._as_video_errors(frames.entries[0]),
            ):
                raise error


def test_who_is_interrupted_does_not_wait_for_a_batch(
    pooled: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    released = Event()
    monkeypatch.setattr(pool, "load_video", lambda *_, **__: released.wait(30))
    config = pooled("data.workers=1")
    with _frames(config) as frames:
        try:
            batches = iter(clip_batches(frames, config, first_step=0, num_steps=5))
            Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
            begin_s = time.monotonic()
            with pytest.raises(KeyboardInterrupt):
                next(batches)
            assert time.monotonic() - begin_s < 10
        finally:
            released.set()


def test_what_is_expected_of_a_stretch_is_computed_once(
    pooled: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    with _frames(pooled()) as frames:
        frames.look_ahead(frames.plan(2, 0), 0, Event())
        monkeypatch.setattr(Footage, "mean_bytes", property(lambda _: pytest.fail("again")))
        assert frames.num_bytes_at_hand > 0


def test_no_more_is_at_hand_than_a_process_may_open(pooled: Callable[..., Config]) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, hard), hard))
        with _frames(pooled()) as frames:
            assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 512
            assert frames.plan(2, 0).capacity > 15
            frames._num_files = 20
            assert frames.plan(2, 0).capacity == 8  # of two views, and two more ahead
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_where_less_than_a_batch_fits_it_is_said_what_would_do(
    pooled: Callable[..., Config], caplog: pytest.LogCaptureFixture
) -> None:
    with _frames(pooled("data.cache_gib=0.0005")) as frames, caplog.at_level(logging.WARNING):
        frames.plan(2, 0)
        assert caplog.messages == []
        frames.plan(12, 0)
    (message,) = caplog.messages
    needed = message.rpartition("data.cache_gib=")[2]
    with _frames(pooled(f"data.cache_gib={needed}")) as frames:
        assert frames.plan(12, 0).capacity >= 12


def test_processes_of_one_machine_share_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COCON_THREADS", raising=False)
    alone = pool._num_decoders()
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert pool._num_decoders() == max(1, alone // 2)
