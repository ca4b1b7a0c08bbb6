"""The configuration of a run, typed; see `config_file` for how it is read and overridden."""

from pathlib import Path
from typing import Annotated, Literal

import tomlkit
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveFloat, field_validator, model_validator

from cocon.embedding.contract import EncoderSpec
from cocon.training.losses.cooperative import SimForm, SyncForm
from cocon.training.methods.cocon import LossWeights
from cocon.training.models.resnet2d3d import DEPTHS
from cocon.video.clips import ClipSpec, ShortVideoPolicy, TailPolicy
from cocon.video.errors import UsageError
from cocon.video.flow import MIN_FLOW_SIZE_PX, FlowAlgorithm, FlowSpec
from cocon.video.geometry import Geometry
from cocon.video.views import VIEWS, view_named

__all__ = [
    "LOSSES",
    "AugmentSection",
    "ClassifierSection",
    "ClipSection",
    "Config",
    "DataSection",
    "FlowSection",
    "LossSection",
    "ModelSection",
    "OptimizerSection",
    "TrainingSection",
    "ViewSection",
]

# Which cooperative terms each row of the paper's ablation has: (sim, sync).
LOSSES = {"cpc": (False, False), "cpc+sim": (True, False), "cpc+sync": (False, True), "cocon": (True, True)}

_Share = Annotated[float, Field(gt=0, le=1)]
Losses = Literal["cpc", "cpc+sim", "cpc+sync", "cocon"]


def _rising(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] > value[1]:
        raise ValueError("the lower end of the range must come first")
    return value


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataSection(_Section):
    """Where videos come from. `cache_gib`: memory for decoded frames; what does not fit is read anew each time."""

    folder: Path = Path("data/figures")
    cache_gib: float = Field(4.0, ge=0)
    workers: int = Field(0, ge=0)


class ClipSection(_Section):
    """Temporal geometry, see `ClipSpec`; `step_frames` replaces `step_seconds`, `stride_jitter` varies the step."""

    num_blocks: int = Field(8, ge=2)
    frames_per_block: int = Field(5, ge=1)
    step_seconds: float | None = Field(0.1, gt=0)
    step_frames: int | None = Field(None, gt=0)
    short_video: ShortVideoPolicy = "repeat_last"
    tail: TailPolicy = "anchor"
    stride_jitter: Annotated[tuple[PositiveFloat, PositiveFloat], AfterValidator(_rising)] = (0.8, 1.25)

    @model_validator(mode="before")
    @classmethod
    def _one_step(cls, content: object) -> object:
        if isinstance(content, dict) and content.get("step_frames") is not None:
            return content | {"step_seconds": None}  # TOML has no null to say so
        return content

    def spec(self) -> ClipSpec:
        """The contract's form."""
        return ClipSpec(**self.model_dump(exclude={"stride_jitter"}))


class ViewSection(_Section):
    """Spatial geometry of one view, in pixels; see `Geometry`."""

    resize_px: int = Field(gt=0)
    crop_px: int = Field(gt=0)

    @model_validator(mode="after")
    def _crop_fits(self) -> "ViewSection":
        Geometry(self.resize_px, self.crop_px)
        return self


class FlowSection(_Section):
    """What a flow view measures; see `FlowSpec`."""

    interval_seconds: float = Field(1 / 15, gt=0, allow_inf_nan=False)
    algorithm: FlowAlgorithm = "dis"
    size_px: int = Field(128, ge=MIN_FLOW_SIZE_PX)


class ModelSection(_Section):
    """Architecture. `depth` names the residual blocks per stage: resnet10, resnet18, resnet34."""

    backbone: Literal["resnet2d3d"] = "resnet2d3d"
    depth: str = "resnet18"
    width: int = Field(64, gt=0)
    num_predicted: int = Field(3, gt=0)

    @field_validator("depth")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in DEPTHS:
            raise ValueError(f"depth '{value}' is unknown; available: {', '.join(DEPTHS)}")
        return value


class LossSection(_Section):
    """The objective; see `LossWeights`. `temperature_twice` is the released code's choice: cosines over τ²."""

    losses: Losses = "cocon"
    temperature: float = Field(0.07, gt=0)
    temperature_twice: bool = False
    sim: float = Field(10.0, ge=0)
    sync: float = Field(10.0, ge=0)
    sync_ramp: float = Field(0.5, ge=0, le=1)
    sim_form: SimForm = "balanced"
    sync_form: SyncForm = "l1"
    mu: float = Field(1.0, ge=0)

    def weights(self) -> LossWeights:
        """The method's form, terms that `losses` leaves out at weight zero."""
        has_sim, has_sync = LOSSES[self.losses]
        return LossWeights(
            temperature=self.temperature**2 if self.temperature_twice else self.temperature,
            sim=self.sim if has_sim else 0.0,
            sync=self.sync if has_sync else 0.0,
            sync_ramp=self.sync_ramp,
            sim_form=self.sim_form,
            sync_form=self.sync_form,
            mu=self.mu,
        )


class AugmentSection(_Section):
    """Random crops, gains and colours, drawn anew per block (our default) or per clip (as published).

    `gain`: contrast of every view within 1 ± gain. `rgb_colour`: gain and offset of each colour channel within
    ± that share. `rgb_gray`: how often one random colour channel replaces all three.
    """

    drawn_per: Literal["block", "clip"] = "block"
    crop_scale: Annotated[tuple[PositiveFloat, _Share], AfterValidator(_rising)] = (0.75, 1.0)
    gain: float = Field(0.2, ge=0, lt=1)
    rgb_colour: float = Field(0.3, ge=0, lt=1)
    rgb_gray: float = Field(0.5, ge=0, le=1)
    horizontal_flip: bool = False


class OptimizerSection(_Section):
    """Adam with one warm-up epoch and a cosine to `final_share` of the learning rate."""

    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-5, ge=0)
    warmup_epochs: float = Field(1.0, ge=0)
    final_share: float = Field(0.02, ge=0, le=1)


class TrainingSection(_Section):
    """The loop."""

    epochs: int = Field(100, gt=0)
    batch_size: int = Field(16, ge=2)
    seed: int = Field(0, ge=0)
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    collapse_alarm: float = Field(0.3, ge=0)


class ClassifierSection(_Section):
    """The classifier trained after pre-training, where the training videos have labels."""

    head: Literal["none", "mean", "gru"] = "mean"
    mode: Literal["frozen", "finetune"] = "frozen"
    epochs: int = Field(20, gt=0)
    learning_rate: float = Field(3e-3, gt=0)
    weight_decay: float = Field(1e-4, ge=0)


class Config(_Section):
    """Everything that decides a run."""

    views: tuple[str, ...] = ("rgb", "flow", "pose", "mask")
    data: DataSection = DataSection()
    clip: ClipSection = ClipSection()
    view: dict[str, ViewSection] = {}
    flow: FlowSection = FlowSection()
    model: ModelSection = ModelSection()
    loss: LossSection = LossSection()
    augment: AugmentSection = AugmentSection()
    optimizer: OptimizerSection = OptimizerSection()
    training: TrainingSection = TrainingSection()
    classifier: ClassifierSection = ClassifierSection()

    @field_validator("views")
    @classmethod
    def _known_views(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        names = tuple(map(_view_name, value))
        if not names or len(set(names)) < len(names):
            raise ValueError("views must name at least one view, each once")
        return names

    @field_validator("view")
    @classmethod
    def _known_view_sections(cls, value: dict[str, ViewSection]) -> dict[str, ViewSection]:
        return {_view_name(name): section for name, section in value.items()}

    @model_validator(mode="after")
    def _blocks_left_for_context(self) -> "Config":
        if self.model.num_predicted >= self.clip.num_blocks:
            raise ValueError(
                f"model.num_predicted ({self.model.num_predicted}) must be less than clip.num_blocks "
                f"({self.clip.num_blocks}): the blocks before the predicted ones are the context"
            )
        return self

    def geometry(self, view: str) -> Geometry:
        """Spatial rule of a view: as configured, else a crop of the view's default size out of 8/7 of it."""
        if view in self.view:
            return Geometry(self.view[view].resize_px, self.view[view].crop_px)
        size = VIEWS[view].default_size_px
        return Geometry(round(size * 8 / 7), size)

    def flow_spec(self, view: str) -> FlowSpec | None:
        """What a flow view measures; None for other views."""
        return FlowSpec(**self.flow.model_dump()) if view == "flow" else None

    def encoder_spec(self, classifier: str = "none") -> EncoderSpec:
        """Architecture in the contract's form."""
        return EncoderSpec(self.model.backbone, DEPTHS[self.model.depth], self.model.width, classifier)

    def to_toml(self) -> str:
        """The resolved configuration; reading it back gives an equal one."""
        return tomlkit.dumps(self.model_dump(mode="json", exclude_none=True))


def _view_name(name: str) -> str:
    try:
        return view_named(name).name
    except UsageError as error:
        raise ValueError(str(error)) from error
