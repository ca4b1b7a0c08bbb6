"""Whose checkpoints can be imported: what reads them, and how their encoders were used, as settings of ours."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from cocon.core.errors import UsageError
from cocon.training.importing.checkpoint_file import Checkpoint, read_checkpoint
from cocon.training.importing.cocon_dpc import read_cocon_dpc
from cocon.training.importing.frame_trunks import read_frame_trunk
from cocon.training.importing.published_trunks.inflation import INFLATED
from cocon.training.importing.published_trunks.reading import read_published
from cocon.training.importing.source_encoder import SourceEncoder
from cocon.training.importing.sources import Source
from cocon.training.importing.vicc import read_vicc
from cocon.video.views import view_named

__all__ = ["FLOW_SOURCE_PX", "PROJECTS", "Project", "project_of", "read_encoders"]

FLOW_SOURCE_PX = 240
# Pose and mask are whole pictures of 64 px, flow has 128 px at most.
_PEOPLE_PX, _MAX_FLOW_PX = 64, 128


@dataclass(frozen=True, slots=True)
class Project:
    """One project's checkpoints.

    Attributes:
        read: from a checkpoint, whose it is and the view asked for, or None, to an encoder.
        method: the configuration's name for how they were trained.
        clip: settings of the section `clip`.
        size_px: side of the rgb input unless told otherwise.
        picture_px: short side of a picture of which the middle `crop_px` are cut out, then resized to the input.
        crop_px: that crop.
    """

    read: Callable[[Checkpoint, Source, str | None], SourceEncoder]
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

PROJECTS: Mapping[Source, Project] = MappingProxyType(
    {
        "cocon": Project(read_cocon_dpc, "cocon", _EIGHT_BLOCKS, 128, 240, 224),
        "dpc": Project(read_cocon_dpc, "cpc", _EIGHT_BLOCKS, 128, 240, 224),
        "vicc": Project(read_vicc, "vicc", _ONE_BLOCK, 128, 240, 224),
        # 30 frames of the ten seconds of a Kinetics video; 32 frames of two seconds, of which 8 are taken here.
        "vclr": Project(read_frame_trunk, "vclr", (*_EIGHT_FRAMES, f"clip.step_seconds={1 / 3}"), 224, 256, 224),
        "cyclecontrast": Project(read_frame_trunk, "cycle", (*_EIGHT_FRAMES, "clip.step_seconds=0.25"), 224, 256, 224),
        "torchvision": Project(read_published, "cycle", (*_EIGHT_FRAMES, "clip.step_seconds=0.25"), 224, 256, 224),
    }
)

# Networks of time among those of torchvision: as they were trained, but for the clip of inflated ones, which is ours.
# The whole section at once: a step in frames, which the preset may have for the method, must not stay.
_FOUR_TIMES_16 = (f"clip={{num_blocks=4, frames_per_block=16, step_seconds={1 / 15}}}",)
_ONCE_64 = (f"clip={{num_blocks=1, frames_per_block=64, step_seconds={1 / 15}}}",)
_EIGHT_TIMES_5 = ("clip={num_blocks=8, frames_per_block=5, step_seconds=0.1}",)
_OF_TRUNK: Mapping[str, Project] = MappingProxyType(
    {
        **dict.fromkeys(INFLATED.values(), Project(read_published, "vicc", _EIGHT_TIMES_5, 224, 256, 224)),
        "r2plus1d": Project(read_published, "vicc", _FOUR_TIMES_16, 112, 128, 112),
        "s3d_kinetics": Project(read_published, "vicc", _ONCE_64, 224, 256, 224),
    }
)


def project_of(source: Source, backbone: str) -> Project:
    """How a trunk of that source is used."""
    return _OF_TRUNK.get(backbone, PROJECTS[source])


def read_encoders(files: Sequence[Path], source: Source, views: Sequence[str] = ()) -> list[SourceEncoder]:
    """Load one checkpoint per view.

    Args:
        files: at least one.
        source: whose code wrote them.
        views: of the files, in their order; empty to go by what each file says, or else by its input channels.

    Raises:
        UsageError: a file cannot be read, or the views do not match the files.
        MismatchError: a file does not hold a network of that code, or not of that view.
    """
    if views and len(views) != len(files):
        raise UsageError(f"{len(views)} views for {len(files)} files: name one --view for each, or none")
    names: Sequence[str | None] = [view_named(view).name for view in views] or [None] * len(files)
    encoders = [
        PROJECTS[source].read(read_checkpoint(path), source, name) for path, name in zip(files, names, strict=True)
    ]
    found = [each.view for each in encoders]
    if len(set(found)) < len(found):
        raise UsageError(f"the files are of the views {', '.join(found)}; import one file per view")
    return encoders
