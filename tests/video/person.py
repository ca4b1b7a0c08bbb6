"""A mannequin, drawn well enough that an estimator takes it for a person; the tests that want one load this file."""

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Point = tuple[float, float]
Colour = tuple[int, int, int]

HEIGHT, WIDTH = 320, 340
# COCO order; the person faces us, so its left is on the picture's right. The left arm is raised.
JOINTS: dict[str, Point] = {
    "nose": (170, 52),
    "left_eye": (177, 46),
    "right_eye": (163, 46),
    "left_ear": (188, 49),
    "right_ear": (152, 49),
    "left_shoulder": (202, 88),
    "right_shoulder": (138, 88),
    "left_elbow": (242, 84),
    "right_elbow": (118, 128),
    "left_wrist": (262, 48),
    "right_wrist": (108, 166),
    "left_hip": (188, 166),
    "right_hip": (152, 166),
    "left_knee": (192, 226),
    "right_knee": (148, 226),
    "left_ankle": (194, 282),
    "right_ankle": (146, 282),
}
_SKIN, _HAIR, _LIPS = (224, 172, 140), (60, 40, 25), (170, 60, 60)
_SHIRT, _TROUSERS, _SHOES = (40, 70, 150), (60, 60, 70), (30, 30, 30)
_SHADES = 8


def draw_person(shift_px: int = 0) -> tuple[Pixels, NDArray[np.float64], NDArray[np.bool_]]:
    """One picture of a standing person, moved to the right by whole pixels.

    Returns:
        RGB `uint8 [320, 340, 3]`; the joints, `float64 [17, 2]`; which pixels show the body, `bool [320, 340]`.
    """
    room = np.full((HEIGHT, WIDTH, 3), (200, 205, 210), np.uint8)
    room[int(HEIGHT * 0.8) :] = (150, 140, 125)
    picture = room.copy()
    joints = {name: (x + shift_px, y) for name, (x, y) in JOINTS.items()}
    for side in ("left", "right"):
        _draw_leg(picture, joints, side)
    _draw_trunk(picture, joints)
    for side in ("left", "right"):
        _draw_arm(picture, joints, side)
    _draw_head(picture, joints)
    body = (picture != room).any(axis=-1)
    noise = np.random.default_rng(0).normal(0, 4, picture.shape)
    grainy = np.clip(cv2.GaussianBlur(picture, (0, 0), 1.0) + noise, 0, 255).astype(np.uint8)
    return grainy, np.array(list(joints.values()), np.float64), body


def _draw_leg(picture: Pixels, joints: dict[str, Point], side: str) -> None:
    hip, knee, ankle = (joints[f"{side}_{joint}"] for joint in ("hip", "knee", "ankle"))
    _draw_limb(picture, hip, knee, 32, _TROUSERS)
    _draw_limb(picture, knee, ankle, 22, _TROUSERS)
    outwards = 10 if side == "left" else -10
    _draw_limb(picture, (ankle[0], ankle[1] + 8), (ankle[0] + outwards, ankle[1] + 13), 15, _SHOES)


def _draw_trunk(picture: Pixels, joints: dict[str, Point]) -> None:
    left, right = joints["left_shoulder"], joints["right_shoulder"]
    left_hip, right_hip = joints["left_hip"], joints["right_hip"]
    _draw_limb(picture, left_hip, right_hip, 34, _TROUSERS)
    corners = np.array(
        [
            (right[0] - 4, right[1] - 8),
            (left[0] + 4, left[1] - 8),
            (left_hip[0] + 8, left_hip[1]),
            (right_hip[0] - 8, right_hip[1]),
        ]
    )
    for shade in np.linspace(0, 0.9, _SHADES):
        outline = corners.mean(axis=0) + (corners - corners.mean(axis=0)) * (1 - shade)
        cv2.fillPoly(picture, [outline.astype(np.int32)], _lit(_SHIRT, shade), cv2.LINE_AA)
    neck = (left[0] + right[0]) / 2
    _draw_limb(picture, (neck, left[1] - 18), (neck, left[1] - 2), 22, _SKIN)


def _draw_arm(picture: Pixels, joints: dict[str, Point], side: str) -> None:
    shoulder, elbow, wrist = (np.array(joints[f"{side}_{joint}"]) for joint in ("shoulder", "elbow", "wrist"))
    middle, hand = (shoulder + elbow) / 2, wrist + (wrist - elbow) * 0.3
    _draw_limb(picture, shoulder, middle, 24, _SHIRT)
    _draw_limb(picture, middle, elbow, 18, _SKIN)
    _draw_limb(picture, elbow, wrist, 15, _SKIN)
    _draw_limb(picture, wrist, hand, 13, _SKIN)


def _draw_head(picture: Pixels, joints: dict[str, Point]) -> None:
    x, y = (int(value) for value in joints["nose"])
    _draw_disc(picture, (x, y - 8), (21, 25), _HAIR)
    for side in ("left", "right"):
        _draw_disc(picture, joints[f"{side}_ear"], (4, 7), _lit(_SKIN, 0.2))
    for shade in np.linspace(0, 0.9, _SHADES):
        _draw_disc(picture, (x, y - 1), (18 * (1 - shade), 25 * (1 - shade)), _lit(_SKIN, shade))
    cv2.ellipse(picture, (x, y - 22), (18, 9), 0, 180, 360, _HAIR, -1, cv2.LINE_AA)
    for side in ("left", "right"):
        eye_x, eye_y = (int(value) for value in joints[f"{side}_eye"])
        _draw_disc(picture, (eye_x, eye_y), (5, 3), (245, 245, 245))
        _draw_disc(picture, (eye_x, eye_y), (2, 2), _SHOES)
        cv2.line(picture, (eye_x - 5, eye_y - 6), (eye_x + 5, eye_y - 6), _HAIR, 2, cv2.LINE_AA)
    cv2.line(picture, (x - 1, y - 6), (x - 2, y + 1), _lit(_SKIN, 0.1), 2, cv2.LINE_AA)
    cv2.ellipse(picture, (x, y + 2), (4, 2), 0, 0, 180, _lit(_SKIN, 0), -1, cv2.LINE_AA)
    cv2.ellipse(picture, (x, y + 12), (7, 3), 0, 0, 180, _LIPS, -1, cv2.LINE_AA)


def _draw_limb(picture: Pixels, begin: Point, end: Point, thickness_px: int, colour: Colour) -> None:
    """A tube, brighter along its middle."""
    ends = [tuple(round(float(value)) for value in point) for point in (begin, end)]
    for shade in np.linspace(0, 0.9, _SHADES):
        cv2.line(picture, *ends, _lit(colour, shade), max(1, round(thickness_px * (1 - shade))), cv2.LINE_AA)


def _draw_disc(picture: Pixels, centre: Point, radii: Point, colour: Colour) -> None:
    place, axes = (round(centre[0]), round(centre[1])), (round(radii[0]), round(radii[1]))
    cv2.ellipse(picture, place, axes, 0, 0, 360, colour, -1, cv2.LINE_AA)


def _lit(colour: Colour, light: float) -> Colour:
    red, green, blue = (int(value * (0.6 + 0.4 * light**0.5)) for value in colour)
    return red, green, blue
