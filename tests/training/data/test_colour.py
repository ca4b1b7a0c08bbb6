"""Colours of RGB clips: each jitter against its formula, what is constant over time, and the published recipe."""

import re
import shlex
from collections.abc import Callable
from importlib.resources import files
from itertools import takewhile
from pathlib import Path

import numpy as np
import pytest

from cocon.training.config.files import load_config
from cocon.training.config.input_sections import AugmentSection
from cocon.training.config.run import Config
from cocon.training.data.augment import random_clip
from cocon.training.data.colour import Colour, draw_colour, recoloured
from cocon.training.data.reading.decoded_video import DecodedView

MakeConfig = Callable[..., Config]
TrainTiny = Callable[..., bool]

LUMA = np.array([0.299, 0.587, 0.114])
ONES, ZEROS = np.ones(3, np.float32), np.zeros(3, np.float32)
NOTHING = {"gain": 0.0, "rgb_colour": 0.0, "rgb_gray": 0.0, "crop_scale": (1.0, 1.0)}
JITTER = {"rgb_brightness": 0.5, "rgb_contrast": 0.4, "rgb_saturation": 0.3, "rgb_hue": 0.25}
FRAMES = np.random.default_rng(0).integers(0, 256, (4, 16, 20, 3)).astype(np.uint8)


def _jittered(frames: np.ndarray, *jitter: tuple[str, float]) -> np.ndarray:
    return recoloured(frames, 1.0, Colour((0, 1, 2), ONES, ZEROS, jitter))


def _clip(how: AugmentSection, seed: int) -> np.ndarray:
    """A clip `[N, T, H, W, C]` of one frame again and again."""
    video = DecodedView(np.arange(4) / 30, FRAMES, None, 16, 20)
    return random_clip(video, "rgb", np.zeros((3, 4), np.int64), 16, how, np.random.default_rng(seed))


@pytest.mark.parametrize("jitter", [(), (("brightness", 1.0), ("hue", 0.0), ("contrast", 1.0), ("saturation", 1.0))])
def test_jitter_of_nothing_changes_nothing(jitter: tuple[tuple[str, float], ...]) -> None:
    assert np.array_equal(_jittered(FRAMES, *jitter), FRAMES)


@pytest.mark.parametrize("factor", [0.0, 0.6, 1.4])
def test_brightness_contrast_and_saturation_scale_distances(factor: float) -> None:
    pixels = FRAMES.astype(float)
    luminance = pixels @ LUMA
    expected = {
        "brightness": factor * pixels,
        "contrast": luminance.mean() + factor * (pixels - luminance.mean()),
        "saturation": luminance[..., None] + factor * (pixels - luminance[..., None]),
    }
    for kind, values in expected.items():
        shown = _jittered(FRAMES, (kind, factor)).astype(float)
        assert np.abs(shown - np.clip(values, 0, 255)).max() <= 1.01, kind


def test_hue_turns_red_into_green_and_back_and_leaves_gray_alone() -> None:
    red = np.zeros((1, 2, 2, 3), np.uint8)
    red[..., 0] = 200
    green = _jittered(red, ("hue", 1 / 3))
    assert np.abs(green.astype(int) - [0, 200, 0]).max() <= 6
    assert np.abs(_jittered(green, ("hue", -1 / 3)).astype(int) - red).max() <= 12
    gray = np.full((1, 2, 2, 3), 90, np.uint8)
    assert np.array_equal(_jittered(gray, ("hue", 0.2)), gray)


def test_jitter_is_drawn_within_its_limits_in_any_order() -> None:
    how, rng = AugmentSection(**JITTER), np.random.default_rng(0)
    drawn = [draw_colour(how, rng).jitter for _ in range(300)]
    assert len({tuple(kind for kind, _ in jitter) for jitter in drawn}) == 24
    for kind, limit in (("brightness", 0.5), ("contrast", 0.4), ("saturation", 0.3), ("hue", 0.25)):
        amounts = np.array([dict(jitter)[kind] for jitter in drawn]) - (kind != "hue")
        assert -limit <= amounts.min() < -0.95 * limit
        assert 0.95 * limit < amounts.max() <= limit
    assert draw_colour(AugmentSection(rgb_hue=0.1), rng).jitter[0][0] == "hue"


def test_jitter_and_blur_act_as_often_as_asked_for() -> None:
    how, rng = AugmentSection(**JITTER, rgb_jitter=0.8, rgb_blur=0.5), np.random.default_rng(0)
    drawn = [draw_colour(how, rng) for _ in range(1000)]
    assert 750 < sum(len(colour.jitter) == 4 for colour in drawn) < 850
    assert all(len(colour.jitter) in (0, 4) for colour in drawn)
    sigmas_px = 224 * np.array([colour.blur_sigma for colour in drawn if colour.blur_sigma])
    assert 450 < len(sigmas_px) < 550
    assert 0.1 <= sigmas_px.min() < 0.12 and 1.98 < sigmas_px.max() <= 2.0
    assert draw_colour(AugmentSection(), rng).blur_sigma == 0


@pytest.mark.parametrize("sigma_px", [0.1, 0.7, 2.0])
def test_blur_is_a_gaussian_of_each_frame_and_channel(sigma_px: float) -> None:
    shown = recoloured(FRAMES, 1.0, Colour((0, 1, 2), ONES, ZEROS, (), sigma_px / FRAMES.shape[1]))
    offsets = np.arange(-8, 9)
    weights = np.exp(-(offsets**2) / (2 * sigma_px**2))
    weights /= weights.sum()
    padded = np.pad(FRAMES.astype(float), ((0, 0), (8, 8), (8, 8), (0, 0)), "reflect")
    rows = sum(w * padded[:, 8 + d : 8 + d + 16] for d, w in zip(offsets, weights, strict=True))
    expected = sum(w * rows[:, :, 8 + d : 8 + d + 20] for d, w in zip(offsets, weights, strict=True))
    assert np.abs(shown - expected).max() <= 2
    assert np.array_equal(shown, FRAMES) == (sigma_px == 0.1)


@pytest.mark.parametrize("drawn_per", ["block", "clip"])
def test_jitter_is_the_same_over_all_frames_of_a_draw(drawn_per: str) -> None:
    clip = _clip(AugmentSection(**NOTHING, **JITTER, drawn_per=drawn_per), 0)
    assert np.array_equal(clip, np.broadcast_to(clip[:, :1], clip.shape))
    assert np.array_equal(clip[0], clip[1]) == (drawn_per == "clip")


@pytest.mark.parametrize("drawn_per", ["block", "clip"])
def test_jitter_and_gray_may_be_drawn_for_every_frame(drawn_per: str) -> None:
    changes = {"rgb_gray": 0.5, "colour_per": "frame", "drawn_per": drawn_per}
    clips = [_clip(AugmentSection(**NOTHING | JITTER | changes), seed) for seed in range(5)]
    frames = np.stack(clips).reshape(60, 16, 16, 3)
    assert len({frame.tobytes() for frame in frames}) == 60
    is_gray = np.ptp(frames.astype(int), axis=-1).max(axis=(1, 2)) <= 1
    assert 15 < is_gray.sum() < 45
    plain = _clip(AugmentSection(**NOTHING | {"drawn_per": drawn_per}), 0)
    assert np.array_equal(plain, np.broadcast_to(plain[:, :1], plain.shape))


def _published() -> list[str]:
    """The settings that the comment in the preset names."""
    text = (files("cocon.training.configs") / "paper.toml").read_text()
    recipe = text[text.index("# The published recipe") :].splitlines()
    comment = " ".join(line.removeprefix("#") for line in takewhile(lambda line: line.startswith("#"), recipe))
    return [shlex.split(setting)[0] for setting in re.findall(r"--set ('[^']*'|\S+)", comment)]


def test_the_published_recipe_of_the_preset_trains(
    tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path: Path
) -> None:
    settings = _published()
    paper = load_config("paper", settings).augment
    assert (paper.drawn_per, paper.colour_per, paper.crop_proposals) == ("clip", "frame", 3)
    assert (paper.rgb_brightness, paper.rgb_contrast, paper.rgb_saturation, paper.rgb_hue) == (0.5, 0.5, 0.5, 0.25)
    views = "views=['rgb', 'flow', 'pose', 'mask']"
    assert train_tiny(tiny_config(views, "training.epochs=1", "classifier.epochs=1", *settings), tmp_path)
