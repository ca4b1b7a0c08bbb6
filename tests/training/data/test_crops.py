"""Crops: by side or by area, of which view, which of several, and the same in all views where asked for."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.core.errors import UsageError
from cocon.training.config.input_sections import AugmentSection
from cocon.training.config.run import Config
from cocon.training.data.augment import random_clip, random_clips
from cocon.training.data.crops import draw_crop, fullest_crop
from cocon.training.data.reading.decoded_video import DecodedView
from cocon.video.store.files import StoredView

MakeConfig = Callable[..., Config]

PLAIN = {"drawn_per": "clip", "gain": 0.0, "rgb_colour": 0.0, "rgb_gray": 0.0}
HEIGHT, WIDTH = 60, 80
ONE = np.zeros((1, 1), np.int64)


def _decoded(pixels: NDArray[np.uint8]) -> DecodedView:
    return DecodedView(np.arange(len(pixels)) / 30, pixels, None, *pixels.shape[1:3])


def _places(height: int = HEIGHT, width: int = WIDTH, channels: int = 3) -> DecodedView:
    """Every pixel says its row and column, in steps of 1/255 of the picture."""
    rows, columns = np.mgrid[0:height, 0:width] / [[[height]], [[width]]] * 255
    picture = np.stack([rows, columns, rows], axis=-1)[..., :channels]
    return _decoded(np.rint(picture)[None].astype(np.uint8))


def test_crops_by_area_have_areas_and_aspects_of_their_ranges_and_lie_anywhere() -> None:
    how = AugmentSection(**PLAIN, crop_area=(0.3, 0.8), crop_aspect=(0.5, 1.5))
    rng = np.random.default_rng(0)
    crops = [draw_crop(_places(), "rgb", how, rng) for _ in range(400)]
    areas = np.array([crop.height * crop.width for crop in crops]) / (HEIGHT * WIDTH)
    aspects = np.array([crop.width / crop.height for crop in crops])
    assert 0.28 < areas.min() < 0.33
    assert 0.72 < areas.max() < 0.82
    assert 0.48 < aspects.min() < 0.6
    assert 1.4 < aspects.max() < 1.55
    assert min(crop.top for crop in crops) == min(crop.left for crop in crops) == 0
    assert max(crop.top + crop.height for crop in crops) == HEIGHT
    assert max(crop.left + crop.width for crop in crops) == WIDTH


def test_the_largest_crop_of_a_ratio_is_taken_where_none_of_the_area_fits() -> None:
    how = AugmentSection(**PLAIN, crop_area=(1.0, 1.0), crop_aspect=(0.5, 0.5))
    crop = draw_crop(_places(), "rgb", how, np.random.default_rng(0))
    assert (crop.height, crop.width, crop.top) == (60, 30, 0)


def test_a_crop_that_is_no_square_is_stretched_to_one_and_flow_with_it() -> None:
    how = AugmentSection(**PLAIN, crop_area=(0.375, 0.375), crop_aspect=(0.5, 0.5))  # 60 × 30
    corners = random_clip(_places(), "rgb", ONE, 24, how, np.random.default_rng(0))[0, 0, :, :, :2].astype(float)
    assert abs(corners[-1, 0, 0] - corners[0, 0, 0] - 255 * 23 / 24) < 4
    assert abs(corners[0, -1, 1] - corners[0, 0, 1] - 255 * 30 / 80 * 23 / 24) < 4
    flow = _decoded(np.full((1, HEIGHT, WIDTH, 2), 128 + 10, np.uint8))
    clip = random_clip(flow, "flow", ONE, 120, how, np.random.default_rng(0))
    assert (clip == [128 + 40, 128 + 20]).all()


def test_a_view_may_have_a_crop_scale_of_its_own() -> None:
    how = AugmentSection(**PLAIN, crop_area=(0.3, 0.5), crop_scale=(0.9, 0.9), crop_scale_of={"kphm": (0.5, 0.5)})
    sides = {view: draw_crop(_places(), view, how, np.random.default_rng(0)) for view in ("pose", "flow")}
    assert (sides["pose"].height, sides["pose"].width) == (30, 30)
    assert sides["flow"].height * sides["flow"].width < 0.55 * HEIGHT * WIDTH
    with pytest.raises(ValueError, match="view 'heat' is unknown"):
        AugmentSection(crop_scale_of={"heat": (0.5, 0.5)})


@pytest.mark.parametrize(("view", "neutral", "channels"), [("flow", 128, 2), ("mask", 0, 1), ("pose", 0, 17)])
def test_the_fullest_crop_has_the_largest_mean_distance_from_neutral(view: str, neutral: int, channels: int) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (4, HEIGHT, WIDTH, channels)).astype(np.uint8)
    how = AugmentSection(crop_scale=(0.2, 0.9))
    indices = np.array([0, 2, 2])
    for _ in range(20):
        crops = [draw_crop(_decoded(pixels), view, how, rng) for _ in range(5)]
        amounts = [np.abs(pixels[indices][:, *crop.window].astype(float) - neutral).mean() for crop in crops]
        assert fullest_crop(crops, _decoded(pixels), view, indices) == crops[int(np.argmax(amounts))]


def _in_the_corner(view: str) -> DecodedView:
    """Something in the lower right corner, of the second frame only; frames before and after are empty."""
    if view == "pose":
        keypoints = np.zeros((3, 2, 17, 3), np.float16)
        keypoints[1, 0, 5] = (130, 90, 0.9)  # of a picture of twice the size
        keypoints[:, 1] = np.nan
        stored = StoredView("pose", np.arange(3) / 30, None, keypoints, 2 * HEIGHT, 2 * WIDTH, {})
        return DecodedView(stored.timestamps, None, stored, HEIGHT, WIDTH)
    neutral, channels = {"flow": (128, 2), "mask": (0, 1)}[view]
    pixels = np.full((3, HEIGHT, WIDTH, channels), neutral, np.uint8)
    pixels[1, 45:, 65:, -1] = 20
    return _decoded(pixels)


@pytest.mark.parametrize("view", ["flow", "mask", "pose"])
def test_a_crop_of_many_proposals_shows_the_corner_where_something_moves(view: str) -> None:
    video, indices = _in_the_corner(view), np.array([[0, 1, 2]])
    how = {number: AugmentSection(**PLAIN, crop_scale=(0.5, 0.5), crop_proposals=number) for number in (1, 100)}
    clips = {
        number: [random_clip(video, view, indices, 30, how[number], np.random.default_rng(s)) for s in range(20)]
        for number in how
    }
    is_shown = {number: [bool(np.ptp(clip) > 15) for clip in clips[number]] for number in how}
    assert all(is_shown[100])
    assert sum(is_shown[1]) < 12


@pytest.mark.parametrize("is_shared", [False, True])
@pytest.mark.parametrize("crop", [{"crop_scale": (0.3, 0.6)}, {"crop_area": (0.2, 0.4)}])
def test_views_that_share_their_draws_show_the_same_part_of_the_picture(
    crop: dict[str, object], is_shared: bool
) -> None:
    views = {"rgb": _places(), "flow": _places(120, 160, 2), "mask": _places(30, 40, 1)}
    how = AugmentSection(**{**PLAIN, "drawn_per": "block"}, **crop, shared_by_views=is_shared)
    indices, sizes_px = dict.fromkeys(views, np.zeros((3, 2), np.int64)), {"rgb": 20, "flow": 40, "mask": 20}
    differences = []
    for seed in range(10):
        clips = random_clips(views, indices, sizes_px, how, np.random.default_rng(seed))
        assert clips["flow"].shape == (3, 2, 40, 40, 2)
        rgb, mask = clips["rgb"][..., 0].astype(int), clips["mask"][..., 0].astype(int)
        differences.append(np.abs(rgb - mask).mean())
    assert (max(differences) < 8) == is_shared


def test_views_that_share_their_draws_are_mirrored_together() -> None:
    views = {"rgb": _places(40, 40), "mask": _decoded(_places(40, 40).pixels[..., 1:2])}
    how = AugmentSection(**PLAIN, crop_scale=(1.0, 1.0), horizontal_flip=True, shared_by_views=True)
    sides = set()
    for seed in range(20):
        clips = random_clips(
            views, dict.fromkeys(views, ONE), dict.fromkeys(views, 40), how, np.random.default_rng(seed)
        )
        assert np.array_equal(clips["rgb"][..., 1:2], clips["mask"])
        sides.add(bool(clips["mask"][0, 0, 0, 0, 0] > clips["mask"][0, 0, 0, -1, 0]))
    assert sides == {False, True}


def test_only_the_named_views_are_mirrored() -> None:
    view = _places(40, 40)
    how = AugmentSection(**PLAIN, crop_scale=(1.0, 1.0), horizontal_flip=("imgs",))
    for name, expected in (("rgb", 2), ("mask", 1)):
        clips = {random_clip(view, name, ONE, 40, how, np.random.default_rng(s)).tobytes() for s in range(20)}
        assert len(clips) == expected


def test_the_defaults_draw_in_the_order_that_interrupted_runs_rely_on() -> None:
    video, how = _places(64, 64), AugmentSection()
    clip = random_clip(video, "mask", np.zeros((3, 1), np.int64), 50, how, np.random.default_rng(7))
    rng = np.random.default_rng(7)
    for block in clip[:, 0]:
        side = round(64 * rng.uniform(0.75, 1.0))
        top, left = rng.integers(0, 64 - side + 1), rng.integers(0, 64 - side + 1)
        gain = rng.uniform(0.8, 1.2)
        rng.integers(3), rng.random(), rng.uniform(size=3), rng.uniform(size=3)
        corner = np.round(np.array([top, left]) / 64 * 255 * gain)
        assert np.abs(block[0, 0, :2] - corner).max() <= 6
        far = np.round(np.minimum(255, np.array([top + side - 1, left + side - 1]) / 64 * 255 * gain))
        assert np.abs(block[-1, -1, :2] - far).max() <= 6


def test_crops_of_single_views_cannot_be_shared(tiny_config: MakeConfig) -> None:
    for setting in ("augment.crop_proposals=3", "augment.crop_scale_of.pose=[0.8, 0.8]"):
        with pytest.raises(UsageError, match="shared_by_views has one crop for all views"):
            tiny_config("augment.shared_by_views=true", setting)
