"""How a model follows people: a part of its geometry, and so of its contract."""

from dataclasses import dataclass, fields
from typing import Literal, get_args

__all__ = ["FOLLOWED_VIEWS", "FollowedView", "Following"]

FollowedView = Literal["pose", "mask"]
FOLLOWED_VIEWS: tuple[FollowedView, ...] = get_args(FollowedView)

# What waits for the boxes after it is held in memory.
_MOST_SMOOTHING_S = 2.0
_MOST_HOLD_S = 10.0
_MOST_MARGIN = 4.0


@dataclass(frozen=True, slots=True)
class Following:
    """What the square window around people depends on; `WindowTrack` has the rule.

    Attributes:
        by: view that says where people are: `pose`, the box of key points, or `mask`, that of the mask.
        margin: added on every side of the box, as a share of its longer side.
        smoothing_seconds: windows are means over the frames no farther than this from theirs.
        hold_seconds: so long the last box counts where nobody is found; then the middle of the picture does.
        least_share: least side of a window, as a share of the picture's short side.
    """

    by: FollowedView = "pose"
    margin: float = 0.25
    smoothing_seconds: float = 0.5
    hold_seconds: float = 1.0
    least_share: float = 0.25

    def __post_init__(self) -> None:
        if self.by not in FOLLOWED_VIEWS:
            raise ValueError(f"following.by '{self.by}' is unknown; known ones: {', '.join(FOLLOWED_VIEWS)}")
        bounds = {
            "margin": (0.0, _MOST_MARGIN),
            "smoothing_seconds": (0.0, _MOST_SMOOTHING_S),
            "hold_seconds": (0.0, _MOST_HOLD_S),
            "least_share": (0.01, 1.0),
        }
        for field in fields(self):
            if field.name in bounds:
                value, (least, most) = getattr(self, field.name), bounds[field.name]
                if not least <= value <= most:
                    raise ValueError(f"following.{field.name} ({value}) must be from {least:g} to {most:g}")

    @property
    def lead_seconds(self) -> float:
        """How far the boxes that a window depends on may lie before it."""
        return self.smoothing_seconds + 2 * self.hold_seconds
