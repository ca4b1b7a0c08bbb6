"""Pictures of a video from a moment on, and picture files as a video."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from cocon.core.errors import TooLargeError, UnreadableVideoError, UsageError
from cocon.video.decoding.frames import read_frames
from cocon.video.decoding.limits import MediaLimits
from cocon.video.pictures.encode import write_mp4
from cocon.video.pictures.pictures import pictures_of_files, pictures_of_video
from cocon.video.workers.pool import WorkerPool


def test_pictures_come_from_a_moment_on(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    write_mp4(path, ((number / 10, np.full((32, 48, 3), 25 * number, np.uint8)) for number in range(8)))
    every = list(read_frames(path))
    with WorkerPool() as pool:
        for start, first in ((0.0, 0), (0.3, 3), (0.31, 4), (0.7, 7)):
            pictures = pictures_of_video(pool, path, MediaLimits(), start_seconds=start)
            found = list(pictures)
            assert pictures.lost == ""
            assert [seconds for seconds, _ in found] == [seconds for seconds, _ in every[first:]]
            for (_, pixels), (_, expected) in zip(found, every[first:], strict=True):
                np.testing.assert_array_equal(pixels, expected)
        with pytest.raises(UsageError, match=r"start \(0.8 s\) is behind the end of video .* at 0.800 s"):
            next(pictures_of_video(pool, path, MediaLimits(), start_seconds=0.8))
        with pytest.raises(TooLargeError, match="max_frames"):
            list(pictures_of_video(pool, path, MediaLimits(max_frames=3)))


def test_picture_files_are_a_video_of_one_size(tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.png" for number in range(3)]
    for number, (path, side) in enumerate(zip(files, (24, 24, 48), strict=True)):
        cv2.imwrite(str(path), np.full((side, 2 * side, 3), (10, 20, 60 * number), np.uint8))  # blue first
    with WorkerPool() as pool:
        found = list(pictures_of_files(pool, files, MediaLimits()))
        assert [seconds for seconds, _ in found] == [0, 1, 2]
        for number, (_, pixels) in enumerate(found):
            np.testing.assert_array_equal(pixels, np.full((24, 48, 3), (60 * number, 20, 10), np.uint8))
        files[1].write_bytes(b"no picture")
        with pytest.raises(UnreadableVideoError, match=r"1\.png"):
            list(pictures_of_files(pool, files, MediaLimits()))
