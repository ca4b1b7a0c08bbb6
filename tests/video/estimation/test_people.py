"""The people estimator finds a drawn person, forgets the video before, and says what is missing."""

import hashlib
import runpy
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.video.estimation.people import (
    MASK_SHORT_SIDE_PX,
    PEOPLE_SHORT_SIDE_PX,
    People,
    check_people_available,
    people_of,
)
from cocon.video.estimation.pose import COCO_KEYPOINTS
from cocon.video.geometry import resize

pytestmark = pytest.mark.videos

PERSON_FILE = Path(__file__).parents[1] / "person.py"
draw_person = runpy.run_path(str(PERSON_FILE))["draw_person"]
Pixels = NDArray[np.uint8]

# A run of this file's fixtures in another process: the digest of what is found in the walking person.
_DIGEST = """
import hashlib, runpy, sys
from cocon.video.estimation.people import people_of
draw_person = runpy.run_path(sys.argv[1])["draw_person"]
digest = hashlib.sha256()
for _, people in people_of((index / 30, draw_person(4 * index)[0]) for index in range(6)):
    digest.update(people.keypoints.tobytes() + people.mask.tobytes())
print(digest.hexdigest())
"""


def _estimate(pictures: Sequence[Pixels]) -> list[People]:
    return [people for _, people in people_of(enumerate(pictures))]


def _bytes(found: Sequence[People]) -> list[bytes]:
    return [people.keypoints.tobytes() + people.mask.tobytes() for people in found]


@pytest.fixture(scope="module")
def walking() -> list[Pixels]:
    """Six pictures of a person that moves to the right."""
    return [draw_person(4 * index)[0] for index in range(6)]


@pytest.fixture(scope="module")
def empty_room() -> Pixels:
    noise = np.random.default_rng(1).normal(200, 4, (240, 320, 3))
    return np.clip(noise, 0, 255).astype(np.uint8)


def test_keypoints_lie_on_the_drawn_joints(walking: list[Pixels]) -> None:
    for index, people in enumerate(_estimate(walking)):
        _, joints, _ = draw_person(4 * index)
        scale = np.array([people.width / 340, people.height / 320])
        distances = np.linalg.norm(people.keypoints[0, :, :2] - joints * scale, axis=1)
        assert dict(zip(COCO_KEYPOINTS, distances > 0.05 * people.height, strict=True)) == dict.fromkeys(
            COCO_KEYPOINTS, False
        )
        assert np.median(distances) < 0.02 * people.height
        assert people.is_found


def test_every_drawn_joint_is_sure(walking: list[Pixels]) -> None:
    for people in _estimate(walking):
        assert (people.keypoints.dtype, people.keypoints.shape) == (np.float16, (1, 17, 3))
        assert people.keypoints[..., 2].min() > 0.5
        assert people.keypoints[..., 2].max() <= 1


def test_the_mask_is_the_drawn_body(walking: list[Pixels]) -> None:
    for index, people in enumerate(_estimate(walking)):
        drawn = draw_person(4 * index)[2][..., None].astype(np.uint8) * 255
        body = resize(drawn, *people.mask.shape[:2]) > 127
        seen = people.mask > 127
        assert (body & seen).sum() / (body | seen).sum() > 0.9


def test_a_mirrored_person_has_its_sides_swapped() -> None:
    people = _estimate([draw_person()[0][:, ::-1]])[0]
    left, right = people.keypoints[0, COCO_KEYPOINTS.index("left_wrist")], people.keypoints[0, 10]
    # The raised hand is the left one of the drawn person, the right one of its mirror image.
    assert right[1] < people.height / 4 < left[1]
    assert right[0] < people.width / 2 < left[0]


def test_nobody_gives_zeros(empty_room: Pixels) -> None:
    for people in _estimate([empty_room] * 3):
        assert not people.is_found
        assert not people.keypoints.any()
        assert not people.mask.any()
        assert people.keypoints.shape == (1, 17, 3)


def test_times_are_passed_through_one_by_one(walking: list[Pixels]) -> None:
    taken: list[int] = []

    def frames() -> Iterator[tuple[float, Pixels]]:
        for index, pixels in enumerate(walking):
            taken.append(index)
            yield index / 25, pixels

    for index, (seconds, _) in enumerate(people_of(frames())):
        assert (seconds, taken) == (index / 25, list(range(index + 1)))
    assert len(taken) == len(walking)


def test_a_large_frame_is_reduced_and_its_aspect_kept() -> None:
    picture = draw_person()[0]
    small, large = (_estimate([resize(picture, 320 * factor, 340 * factor)])[0] for factor in (1, 3))
    assert (large.height, large.width) == (small.height, small.width) == (PEOPLE_SHORT_SIDE_PX, 272)
    assert large.mask.shape == small.mask.shape == (MASK_SHORT_SIDE_PX, 136, 1)
    assert np.abs(large.keypoints - small.keypoints)[..., :2].max() < 0.03 * PEOPLE_SHORT_SIDE_PX


def test_a_small_frame_is_not_enlarged() -> None:
    people = _estimate([resize(draw_person()[0], 96, 102)])[0]
    assert (people.height, people.width, people.mask.shape) == (96, 102, (96, 102, 1))
    assert people.is_found


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 5), (1, 100), (100, 1), (33, 31), (2, 3000), (9000, 300)])
def test_a_frame_of_any_size_is_answered(size: tuple[int, int], empty_room: Pixels) -> None:
    for picture in (resize(empty_room, *size), resize(draw_person()[0], *size)):
        people = _estimate([picture] * 2)[1]
        assert people.height / people.width == pytest.approx(size[0] / size[1], rel=0.01)
        assert np.isfinite(people.keypoints).all()
        assert min(people.mask.shape[:2]) == min(*size, MASK_SHORT_SIDE_PX)


def test_frames_may_change_their_size_within_a_video() -> None:
    picture = draw_person()[0]
    sizes = [(320, 340), (320, 340), (1, 1), (320, 2), (2, 340), (64, 68), (320, 340)]
    found = _estimate([resize(picture, *size) for size in sizes])
    assert all(np.isfinite(people.keypoints).all() for people in found)
    assert found[0].is_found
    assert found[-1].is_found


def test_a_frame_may_be_a_window_into_read_only_memory(walking: list[Pixels]) -> None:
    wide = np.concatenate([walking[0], walking[0]], axis=1)
    wide.flags.writeable = False
    assert _bytes(_estimate([wide[:, :340]])) == _bytes(_estimate([walking[0]]))


def test_the_same_video_gives_the_same_bytes_after_other_videos(walking: list[Pixels], empty_room: Pixels) -> None:
    first = _bytes(_estimate(walking))
    _estimate([draw_person(-60)[0]] * 2)
    _estimate([empty_room])
    assert _bytes(_estimate(walking)) == first


def test_two_videos_at_once_do_not_disturb_each_other(walking: list[Pixels]) -> None:
    backwards = walking[::-1]
    expected = _bytes(_estimate(walking)), _bytes(_estimate(backwards))
    pairs = list(zip(people_of(enumerate(walking)), people_of(enumerate(backwards)), strict=True))
    assert (_bytes([one[1] for one, _ in pairs]), _bytes([two[1] for _, two in pairs])) == expected


def test_the_same_video_gives_the_same_bytes_in_another_process(walking: list[Pixels]) -> None:
    command = [sys.executable, "-c", _DIGEST, str(PERSON_FILE)]
    digests = [subprocess.run(command, capture_output=True, text=True, timeout=300).stdout for _ in range(2)]
    assert len(digests[0]) == 65
    assert digests[0] == digests[1]
    assert hashlib.sha256(b"".join(_bytes(_estimate(walking)))).hexdigest() == digests[0].strip()


def test_the_estimator_is_available_here() -> None:
    check_people_available()


def _message_without(prepare: str, *, folder: Path | None = None) -> str:
    """What a Python says in which an import fails; it ends before any frame is taken."""
    code = f"""
import sys
{prepare}
from cocon.core.errors import MissingViewError
from cocon.video.estimation.people import people_of
try:
    people_of(iter(lambda: sys.exit("a frame was taken"), None))
except MissingViewError as error:
    print(error)
"""
    search = [f"import sys; sys.path.insert(0, {str(folder)!r})"] if folder else []
    command = [sys.executable, "-c", "\n".join([*search, code])]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    return result.stdout


_HIDE = """
import importlib.abc
class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] == {name!r}:
            raise ModuleNotFoundError(f"No module named {name!r}", name={name!r})
sys.meta_path.insert(0, Absent())
"""


@pytest.mark.parametrize("name", ["mediapipe", "matplotlib"])
def test_a_missing_module_is_named_with_the_extra_that_brings_it(name: str) -> None:
    message = _message_without(_HIDE.format(name=name))
    assert f"need '{name}', which is not installed; run: pip install 'cocon[people]'" in message
    assert message.count("\n") == 1


@pytest.mark.parametrize(
    ("library", "package"), [("libGL.so.1", "libgl1"), ("libEGL.so.1", "libegl1"), ("libGLESv2.so.2", "libgles2")]
)
def test_a_missing_shared_library_is_named_with_its_package(library: str, package: str, tmp_path: Path) -> None:
    failing = f'raise ImportError("{library}: cannot open shared object file: No such file or directory")'
    (tmp_path / "cv2.py").write_text(failing)
    message = _message_without("", folder=tmp_path)
    assert library.partition(".")[0] in message
    assert f"apt-get install {package}\n" in message
    assert message.count("\n") == 1


def test_a_broken_installation_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "mediapipe.py").write_text("raise ImportError('numpy.core.multiarray failed to import')")
    message = _message_without("", folder=tmp_path)
    assert "numpy.core.multiarray failed to import; run: pip install --force-reinstall 'cocon[people]'" in message
    assert message.count("\n") == 1


def test_the_module_loads_no_heavy_library() -> None:
    code = "import sys, cocon.video.estimation.people; print({'mediapipe', 'cv2', 'matplotlib'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert result.stdout == "set()\n", result.stderr
