"""Checking a dataset folder: what is said of each video."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cocon.video.decoding.limits import MediaLimits
from cocon.video.making.checking import CheckedVideo, check_dataset, unused_views
from cocon.video.store.dataset import DatasetFolder, content_sha256
from cocon.video.store.files import view_path, write_frames

WriteVideo = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path, write_video: WriteVideo, numbered: Callable[..., list[np.ndarray]]) -> Path:
    """Two seconds in `sound.mp4`, one in `short.mp4`, at 10 frames per second."""
    for name, count in (("sound.mp4", 20), ("short.mp4", 10)):
        write_video(tmp_path / name, numbered(count), np.arange(count) / 10)
    return tmp_path


def _checked(folder: Path, *, clip_seconds: float = 2.0, limits: MediaLimits | None = None) -> dict[str, CheckedVideo]:
    videos = check_dataset(DatasetFolder.open(folder), clip_seconds=clip_seconds, limits=limits, num_workers=2)
    return {video.entry.path.name: video for video in videos}


def _kinds(video: CheckedVideo) -> list[str]:
    return [problem.kind for problem in video.problems]


def test_a_sound_video_is_described_and_exactly_one_clip_is_not_short(folder: Path) -> None:
    video = _checked(folder)["sound.mp4"]
    assert (video.num_frames, video.height, video.width, video.problems) == (20, 48, 64, ())
    assert video.duration_seconds == pytest.approx(2.0, abs=1e-3)
    assert video.content_sha256 == content_sha256(folder / "sound.mp4")


def test_a_short_video_is_named_and_usable(folder: Path) -> None:
    video = _checked(folder)["short.mp4"]
    assert (_kinds(video), video.is_usable) == (["ShortVideo"], True)
    assert video.problems[0].message == "it lasts 1.000 s, a clip 2 s"


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [("empty.mp4", b"", "UnreadableVideoError"), ("text.avi", b"no video\n" * 9, "UnreadableVideoError")],
)
def test_a_broken_video_has_its_class_and_no_figures(folder: Path, name: str, content: bytes, kind: str) -> None:
    (folder / name).write_bytes(content)
    checked = _checked(folder)
    assert (_kinds(checked[name]), checked[name].num_frames, checked[name].is_usable) == ([kind], None, False)
    assert checked[name].content_sha256 == content_sha256(folder / name)
    assert checked["sound.mp4"].problems == ()


def test_a_limit_is_kept(folder: Path) -> None:
    checked = _checked(folder, limits=MediaLimits(max_frames=15))
    assert _kinds(checked["sound.mp4"]) == ["TooLargeError"]
    assert (
        "16 frames or more, the limit max_frames is 15; raise it with --limit max_frames="
        in checked["sound.mp4"].problems[0].message
    )
    assert checked["short.mp4"].num_frames == 10


def test_a_video_cut_at_its_end_is_truncated(folder: Path, cut_video: Callable[[Path], Path]) -> None:
    cut_video(folder / "cut.mkv")
    video = _checked(folder, clip_seconds=0.5)["cut.mkv"]
    assert (_kinds(video), video.is_usable) == (["TruncatedVideoError"], False)
    assert 10 <= (video.num_frames or 0) < 30


def test_a_missing_file_of_the_manifest_is_told(folder: Path) -> None:
    (folder / "manifest.csv").write_text("path\nsound.mp4\ngone.mp4\n")
    video = _checked(folder)["gone.mp4"]
    assert (_kinds(video), video.content_sha256, video.is_usable) == (["MissingFile"], None, False)


def test_the_same_content_is_found_under_other_names_labels_and_splits(folder: Path) -> None:
    shutil.copy(folder / "sound.mp4", folder / "again.mp4")
    (folder / "manifest.csv").write_text("path,label,split\nsound.mp4,wave,train\nagain.mp4,clap,test\nshort.mp4,,\n")
    checked = _checked(folder, clip_seconds=0.5)
    assert _kinds(checked["sound.mp4"]) == _kinds(checked["short.mp4"]) == []
    (problem,) = checked["again.mp4"].problems
    assert problem.is_warning
    assert problem.message == (
        f"it has the same content as '{folder / 'sound.mp4'}' (label 'wave', here 'clap'; split 'train', here 'test')"
    )


def test_views_of_another_content_and_damaged_ones_are_stale(folder: Path) -> None:
    def store(view: str, video_id: str, **attributes: str) -> None:
        channels = {"flow": 2, "mask": 1}[view]
        write_frames(
            folder, view, video_id, np.zeros((2, 4, 4, channels), np.uint8), np.arange(2.0), attributes=attributes
        )

    store("flow", "sound.mp4", content_sha256=content_sha256(folder / "sound.mp4"))
    store("mask", "sound.mp4")
    store("flow", "short.mp4", content_sha256="0" * 64)
    store("mask", "short.mp4")
    store("mask", "gone.mp4")
    damaged = view_path(folder, "mask", "short.mp4")
    damaged.write_bytes(damaged.read_bytes()[:100])
    checked = _checked(folder, clip_seconds=0.5)
    assert _kinds(checked["sound.mp4"]) == []
    assert _kinds(checked["short.mp4"]) == ["StaleView", "DamagedView"]
    assert checked["short.mp4"].is_usable
    assert unused_views(DatasetFolder.open(folder)) == [view_path(folder, "mask", "gone.mp4")]


def test_rows_keep_the_order_of_the_dataset_and_progress_reaches_the_end(folder: Path) -> None:
    dataset, seen = DatasetFolder.open(folder), []
    videos = check_dataset(
        dataset, clip_seconds=2.0, num_workers=2, on_progress=lambda done, total: seen.append((done, total))
    )
    assert [video.entry for video in videos] == list(dataset.videos)
    assert seen == [(0, 2), (1, 2), (2, 2)]


def test_a_deadline_that_was_missed_names_the_video(
    folder: Path, write_video: WriteVideo, numbered: Callable[..., list[np.ndarray]]
) -> None:
    # Long enough that a busy machine cannot hold up the one who waits until it is decoded.
    write_video(folder / "sound.mp4", [*numbered(60, 480, 640)] * 8, np.arange(480) / 30)
    (problem,) = _checked(folder, limits=MediaLimits(frame_timeout_s=1e-6))["sound.mp4"].problems
    assert problem.kind == "TimedOutError"
    assert problem.message.startswith(f"video '{folder / 'sound.mp4'}': the decoder gave no new frame")
