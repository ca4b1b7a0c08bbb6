"""The table of views. A view is a uint8 video with C channels, aligned in time with its source video.

| view | meaning of a byte |
|---|---|
| `rgb` | red, green, blue |
| `flow` | 128 + v·127/20, v = horizontal and vertical displacement in pixels at the view's own size, clipped to ±20 |
| `pose` | Gaussian heat-map × 255, one channel per COCO key point |
| `mask` | person probability × 255 |
| `depth` | distance, 0 being the near and 255 the far end of the range that it was stored with |

Whatever holds for one view and not for another stands here, so that no other module has to know which views there are.
"""

from dataclasses import dataclass
from typing import Literal

from cocon.core.errors import UsageError
from cocon.core.texts.likely_names import did_you_mean

__all__ = ["DEFAULT_VIEWS", "VIEWS", "Content", "Drawing", "Maker", "View", "view_named"]

Content = Literal["colours", "displacements", "key points", "amounts"]
Maker = Literal["decoding", "flow", "people", "user"]
Drawing = Literal["picture", "colour wheel", "skeleton", "outline", "colour scale"]

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class View:
    """One representation of a video.

    Attributes:
        name: the word used in code, file names and on the command line.
        alias: what the CoCon paper's code calls it; None if it does not know it.
        channels: C.
        content: what its pixels are, which decides how they are resized, mirrored and varied in training. Vectors of
            `displacements` grow with the picture and change their sign in a mirror; `key points` are stored as such,
            drawn when read, and change sides; `colours` are varied by channel; `amounts` are just numbers.
        neutral: the byte that means nothing: gains act on the distance from it, and crops are chosen by that distance.
        mean: per-channel mean of a byte / 255, subtracted inside the network.
        std: per-channel divisor applied after the mean.
        default_size_px: side of the square network input unless configured otherwise.
        maker: who makes it of the pictures, if it is not the user's own: decoding itself, which leaves nothing to
            store, the estimator of flow or that of people; or nobody but the `user`.
        drawing: how a preview shows it.
        weight: in a fused embedding or decision; only the ratios matter.
        paper_weight: the same in the test code of Rai et al. (CVPRW 2021).
        caveat: what a model card says of it, in a sentence.
    """

    name: str
    alias: str | None
    channels: int
    content: Content
    neutral: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    default_size_px: int
    maker: Maker
    drawing: Drawing
    weight: float = 1.0
    paper_weight: float = 1.0
    caveat: str = ""

    @property
    def is_stored(self) -> bool:
        """Whether the multi-view store may have it."""
        return self.maker != "decoding"


VIEWS: dict[str, View] = {
    view.name: view
    for view in (
        View(
            name="rgb",
            alias="imgs",
            channels=3,
            content="colours",
            neutral=128,
            mean=_IMAGENET_MEAN,
            std=_IMAGENET_STD,
            default_size_px=128,
            maker="decoding",
            drawing="picture",
            paper_weight=2.0,
        ),
        View(
            name="flow",
            alias="flow",
            channels=2,
            content="displacements",
            neutral=128,
            mean=(128 / 255,) * 2,
            std=(0.25,) * 2,  # a quarter of the byte range is 5 px, a fast limb at 128 px
            default_size_px=128,
            maker="flow",
            drawing="colour wheel",
            paper_weight=2.0,
            caveat="Stored flow of another interval, size or algorithm than the model's is refused.",
        ),
        View(
            name="pose",
            alias="kphm",
            channels=17,
            content="key points",
            neutral=0,
            mean=(0.0,) * 17,
            std=(1.0,) * 17,
            default_size_px=64,
            maker="people",
            drawing="skeleton",
            caveat="Pose is that of the most prominent person; where nobody is found its heat-maps are empty.",
        ),
        View(
            name="mask",
            alias="seg",
            channels=1,
            content="amounts",
            neutral=0,
            mean=(0.0,),
            std=(1.0,),
            default_size_px=64,
            maker="people",
            drawing="outline",
            caveat="The mask is that of the most prominent person; where nobody is found it is empty.",
        ),
        View(
            name="depth",
            alias=None,
            channels=1,
            content="amounts",
            neutral=0,
            mean=(0.5,),
            std=(0.25,),
            default_size_px=128,
            maker="user",
            drawing="colour scale",
            caveat="Depth compares only with depth that was stored with the same range of near and far.",
        ),
    )
}

# Those that any video has: nobody need bring anything.
DEFAULT_VIEWS: tuple[str, ...] = tuple(view.name for view in VIEWS.values() if view.maker != "user")


def view_named(name: str) -> View:
    """Look a view up by its name or by its alias in the paper's code.

    Raises:
        UsageError: no view is called that.
    """
    for view in VIEWS.values():
        if name in (view.name, view.alias):
            return view
    raise UsageError(f"view '{name}' is unknown; known views: {', '.join(VIEWS)}{did_you_mean(name, VIEWS)}")
