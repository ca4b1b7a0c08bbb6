"""The people estimator on filmed people; `make test-videos` runs this on the folder that COCON_TEST_VIDEOS names."""

from pathlib import Path

import numpy as np
import pytest

from cocon.video.decoding.frames import read_frames
from cocon.video.estimation.people import MASK_SHORT_SIDE_PX, People, people_of

pytestmark = pytest.mark.real_videos


def _people(path: Path) -> list[People]:
    return [people for _, people in people_of(read_frames(path))]


# Measured: 0.80 (two arm wrestlers, cut by the picture's edges; at the end the picture is torn), 0.98, 1.00, 1.00.
@pytest.mark.parametrize(
    ("name", "share"),
    [
        ("mmaction2/demo.mp4", 0.70),
        ("felixchenfy/exercise.avi", 0.95),
        ("mmaction2/S001C001P001R001A001_rgb.avi", 0.95),
        ("tiny-ucf101/v_Basketball_g01_c01.avi", 0.95),
    ],
)
def test_a_person_is_found_in_most_frames(real_videos: Path, name: str, share: float) -> None:
    found = [people.is_found for people in _people(real_videos / name)]
    assert np.mean(found) >= share


def test_key_points_and_mask_of_the_middle_gymnast_agree(real_videos: Path) -> None:
    inside = []
    for people in _people(real_videos / "felixchenfy/exercise.avi"):
        if people.is_found:
            scale = np.array(people.mask.shape[1::-1]) / (people.width, people.height)
            columns, rows = (people.keypoints[0, :, :2].astype(float) * scale).astype(int).T
            height, width = people.mask.shape[:2]
            assert height == MASK_SHORT_SIDE_PX
            inside.append(people.mask[rows.clip(0, height - 1), columns.clip(0, width - 1), 0] > 127)
    assert np.mean(inside) > 0.9


def test_an_empty_mountain_side_holds_nobody(real_videos: Path) -> None:
    # The climber, some twenty pixels tall, is too small for the estimator, and no rock passes for a person.
    found = _people(real_videos / "tiny-ucf101/abseiling_k400.mp4")
    assert not any(people.is_found or people.mask.any() for people in found)
