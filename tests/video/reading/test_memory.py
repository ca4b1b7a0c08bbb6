"""Memory does not grow with the files that were read, nor with the length of one."""

import os
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import pytest

from cocon.video.clips import ClipSpec
from cocon.video.decoding.limits import MediaLimits
from cocon.video.geometry import Geometry
from cocon.video.reading.reader import VideoSource, ViewRequest
from cocon.video.reading.whole_video import whole_video
from cocon.video.reading.worker_clips import clips_in_worker
from cocon.video.store.archive import forget_pages
from cocon.video.workers.pool import WorkerPool
from tests.video.endings import CLIPS, ending_of
from tests.video.mutations import mutated_files
from tests.video.processes import children_of, family_resident_bytes, resident_bytes
from tests.video.seed_videos import Seed, repeat_video, write_seed

pytestmark = pytest.mark.videos

MEBIBYTE = 1 << 20


def test_memory_does_not_grow_with_the_number_of_files(tmp_path: Path) -> None:
    damaged = list(mutated_files(tmp_path, 20, seed=3))
    sound = [path for path in sorted((tmp_path / "sound").iterdir()) if path.suffix != ".webm"]
    before = children_of(os.getpid())
    kinds, workers, resident = set(), set[int](), {}
    with WorkerPool(MediaLimits(frame_timeout_s=20)) as pool:
        # Fewer than a worker is kept for: a new one would hide what the old one leaked.
        for number, path in enumerate(islice(cycle(damaged + sound), 190), start=1):
            kinds.add(ending_of(pool, path).kind)
            workers |= children_of(os.getpid()) - before
            resident[number] = family_resident_bytes()
    assert len(workers) == 1
    assert {CLIPS, "UnreadableVideoError"} <= kinds
    assert max(resident.values()) - resident[40] < 20 * MEBIBYTE


def _peak_bytes(path: Path) -> tuple[int, int]:
    """Read a video's overlapping clips: the most that its worker had, and the most that this process had meanwhile."""
    spec, requests = ClipSpec(4, 5, step_seconds=0.2), {"rgb": ViewRequest(Geometry(64, 64))}
    source = VideoSource(path, spec, requests, hop=5, shares_blocks=True)
    before, ours = children_of(os.getpid()), 0
    with WorkerPool() as pool:
        for _ in clips_in_worker(pool, source):
            ours = max(ours, resident_bytes(os.getpid()))
        (worker,) = children_of(os.getpid()) - before
        return resident_bytes(worker, field="VmHWM"), ours


def test_memory_does_not_grow_with_the_length_of_a_video(tmp_path: Path) -> None:
    minute = write_seed(tmp_path / "minute.mp4", Seed("mp4"), num_frames=60 * 25, height=120, width=160)
    eight_minutes = repeat_video(minute, tmp_path / "eight_minutes.mp4", 8)
    (worker_short, ours_short), (worker_long, ours_long) = _peak_bytes(minute), _peak_bytes(eight_minutes)
    # 12,000 pictures of 58 kB are 690 MB; a reader that decodes ahead would come to hold a good part of them.
    assert worker_long - worker_short < 30 * MEBIBYTE
    assert ours_long - ours_short < 30 * MEBIBYTE


def _peak_of_whole(path: Path, folder: Path) -> tuple[int, int]:
    """Have all frames of a video laid into a folder: the most that the worker had, and what this process has then."""
    before = children_of(os.getpid())
    folder.mkdir()
    with WorkerPool() as pool:
        whole = whole_video(path, {"rgb": ViewRequest(Geometry(64, 64))}, pool, into=folder)
        (worker,) = children_of(os.getpid()) - before
        assert whole.views["rgb"].pixels is not None
        for frames in np.array_split(whole.views["rgb"].pixels, 20):
            assert frames.max() > 0
            forget_pages(whole.views["rgb"].pixels)
        return resident_bytes(worker, field="VmHWM"), resident_bytes(os.getpid())


def test_memory_does_not_grow_with_the_frames_that_are_laid_into_a_folder(tmp_path: Path) -> None:
    minute = write_seed(tmp_path / "minute.mp4", Seed("mp4"), num_frames=60 * 25, height=120, width=160)
    six_minutes = repeat_video(minute, tmp_path / "six_minutes.mp4", 6)
    (worker_short, ours_short), (worker_long, ours_long) = (
        _peak_of_whole(path, tmp_path / path.stem) for path in (minute, six_minutes)
    )
    # 9,000 pictures of 16 kB are 147 MB.
    assert worker_long - worker_short < 30 * MEBIBYTE
    assert ours_long - ours_short < 30 * MEBIBYTE
