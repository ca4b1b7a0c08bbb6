"""Sections of the configuration that decide what the networks see: data, clip, views, flow, augmentation."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PositiveFloat,
    model_validator,
)

from cocon.core.errors import UsageError
from cocon.core.printable import escaped, unescaped
from cocon.video.clips import ClipSpec, ShortVideoPolicy, TailPolicy
from cocon.video.estimation.flow import MIN_FLOW_SIZE_PX, FlowAlgorithm, FlowSpec
from cocon.video.geometry import Geometry
from cocon.video.views import view_named

__all__ = [
    "AugmentSection",
    "ClipSection",
    "DataSection",
    "FlowSection",
    "NamedPath",
    "Section",
    "ViewName",
    "ViewSection",
    "known_view",
]

# Defaults are the contract's.
_CLIP, _FLOW = ClipSpec(), FlowSpec()

_Share = Annotated[float, Field(gt=0, le=1)]


def known_view(name: str) -> str:
    """The name of a view that may be called by its alias; raises `ValueError`, as validators do."""
    try:
        return view_named(name).name
    except UsageError as error:
        raise ValueError(str(error)) from error


def _rising(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] > value[1]:
        raise ValueError("the lower end of the range must come first")
    return value


ViewName = Annotated[str, AfterValidator(known_view)]
_Range = Annotated[tuple[PositiveFloat, PositiveFloat], AfterValidator(_rising)]
_CropRange = Annotated[tuple[PositiveFloat, _Share], AfterValidator(_rising)]


def _path_of(value: object) -> object:
    return Path(unescaped(value)) if isinstance(value, str) else value


NamedPath = Annotated[Path, BeforeValidator(_path_of), PlainSerializer(escaped, when_used="json")]
"""A path, in files in its written form (`printable.escaped`)."""


class Section(BaseModel):
    """Unknown keys are errors, and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DataSection(Section):
    """Where videos come from. `cache_gib`: for decoded frames; of short videos, what does not fit is read anew.

    Where a video is longer than `long_seconds`, all are cut into stretches of `stretch_seconds` at most. So many of
    them as fit are at hand, on disk, and each is drawn from `reuse` times on average before another takes its place.
    None is as often as there are epochs, 100 at most; short videos are drawn in epochs, unless `reuse` is set.

    `workers`: processes that make clips of short videos; 0 is a thread of this process. Of long ones, threads.

    `views_on_the_fly`: look for people, too, in the pass that decodes a video where their views are not stored.

    `max_failed_share`: of the training videos so many may fail, such as broken ones, and are left out; more stop it.

    `dataset` names who says what is training and what is test: the folder itself (its manifest), or the official split
    files of a standard dataset, looked for in `split_files` or else in the folder; `official_split` is its number.
    """

    folder: NamedPath = Path("data/figures")
    dataset: Literal["folder", "ucf101", "hmdb51", "kinetics"] = "folder"
    split_files: NamedPath | None = None
    official_split: int = Field(1, ge=1, le=3)
    cache_gib: float = Field(4.0, ge=0)
    long_seconds: float = Field(120.0, gt=0, allow_inf_nan=False)
    stretch_seconds: float = Field(20.0, gt=0, allow_inf_nan=False)
    reuse: int | None = Field(None, ge=1)
    workers: int = Field(0, ge=0)
    views_on_the_fly: bool = False
    max_failed_share: float = Field(0.05, ge=0, le=1)

    @model_validator(mode="after")
    def _lists_belong_to_a_dataset(self) -> "DataSection":
        if self.split_files is not None and self.dataset == "folder":
            raise ValueError("split_files are those of a standard dataset: set data.dataset too")
        if self.official_split != 1 and self.dataset not in ("ucf101", "hmdb51"):
            raise ValueError(f"dataset '{self.dataset}' has no official_split {self.official_split}")
        return self


class ClipSection(Section):
    """Temporal geometry, see `ClipSpec`; `step_frames` replaces `step_seconds`, `stride_jitter` varies the step.

    `sampler`: `dynamic` starts anywhere, and a video shorter than a clip follows `short_video`; `disjoint` leaves such
    videos out; `random` draws the start and the stride of every block on its own (not for rgb).
    """

    num_blocks: int = Field(_CLIP.num_blocks, ge=1)
    frames_per_block: int = Field(_CLIP.frames_per_block, ge=1)
    step_seconds: float | None = Field(_CLIP.step_seconds, gt=0)
    step_frames: int | None = Field(_CLIP.step_frames, gt=0)
    short_video: ShortVideoPolicy = _CLIP.short_video
    tail: TailPolicy = _CLIP.tail
    sampler: Literal["dynamic", "disjoint", "random"] = "dynamic"
    stride_jitter: _Range = (0.8, 1.25)

    @model_validator(mode="before")
    @classmethod
    def _one_step(cls, content: object) -> object:
        if isinstance(content, dict) and content.get("step_frames") is not None:
            return content | {"step_seconds": None}  # TOML has no null to say so
        return content

    def spec(self) -> ClipSpec:
        """The contract's form."""
        return ClipSpec(**self.model_dump(exclude={"stride_jitter", "sampler"}))


class ViewSection(Section):
    """Spatial geometry of one view, in pixels; see `Geometry`."""

    resize_px: int = Field(gt=0)
    crop_px: int = Field(gt=0)

    @model_validator(mode="after")
    def _crop_fits(self) -> "ViewSection":
        Geometry(self.resize_px, self.crop_px)
        return self


class FlowSection(Section):
    """What a flow view measures; see `FlowSpec`."""

    interval_seconds: float = Field(_FLOW.interval_seconds, gt=0, allow_inf_nan=False)
    algorithm: FlowAlgorithm = _FLOW.algorithm
    size_px: int = Field(_FLOW.size_px, ge=MIN_FLOW_SIZE_PX)


class AugmentSection(Section):
    """What varies at random in training, always the same over the frames of one draw unless said otherwise.

    Crops: `drawn_per` block (our default) or clip (as published). `crop_scale`: side of a square crop as a share of the
    short side, `crop_scale_of` that of single views. `crop_area` and `crop_aspect`: share of the picture's area and
    width / height of a crop that is stretched to a square, in place of `crop_scale`, for views without a
    `crop_scale_of`. `crop_proposals`: of so many crops of flow, pose and mask the one that shows most is taken.

    Contrast and colour: `gain`: contrast of every view within 1 ± gain. `rgb_colour`: gain and offset of each colour
    channel within ± that share. `rgb_gray`: how often one random colour channel replaces all three. `rgb_brightness`,
    `rgb_contrast`, `rgb_saturation`: factors within 1 ± that; `rgb_hue`: turn within ± that share of the circle;
    `rgb_jitter`: how often these four act. `rgb_blur`: how often frames are blurred, by a Gaussian of 0.1 to 2 pixels
    of a side of 224. `colour_per` draw (with the crop), or anew for every frame (as published).

    `horizontal_flip`: half of the clips are mirrored, in all views or in those named; `horizontal_flip_per` block:
    each block has its own coin. `shared_by_views`: all views of a clip have the same draws, so that they stay aligned
    in space; as published, each has its own.
    """

    drawn_per: Literal["block", "clip"] = "block"
    crop_scale: _CropRange = (0.75, 1.0)
    crop_scale_of: dict[ViewName, _CropRange] = Field(default_factory=dict)
    crop_area: _CropRange | None = None
    crop_aspect: _Range = (3 / 4, 4 / 3)
    crop_proposals: int = Field(1, ge=1)
    gain: float = Field(0.2, ge=0, lt=1)
    rgb_colour: float = Field(0.3, ge=0, lt=1)
    rgb_gray: float = Field(0.5, ge=0, le=1)
    rgb_brightness: float = Field(0.0, ge=0, le=1)
    rgb_contrast: float = Field(0.0, ge=0, le=1)
    rgb_saturation: float = Field(0.0, ge=0, le=1)
    rgb_hue: float = Field(0.0, ge=0, le=0.5)
    rgb_jitter: float = Field(1.0, ge=0, le=1)
    rgb_blur: float = Field(0.0, ge=0, le=1)
    colour_per: Literal["draw", "frame"] = "draw"
    horizontal_flip: bool | tuple[ViewName, ...] = False
    horizontal_flip_per: Literal["clip", "block"] = "clip"
    shared_by_views: bool = False

    @model_validator(mode="after")
    def _one_crop_can_be_shared(self) -> "AugmentSection":
        if self.shared_by_views and (self.crop_proposals > 1 or self.crop_scale_of):
            raise ValueError("shared_by_views has one crop for all views: leave crop_proposals and crop_scale_of out")
        return self
