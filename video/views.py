"""The table of views. A view is a uint8 video with C channels, aligned in time with its source video.

| view | meaning of a byte |
|---|---|
| `rgb` | red, green, blue |
| `flow` | 128 + v·127/20, v = horizontal and vertical displacement in pixels at the view's own size, clipped to ±20 |
| `pose` | Gaussian heat-map × 255, one channel per COCO key point |
| `mask` | person probability × 255 |
"""

from dataclasses import dataclass

from cocon.core.errors import UsageError

__all__ = ["VIEWS", "View", "view_named"]

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class View:
    """One representation of a video.

    Attributes:
        name: the word used in code, file names and on the command line.
        alias: what the CoCon paper's code calls it.
        channels: C.
        mean: per-channel mean of a byte / 255, subtracted inside the network.
        std: per-channel divisor applied after the mean.
        default_size_px: side of the square network input unless configured otherwise.
    """

    name: str
    alias: str
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    default_size_px: int


VIEWS: dict[str, View] = {
    view.name: view
    for view in (
        View("rgb", "imgs", 3, _IMAGENET_MEAN, _IMAGENET_STD, 128),
        # 128 is zero displacement; a quarter of the byte range is 5 px, a fast limb at 128 px.
        View("flow", "flow", 2, (128 / 255,) * 2, (0.25,) * 2, 128),
        View("pose", "kphm", 17, (0.0,) * 17, (1.0,) * 17, 64),
        View("mask", "seg", 1, (0.0,), (1.0,), 64),
    )
}


def view_named(name: str) -> View:
    """Look a view up by its name or by its alias in the paper's code.

    Raises:
        UsageError: no view is called that.
    """
    for view in VIEWS.values():
        if name in (view.name, view.alias):
            return view
    raise UsageError(f"view '{name}' is unknown; known views: {', '.join(VIEWS)}")
