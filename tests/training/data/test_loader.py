"""Batches: the same at every step wherever one starts and whoever loads, and every video once per epoch."""

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
import torch

from cocon.training.config.run import Config
from cocon.training.data.frames import VideoFrames
from cocon.training.data.loader import Batch, clip_batches, steps_per_epoch, to_device, view_requests
from cocon.training.data.stretches.counts import clip_counts
from cocon.video.geometry import Geometry
from cocon.video.store.dataset import DatasetFolder

MakeConfig = Callable[..., Config]


def _frames(config: Config) -> VideoFrames:
    entries = DatasetFolder.open(config.data.folder).split("train")
    return VideoFrames(entries, config.data.folder, view_requests(config), cache_gib=1.0)


def _batches(config: Config, *, first: int = 0, last: int = 7, seed: int = 0) -> list[Batch]:
    frames = _frames(config)
    labels = [entry.label for entry in frames.entries]
    return list(clip_batches(frames, config, labels, first_step=first, num_steps=last, seed=seed))


def _assert_same(batches: Iterable[Batch], others: Iterable[Batch]) -> None:
    for batch, other in zip(batches, others, strict=True):
        assert torch.equal(batch["targets"], other["targets"])
        assert batch["clips"].keys() == other["clips"].keys()
        assert all(torch.equal(batch["clips"][view], other["clips"][view]) for view in batch["clips"])


@pytest.fixture(scope="module")
def batches(tiny_config: MakeConfig) -> list[Batch]:
    """Seven steps from the start, three an epoch."""
    return _batches(tiny_config())


def test_a_batch_has_every_view_in_the_networks_shape(batches: list[Batch]) -> None:
    assert len(batches) == 7
    for batch in batches:
        assert {view: clips.shape for view, clips in batch["clips"].items()} == {
            "rgb": (2, 3, 2, 24, 24, 3),
            "pose": (2, 3, 2, 24, 24, 17),
        }
        assert all(clips.dtype == torch.uint8 for clips in batch["clips"].values())
        assert batch["targets"].shape == (2,)


def test_processes_load_shares_that_make_the_whole_in_the_order_of_ranks(tiny_config: MakeConfig) -> None:
    config = tiny_config("training.batch_size=6")
    frames = _frames(config)
    labels = [entry.label for entry in frames.entries]

    def batches(rank: int, world_size: int) -> list[Batch]:
        loader = clip_batches(frames, config, labels, first_step=1, num_steps=3, seed=0, share=(rank, world_size))
        return list(loader)

    for whole, *shares in zip(batches(0, 1), *(batches(rank, 3) for rank in range(3)), strict=True):
        assert torch.equal(whole["targets"], torch.cat([share["targets"] for share in shares]))
        for view, clips in whole["clips"].items():
            assert torch.equal(clips, torch.cat([share["clips"][view] for share in shares]))


@pytest.mark.parametrize("first", [1, 3, 4, 7])
def test_a_step_has_the_same_batch_whatever_step_one_starts_from(
    first: int, batches: list[Batch], tiny_config: MakeConfig
) -> None:
    _assert_same(_batches(tiny_config(), first=first), batches[first:])


def test_a_step_has_the_same_batch_whoever_loads_it(batches: list[Batch], tiny_config: MakeConfig) -> None:
    _assert_same(_batches(tiny_config("data.workers=2")), batches)


def test_loading_draws_nothing_from_torchs_global_numbers(tiny_config: MakeConfig) -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    _batches(tiny_config(), last=2)
    assert torch.equal(torch.rand(3), expected)


def test_an_epoch_has_every_video_once_in_another_order(batches: list[Batch]) -> None:
    epochs = [torch.cat([batch["targets"] for batch in batches[start : start + 3]]).tolist() for start in (0, 3)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(6))
    assert epochs[0] != epochs[1]


def test_a_video_is_cut_differently_in_every_epoch(batches: list[Batch]) -> None:
    clips: dict[int, list[torch.Tensor]] = {}
    for batch in batches[:6]:
        for target, clip in zip(batch["targets"].tolist(), batch["clips"]["rgb"], strict=True):
            clips.setdefault(target, []).append(clip)
    assert all(not torch.equal(first, second) for first, second in clips.values())


def test_another_seed_gives_other_batches(batches: list[Batch], tiny_config: MakeConfig) -> None:
    others = _batches(tiny_config(), seed=1)
    assert [batch["targets"].tolist() for batch in others] != [batch["targets"].tolist() for batch in batches]


def test_videos_of_about_one_clip_are_drawn_as_ever_and_longer_ones_more_often(tiny_config: MakeConfig) -> None:
    def counted(*overrides: str) -> tuple[int, ...]:
        config = tiny_config(*overrides)
        with _frames(config) as frames:
            return clip_counts(frames, config)

    assert counted() == counted("training.clips_per_video=1") == ()
    short = ("training.clips_per_video=auto", "clip.step_seconds=0.1")  # 0.6 s of a second
    assert counted(*short) == ()
    assert counted("training.clips_per_video=auto", "clip.step_seconds=0.06") == (2,) * 6
    assert counted("training.clips_per_video=auto", "clip.step_frames=1") == (5,) * 6
    assert counted("training.clips_per_video=3") == (3,) * 6


def test_a_step_has_the_same_clips_of_longer_videos_whatever_step_one_starts_from(tiny_config: MakeConfig) -> None:
    config = tiny_config("training.clips_per_video=2", "training.batch_size=3")
    with _frames(config) as frames:
        labels = [entry.label for entry in frames.entries]
        counts = clip_counts(frames, config)
        whole = list(clip_batches(frames, config, labels, first_step=0, num_steps=6, counts=counts))
        _assert_same(clip_batches(frames, config, labels, first_step=2, num_steps=6, counts=counts), whole[2:])
    assert all(len(set(batch["targets"].tolist())) == 3 for batch in whole)
    drawn = Counter(target for batch in whole[:4] for target in batch["targets"].tolist())
    assert drawn == dict.fromkeys(range(6), 2)


def test_videos_that_do_not_fill_a_batch_wait_for_another_epoch(tiny_config: MakeConfig) -> None:
    batches = _batches(tiny_config("training.batch_size=4"), last=30)
    counts = Counter(target for batch in batches for target in batch["targets"].tolist())
    assert all(len(set(batch["targets"].tolist())) == 4 for batch in batches)
    assert counts.keys() == set(range(6))


def test_a_batch_larger_than_the_dataset_takes_other_clips_of_its_videos(tiny_config: MakeConfig) -> None:
    once = _batches(tiny_config("training.batch_size=6"), last=3)
    for batch, first in zip(_batches(tiny_config("training.batch_size=14"), last=3), once, strict=True):
        counts = Counter(batch["targets"].tolist())
        assert sorted(counts.values()) == [2, 2, 2, 2, 3, 3]
        for view, clips in batch["clips"].items():
            assert torch.equal(clips[:6], first["clips"][view])
            assert len({clip.numpy().tobytes() for clip in clips}) == 14


@pytest.mark.parametrize(("num_videos", "batch_size", "steps"), [(6, 2, 3), (7, 2, 3), (6, 6, 1), (6, 8, 1)])
def test_steps_per_epoch(num_videos: int, batch_size: int, steps: int) -> None:
    assert steps_per_epoch(num_videos, batch_size) == steps


def test_a_video_without_a_known_label_has_target_minus_one(tiny_config: MakeConfig) -> None:
    frames = _frames(tiny_config())
    (batch,) = clip_batches(frames, tiny_config("training.batch_size=6"), ["jump"], first_step=0, num_steps=1, seed=0)
    assert sorted(batch["targets"].tolist()) == [-1, -1, -1, -1, -1, 0]


def test_the_views_of_a_sample_show_the_same_moments(figures: Path, tiny_config: MakeConfig) -> None:
    whole = ["augment.crop_scale=[1.0, 1.0]", "augment.gain=0.0", "training.batch_size=6"]
    square = [f"view.{view}.{side}_px=24" for view in ("rgb", "pose", "mask") for side in ("crop", "resize")]
    config = tiny_config(*whole, *square, "views=['mask', 'pose']")
    frames = _frames(config)
    labels = [entry.label for entry in frames.entries]
    (batch,) = clip_batches(frames, config, labels, first_step=0, num_steps=1, seed=0)
    for target, mask, pose in zip(batch["targets"].tolist(), *batch["clips"].values(), strict=True):
        video = frames[target]
        masks = video.views["mask"].pixels
        drawn = video.views["pose"].pose.frames(range(30), height=24, width=24)
        for shown, points in zip(
            mask.numpy().reshape(-1, 24, 24, 1), pose.numpy().reshape(-1, 24, 24, 17), strict=True
        ):
            moments = {index for index in range(30) if np.array_equal(masks[index], shown)}
            assert moments & {index for index in range(30) if np.array_equal(drawn[index], points)}


def test_every_view_is_requested_with_its_geometry_and_flow(tiny_config: MakeConfig) -> None:
    requests = view_requests(tiny_config("views=['flow', 'mask']", "flow.interval_seconds=0.1"))
    assert list(requests) == ["flow", "mask"]
    assert requests["mask"].geometry == Geometry(28, 24)
    assert requests["mask"].flow is None
    assert requests["flow"].flow is not None
    assert requests["flow"].flow.interval_seconds == 0.1


def test_a_batch_moves_to_a_device_whole(batches: list[Batch]) -> None:
    clips, targets = to_device(batches[0], torch.device("cpu"))
    assert clips.keys() == {"rgb", "pose"}
    assert torch.equal(targets, batches[0]["targets"])
