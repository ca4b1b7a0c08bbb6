"""What a gallery shows of moments: films where there is room, stills where there is less, and what is wrong."""

from pathlib import Path

import av
import numpy as np
import pytest

from cocon.client.gallery.moments import ShownMoment, pictures_of
from cocon.video.decoding.frames import read_frames
from cocon.video.decoding.limits import MediaLimits
from tests.client.conftest import write_video

pytestmark = pytest.mark.videos
LIMITS = MediaLimits()


def test_a_film_is_two_seconds_from_the_middle_of_its_moment() -> None:
    assert ShownMoment("a", 3.0, 9.0).film_span == (5.0, 7.0)
    assert ShownMoment("a", 3.0, 4.5).film_span == (3.0, 4.5)


def test_films_go_before_stills_and_the_last_before_the_first(tmp_path: Path) -> None:
    moments = [ShownMoment(str(write_video(tmp_path / f"v{n}.mp4", seed=n)), 0.2, 1.4) for n in range(4)]
    moments.append(moments[0])
    done: list[tuple[int, int | None]] = []
    found = pictures_of(moments, LIMITS, max_bytes=1 << 20, on_progress=lambda *each: done.append(each))
    assert list(found) == moments[:4]
    assert done[-1] == (4, 4)
    sizes = [(len(picture.still), len(picture.film)) for picture in found.values()]
    assert all(still and film for still, film in sizes)
    stills = sum(still for still, _ in sizes)
    for room, kept in ((stills + sizes[0][1] + 10, [1, 0, 0, 0]), (stills, [0] * 4)):
        fitting = pictures_of(moments, LIMITS, max_bytes=room)
        assert [bool(picture.film) for picture in fitting.values()] == list(map(bool, kept))
        assert all(picture.still for picture in fitting.values())
        assert sum(len(picture.still) + len(picture.film) for picture in fitting.values()) <= room
    assert not any(picture.still or picture.film for picture in pictures_of(moments, LIMITS, max_bytes=1).values())


def test_a_film_has_the_moment_of_a_file_that_no_browser_plays(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for number in range(60):
            pixels = np.full((360, 640, 3), 4 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    moment = ShownMoment(str(path), 2.0, 5.0)
    (picture,) = pictures_of([moment], LIMITS, max_bytes=1 << 20).values()
    assert (picture.height, picture.width) == (180, 320)
    (film := tmp_path / "film.mp4").write_bytes(picture.film)
    shown = [round(float(pixels.mean()) / 4) for _, pixels in read_frames(film)]
    assert shown[0] in (24, 25, 26)
    assert 19 <= len(shown) <= 21


def test_what_is_gone_is_told_and_keeps_nobody_else_back(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    names = [tmp_path / "gone.mp4", tmp_path / "broken.mp4", write_video(tmp_path / "v.mp4", seed=1)]
    found = list(pictures_of([ShownMoment(str(name), 0, 1) for name in names], LIMITS, max_bytes=1 << 20).values())
    assert "does not exist" in found[0].problem
    assert "cannot be decoded" in found[1].problem
    assert found[2].film


@pytest.mark.slow  # the others hold the rule; this one holds the figure on what compresses worst
def test_twenty_films_of_noise_fit_into_ten_megabytes(tmp_path: Path) -> None:
    path = tmp_path / "noise.mp4"
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "12", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        for _ in range(100):
            pixels = rng.integers(0, 255, (480, 640, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    moments = [ShownMoment(str(path), 0.1 * number, 0.1 * number + 3) for number in range(20)]
    found = pictures_of(moments, LIMITS, max_bytes=7_000_000)
    sizes = [len(picture.film) for picture in found.values()]
    assert sum(len(picture.still) for picture in found.values()) + sum(sizes) <= 7_000_000
    assert all(picture.still for picture in found.values())
