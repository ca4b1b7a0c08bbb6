"""Stills: the frames nearest to the moments asked for, square and small, from one pass."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cocon.core.errors import UnreadableVideoError
from cocon.video.decoding.limits import MediaLimits
from cocon.video.pictures.stills import stills_at
from cocon.video.workers.pool import WorkerPool

WriteVideo = Callable[..., Path]
Numbered = Callable[..., list[np.ndarray]]
NumberOf = Callable[[np.ndarray], int]


def test_stills_are_the_nearest_frames_and_the_last_one_behind_the_end(
    tmp_path: Path, write_video: WriteVideo, numbered: Numbered, number_of: NumberOf
) -> None:
    path = write_video(tmp_path / "a.mp4", numbered(6), np.array([0.0, 0.1, 0.2, 0.5, 0.6, 1.0]))
    with WorkerPool() as pool:
        stills = stills_at(pool, path, MediaLimits(), [0.0, 0.04, 0.06, 0.3, 0.4, 0.45, 0.9, 7.0], side_px=20)
        single = stills_at(pool, path, MediaLimits(), [0.2], side_px=20)
    assert stills.shape == (8, 20, 20, 3)
    assert [number_of(still) for still in stills] == [0, 0, 1, 2, 3, 3, 5, 5]
    assert [number_of(still) for still in single] == [2]


def test_a_file_that_is_no_video_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    with WorkerPool() as pool, pytest.raises(UnreadableVideoError, match=r"broken\.mp4"):
        stills_at(pool, broken, MediaLimits(), [0.0], side_px=20)
