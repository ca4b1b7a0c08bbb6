"""Heat-maps drawn from key points."""

import numpy as np
import pytest

from cocon.video.estimation.pose import COCO_KEYPOINTS, LEFT_RIGHT_SWAP, draw_heatmaps


def _one_point(x: float, y: float, score: float, *, keypoint: int = 3) -> np.ndarray:
    keypoints = np.zeros((1, 1, 17, 3), np.float32)
    keypoints[0, 0, keypoint] = x, y, score
    return keypoints


def test_the_peak_is_at_the_key_point_in_its_own_channel_only() -> None:
    maps = draw_heatmaps(_one_point(20.5, 9.5, 1.0), height=32, width=64)
    assert maps.shape == (1, 32, 64, 17)
    assert maps.dtype == np.uint8
    assert np.unravel_index(maps[0, :, :, 3].argmax(), (32, 64)) == (9, 20)
    assert maps[0, 9, 20, 3] == 255
    assert not np.delete(maps, 3, axis=-1).any()


def test_the_gaussian_has_the_described_width() -> None:
    maps = draw_heatmaps(_one_point(32.5, 32.5, 1.0), height=64, width=64)[0, :, :, 3]
    distances = np.hypot(*np.meshgrid(np.arange(64) - 32.0, np.arange(64) - 32.0))
    expected = 255 * np.exp(-0.5 * (distances / 2.0) ** 2)  # 2 px at 64 px
    assert np.abs(maps - expected).max() <= 0.51


@pytest.mark.parametrize("score", [0.25, 0.5, 1.0, 3.0])
def test_the_peak_is_the_score_and_never_above_255(score: float) -> None:
    maps = draw_heatmaps(_one_point(10.5, 10.5, score), height=32, width=32)
    assert maps.max() == round(min(score, 1.0) * 255)


@pytest.mark.parametrize(
    ("x", "y", "score"), [(np.nan, 5, 1), (5, np.nan, 1), (np.inf, 5, 1), (5, 5, 0), (5, 5, -1), (5, 5, np.nan)]
)
def test_a_point_that_is_unknown_is_not_drawn(x: float, y: float, score: float) -> None:
    assert not draw_heatmaps(_one_point(x, y, score), height=16, width=16).any()


def test_two_people_share_a_channel_by_the_maximum() -> None:
    first, second = _one_point(8.5, 8.5, 1.0), _one_point(10.5, 8.5, 0.5)
    both = draw_heatmaps(np.concatenate([first, second], axis=1), height=32, width=32)
    alone = [draw_heatmaps(keypoints, height=32, width=32) for keypoints in (first, second)]
    assert np.array_equal(both, np.maximum(*alone))


def test_nobody_gives_empty_maps() -> None:
    assert draw_heatmaps(np.zeros((2, 0, 17, 3), np.float32), height=8, width=8).shape == (2, 8, 8, 17)


def test_swapping_sides_twice_changes_nothing_and_names_agree() -> None:
    swapped = [COCO_KEYPOINTS[index] for index in LEFT_RIGHT_SWAP]
    renamed = [name.replace("left", "?").replace("right", "left").replace("?", "right") for name in COCO_KEYPOINTS]
    assert swapped == renamed
    assert [LEFT_RIGHT_SWAP[index] for index in LEFT_RIGHT_SWAP] == list(range(17))


def test_a_mirrored_pose_is_the_mirrored_picture_with_sides_swapped() -> None:
    keypoints = np.random.default_rng(0).uniform(2, 30, (2, 1, 17, 3)).astype(np.float32)
    keypoints[..., 2] = 1.0
    mirrored = keypoints[:, :, LEFT_RIGHT_SWAP] * [-1, 1, 1] + [32, 0, 0]
    maps = draw_heatmaps(keypoints, height=32, width=32)
    assert (
        np.abs(draw_heatmaps(mirrored, height=32, width=32).astype(int) - maps[:, :, ::-1, LEFT_RIGHT_SWAP]).max() <= 1
    )
