"""A part of a video is the slice of the whole: frames, times and flow to the byte, wherever decoding began."""

import csv
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.core.errors import CoconError, UnreadableVideoError, UsageError
from cocon.video.clips import ClipSpec, grid_indices
from cocon.video.decoding.frames import read_frames
from cocon.video.estimation.flow import FlowSpec
from cocon.video.geometry import Geometry
from cocon.video.reading.live import ViewRequest
from cocon.video.reading.whole_video import WholeVideo, are_within, whole_video
from cocon.video.workers.pool import WorkerPool

from ..decoding.field_videos import write_fields
from ..seed_videos import SEEDS, write_seed

pytestmark = pytest.mark.videos

_RATE = Fraction(5)  # so that a few frames are seconds, and key frames are looked for
REQUESTS = {
    "rgb": ViewRequest(Geometry(24, 24)),
    "flow": ViewRequest(Geometry(16, 16), FlowSpec(0.3, size_px=16)),
}


@pytest.fixture(scope="module")
def workers() -> Iterator[WorkerPool]:
    with WorkerPool() as pool:
        yield pool


def _pixels(whole: WholeVideo, view: str) -> NDArray[np.uint8]:
    pixels = whole.views[view].pixels
    assert pixels is not None
    return pixels


def _check_parts(path: Path, workers: WorkerPool, requests: Mapping[str, ViewRequest] = REQUESTS) -> None:
    whole = whole_video(path, requests, workers)
    length = float(whole.timestamps[-1])
    for begin, end in ((0.2, 0.4), (0.4, 0.9), (0.75, 2.0)):
        inside = are_within(whole.timestamps, begin * length, end * length)
        if not inside.any():  # of a video of a frame or two
            continue
        part = whole_video(path, requests, workers, begin_seconds=begin * length, end_seconds=end * length)
        np.testing.assert_array_equal(part.timestamps, whole.timestamps[inside])
        for view in requests:
            np.testing.assert_array_equal(_pixels(part, view), _pixels(whole, view)[inside], f"{view} {begin}")
            np.testing.assert_array_equal(part.views[view].timestamps, part.timestamps)


@pytest.mark.parametrize(
    ("ending", "codec"),
    [
        *(("mp4", "libx264"), ("ts", "libx264"), ("mkv", "libx265"), ("webm", "libvpx-vp9"), ("avi", "mjpeg")),
        *(("avi", "libx264"), ("flv", "libx264"), ("mpg", "mpeg2video"), ("h264", "libx264"), ("mp4", "libsvtav1")),
    ],
)
def test_a_part_is_the_slice_of_the_whole(ending: str, codec: str, tmp_path: Path, workers: WorkerPool) -> None:
    start_frames = 0 if ending == "avi" else 60
    path = tmp_path / f"a.{ending}"
    write_fields(path, codec, start_frames=start_frames, num_b_frames=2, group_size=7, rate=_RATE)
    _check_parts(path, workers)


@pytest.mark.parametrize("params", ["open-gop=1:bframes=3:keyint=8", "intra-refresh=1:keyint=8"])
@pytest.mark.parametrize("ending", ["mp4", "ts"])
def test_groups_that_lean_on_those_before_make_no_difference(
    params: str, ending: str, tmp_path: Path, workers: WorkerPool
) -> None:
    path = tmp_path / f"a.{ending}"
    write_fields(path, "libx264", num_b_frames=3, rate=_RATE, **{"x264-params": params})
    _check_parts(path, workers)


@pytest.mark.parametrize("name", ["rotated", "variable", "10bit", "fragmented"])
def test_turned_pictures_and_uneven_times_make_no_difference(name: str, tmp_path: Path, workers: WorkerPool) -> None:
    _check_parts(write_seed(tmp_path / f"a.{SEEDS[name].ending}", SEEDS[name], num_frames=60), workers)


def test_pixels_that_are_no_squares_make_no_difference(tmp_path: Path, workers: WorkerPool) -> None:
    path = write_seed(tmp_path / "a.mp4", SEEDS["h264"], num_frames=60)
    with av.open(str(path)) as source, av.open(str(tmp_path / "b.mp4"), "w") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        stream.sample_aspect_ratio = Fraction(4, 3)
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                output.mux(packet)
    _, pixels = next(read_frames(tmp_path / "b.mp4"))
    assert pixels.shape == (48, 85, 3)
    _check_parts(tmp_path / "b.mp4", workers)


def test_a_file_whose_pictures_change_their_size_has_the_size_of_the_first(tmp_path: Path, workers: WorkerPool) -> None:
    parts = [
        write_seed(tmp_path / f"{side}.ts", SEEDS["transport"], num_frames=50, height=side, width=64)
        for side in (48, 64)
    ]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    _check_parts(path, workers)


@pytest.mark.parametrize(("ending", "codec"), [("mp4", "libx264"), ("ts", "libx264"), ("mkv", "mpeg4")])
def test_damage_makes_no_difference(ending: str, codec: str, tmp_path: Path, workers: WorkerPool) -> None:
    path = write_fields(tmp_path / f"a.{ending}", codec, num_b_frames=2, group_size=7, rate=_RATE)
    content = path.read_bytes()
    for seed in range(3):
        damaged = bytearray(content)
        # In the midst of what the parts hold: of damage before it, where nothing looks, nobody knows.
        for place in np.random.default_rng(seed).integers(len(content) // 2, len(content) * 4 // 5, 3):
            damaged[place] ^= 0x55
        path.write_bytes(damaged)
        try:
            whole_video(path, REQUESTS, workers)
        except UnreadableVideoError:  # its index is gone
            continue
        _check_parts(path, workers)


def test_a_folder_takes_the_arrays_and_they_are_mapped(tmp_path: Path, workers: WorkerPool) -> None:
    path = write_fields(tmp_path / "a.mp4", "libx264", group_size=7, rate=_RATE)
    sent = whole_video(path, REQUESTS, workers, begin_seconds=3, end_seconds=6)
    laid = whole_video(path, REQUESTS, workers, begin_seconds=3, end_seconds=6, into=tmp_path)
    assert len(laid.timestamps) == 15
    for view in REQUESTS:
        (tmp_path / f"{view}.npy").unlink()  # the mapping outlives the name
        assert isinstance(laid.views[view].pixels, np.memmap)
        np.testing.assert_array_equal(_pixels(laid, view), _pixels(sent, view))


@pytest.mark.parametrize(
    "step", [{"step_seconds": 0.5}, {"step_seconds": 0.1}, {"step_seconds": None, "step_frames": 3}]
)
def test_a_grid_keeps_the_frames_that_clips_have(step: dict[str, float], tmp_path: Path, workers: WorkerPool) -> None:
    path = write_fields(tmp_path / "a.mp4", "libx264", group_size=7, rate=_RATE)
    spec = ClipSpec(1, 2, **step)  # type: ignore[arg-type]  # of the parameters
    for begin in (0.0, 2.1):
        every = whole_video(path, REQUESTS, workers, begin_seconds=begin)
        some = whole_video(path, REQUESTS, workers, begin_seconds=begin, grid=spec)
        chosen = np.unique(grid_indices(every.timestamps, spec))
        np.testing.assert_array_equal(some.timestamps, every.timestamps)
        for view in REQUESTS:
            np.testing.assert_array_equal(some.views[view].timestamps, every.timestamps[chosen])
            np.testing.assert_array_equal(_pixels(some, view), _pixels(every, view)[chosen])


def test_a_part_without_a_frame_and_a_file_that_is_not_there_are_told(tmp_path: Path, workers: WorkerPool) -> None:
    path = write_fields(tmp_path / "a.mp4", "libx264", rate=_RATE)
    with pytest.raises(
        UnreadableVideoError, match=r"a\.mp4' has no frame from 8 to 9 s; the last one before is at 7 s"
    ):
        whole_video(path, REQUESTS, workers, begin_seconds=8, end_seconds=9)
    with pytest.raises(UsageError, match="nowhere"):
        whole_video(tmp_path / "nowhere.mp4", REQUESTS, workers, begin_seconds=8)


def _listed(folder: Path) -> Iterator[Path]:
    with (folder / "expected.csv").open(encoding="utf-8") as stream:
        yield from (folder / row["path"] for row in csv.DictReader(stream))


@pytest.mark.real_videos
def test_parts_of_real_files_are_slices_of_the_whole(real_videos: Path, workers: WorkerPool) -> None:
    for path in _listed(real_videos):
        try:
            whole_video(path, REQUESTS, workers)
        except CoconError as error:
            with pytest.raises(type(error)):
                whole_video(path, REQUESTS, workers, begin_seconds=3)
        else:
            _check_parts(path, workers)
