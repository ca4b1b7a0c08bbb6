"""How each project's encoders were used: clips, pictures and flow, as settings of this one's configuration."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cocon.training.importing.source_encoder import Source

__all__ = ["FLOW_SOURCE_PX", "PUBLISHED_USE", "PublishedUse"]

FLOW_SOURCE_PX = 240
# Pose and mask are whole pictures of 64 px, flow has 128 px at most.
_PEOPLE_PX, _MAX_FLOW_PX = 64, 128


@dataclass(frozen=True, slots=True)
class PublishedUse:
    """How the encoders of one project were used.

    Attributes:
        method: the configuration's name for how they were trained.
        clip: settings of the section `clip`.
        size_px: side of the rgb input unless told otherwise.
        picture_px: short side of a picture of which the middle `crop_px` are cut out, then resized to the input.
        crop_px: that crop.
    """

    method: str
    clip: tuple[str, ...]
    size_px: int
    picture_px: int
    crop_px: int

    def settings(self, *, has_step: bool) -> tuple[str, ...]:
        """Settings that do not depend on the view; `has_step`: the step is set by hand, as `clip.step_seconds`."""
        return (
            *(setting for setting in self.clip if not (has_step and setting.startswith("clip.step_"))),
            # From each frame to the next at 25 frames a second, as the archives of UCF101 and HMDB51 have it.
            "flow.interval_seconds=0.04",
            "flow.algorithm=tvl1",
            f"flow.size_px={FLOW_SOURCE_PX}",
            "data.folder=unknown",
            "data.workers=0",
        )

    def geometry(self, view: str, size_px: int | None) -> tuple[str, str]:
        """Settings of a view's pictures, the rgb input having that side."""
        if view in ("pose", "mask"):
            return f"view.{view}.resize_px={_PEOPLE_PX}", f"view.{view}.crop_px={_PEOPLE_PX}"
        side = size_px or self.size_px
        side = min(side, _MAX_FLOW_PX) if view == "flow" else side
        return f"view.{view}.resize_px={round(side * self.picture_px / self.crop_px)}", f"view.{view}.crop_px={side}"


# Every third frame, whatever the frame rate; videos too short for that are walked through faster.
_EIGHT_BLOCKS = ("clip.num_blocks=8", "clip.frames_per_block=5", "clip.step_frames=3", "clip.short_video=shrink")
_ONE_BLOCK = ("clip.num_blocks=1", "clip.frames_per_block=32", "clip.step_frames=1", "clip.short_video=repeat_last")
_EIGHT_FRAMES = ("clip.num_blocks=8", "clip.frames_per_block=1", "clip.short_video=shrink")

PUBLISHED_USE: Mapping[Source, PublishedUse] = MappingProxyType(
    {
        "cocon": PublishedUse("cocon", _EIGHT_BLOCKS, 128, 240, 224),
        "dpc": PublishedUse("cpc", _EIGHT_BLOCKS, 128, 240, 224),
        "vicc": PublishedUse("vicc", _ONE_BLOCK, 128, 240, 224),
        # 30 frames of the ten seconds of a Kinetics video; 32 frames of two seconds, of which 8 are taken here.
        "vclr": PublishedUse("vclr", (*_EIGHT_FRAMES, f"clip.step_seconds={1 / 3}"), 224, 256, 224),
        "cyclecontrast": PublishedUse("cycle", (*_EIGHT_FRAMES, "clip.step_seconds=0.25"), 224, 256, 224),
    }
)
