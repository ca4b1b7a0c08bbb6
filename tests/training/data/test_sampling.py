"""The samplers: what each may draw, and what training leaves out for them."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.core.errors import UsageError
from cocon.training.config.input_sections import ClipSection
from cocon.training.config.run import Config
from cocon.training.data.frames import VideoFrames
from cocon.training.data.loader import clip_batches, view_requests
from cocon.training.data.sampling import ClipSampler, read_videos
from cocon.training.loop.run import train_run
from cocon.video.pictures.encode import write_mp4
from cocon.video.store.dataset import DatasetFolder

MakeConfig = Callable[..., Config]
TrainTiny = Callable[..., bool]

TEN = {"num_blocks": 5, "frames_per_block": 2}


def _draws(clip: ClipSection, num_frames: int, number: int = 300) -> NDArray[np.int64]:
    """Clips of a video of 25 frames a second, `[number, N, T]`."""
    sampler, rng = ClipSampler(clip), np.random.default_rng(0)
    draws = [sampler.draw(np.arange(num_frames) / 25, rng) for _ in range(number)]
    return np.stack(draws).reshape(number, clip.num_blocks, clip.frames_per_block)


def _video_of(seconds: float, path: Path) -> None:
    rng = np.random.default_rng(0)
    times = np.arange(round(seconds * 25)) / 25
    write_mp4(path, ((float(time), rng.integers(0, 255, (48, 48, 3), np.uint8)) for time in times))


@pytest.fixture
def uneven(tmp_path: Path) -> Path:
    """Three videos of 2 s, and one of 0.4 s."""
    folder = tmp_path / "videos"
    folder.mkdir()
    for name, seconds in (("a", 2.0), ("b", 0.4), ("c", 2.0), ("d", 2.0)):
        _video_of(seconds, folder / f"{name}.mp4")
    return folder


@pytest.mark.parametrize("step", [{"step_seconds": 0.08}, {"step_frames": 2}])
@pytest.mark.parametrize("num_frames", [19, 20, 22, 60])
def test_a_disjoint_clip_never_repeats_a_frame_whatever_the_jitter(step: dict[str, float], num_frames: int) -> None:
    clip = ClipSection(**TEN, **step, sampler="disjoint", stride_jitter=(1.0, 3.0))
    assert ClipSampler(clip).fits(np.arange(num_frames) / 25)
    frames = _draws(clip, num_frames).reshape(-1, 10)
    assert (np.diff(frames, axis=1) >= 1).all()
    assert frames.min() == 0
    assert frames.max() == num_frames - 1
    assert not ClipSampler(clip).fits(np.arange(18) / 25)


def test_random_blocks_have_strides_and_starts_of_their_own_that_fill_the_video() -> None:
    frames = _draws(ClipSection(num_blocks=4, frames_per_block=3, sampler="random"), 20)
    strides = np.diff(frames, axis=2)  # [D, N, T - 1]
    assert (strides[..., 0] == strides[..., 1]).all()
    assert set(np.unique(strides)) == set(range(1, (20 - 1) // 3 + 1))
    assert (frames.min(), frames.max()) == (0, 19)
    assert len(set(map(tuple, strides[:, :, 0].tolist()))) > 100  # each block has its own
    starts = frames[:, :, 0]
    assert (np.diff(starts, axis=1) < 0).any()
    assert (np.diff(starts, axis=1) > 0).any()


@pytest.mark.parametrize("num_frames", [1, 2, 3])
def test_a_random_block_of_a_video_with_hardly_a_frame_repeats_the_last(num_frames: int) -> None:
    frames = _draws(ClipSection(num_blocks=2, frames_per_block=3, sampler="random"), num_frames)
    assert (frames == np.minimum(np.arange(3), num_frames - 1)).all()


def test_random_blocks_are_refused_for_rgb_and_train_other_views(
    tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"clip\.sampler 'random' is not for view rgb"):
        tiny_config("clip.sampler=random", "views=['flow', 'rgb']")
    assert train_tiny(tiny_config("clip.sampler=random", "views=['flow', 'mask']", "training.epochs=1"), tmp_path)


@pytest.mark.parametrize("cache_gib", [0, 1])
def test_disjoint_leaves_short_videos_out_and_says_so(
    cache_gib: float, uneven: Path, tiny_config: MakeConfig, caplog: pytest.LogCaptureFixture
) -> None:
    config = tiny_config("clip.sampler=disjoint", "clip.step_seconds=0.2", "views=['rgb']", "training.batch_size=3")
    entries = DatasetFolder.open(uneven).videos
    calls: list[tuple[int, int | None]] = []
    with caplog.at_level(logging.WARNING):
        frames = read_videos(
            VideoFrames(entries, uneven, view_requests(config), cache_gib=cache_gib),
            config.clip,
            lambda done, total: calls.append((done, total)),
        )
    assert [entry.video_id for entry in frames.entries] == ["a.mp4", "c.mp4", "d.mp4"]
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert [record.getMessage() for record in caplog.records] == ["1 of 4 videos are shorter than a clip and left out"]
    assert [frames[position].entry.video_id for position in range(3)] == ["a.mp4", "c.mp4", "d.mp4"]
    (batch,) = clip_batches(frames, config, (), first_step=0, num_steps=1, seed=0)
    assert batch["clips"]["rgb"].shape == (3, 3, 2, 24, 24, 3)


def test_videos_in_memory_are_not_read_again_when_short_ones_are_left_out(
    uneven: Path, tiny_config: MakeConfig
) -> None:
    config = tiny_config("clip.sampler=disjoint", "clip.step_seconds=0.2", "views=['rgb']")
    frames = VideoFrames(DatasetFolder.open(uneven).videos, uneven, view_requests(config), cache_gib=1)
    kept = read_videos(frames, config.clip, lambda done, total: None)
    for path in uneven.iterdir():
        path.unlink()
    assert [kept[position].entry.video_id for position in range(3)] == ["a.mp4", "c.mp4", "d.mp4"]


def test_disjoint_needs_two_videos(uneven: Path, tiny_config: MakeConfig, train_tiny: TrainTiny) -> None:
    settings = ["clip.sampler=disjoint", "clip.step_seconds=1.0", "views=['rgb']", f"data.folder='{uneven}'"]
    with pytest.raises(UsageError, match="0 of 4 are, 2 are needed"):
        train_tiny(tiny_config(*settings), uneven.parent / "run")


def test_a_run_trains_on_the_videos_that_are_long_enough(uneven: Path, tiny_config: MakeConfig) -> None:
    settings = ["clip.sampler=disjoint", "clip.step_seconds=0.2", "views=['rgb']", f"data.folder='{uneven}'"]
    config = tiny_config(*settings, "training.batch_size=2", "training.epochs=1")
    steps: list[tuple[int, int | None]] = []

    @contextmanager
    def bar(description: str, unit: str = "videos") -> Iterator[Callable[[int, int | None], None]]:
        yield lambda done, total: steps.append((done, total)) if description == "pre-training" else None

    train_run(config, uneven.parent / "run", overwrite=False, progress_bar=bar)
    assert steps[-1] == (1, 1)  # four videos would make two batches
