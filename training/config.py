"""The configuration of a run, typed; see `config_file` for how it is read and overridden."""

import tomlkit
from pydantic import Field, field_validator, model_validator

from cocon.embedding.contract import EncoderSpec
from cocon.training.input_sections import (
    AugmentSection,
    ClipSection,
    DataSection,
    FlowSection,
    Section,
    ViewSection,
    known_view,
)
from cocon.training.learning_sections import (
    ClassifierSection,
    LossSection,
    ModelSection,
    OptimizerSection,
    TrainingSection,
)
from cocon.training.models.resnet2d3d import DEPTHS
from cocon.video.flow import FlowSpec
from cocon.video.geometry import Geometry
from cocon.video.views import VIEWS

__all__ = ["Config"]


class Config(Section):
    """Everything that decides a run."""

    views: tuple[str, ...] = ("rgb", "flow", "pose", "mask")
    data: DataSection = DataSection()
    clip: ClipSection = ClipSection()
    view: dict[str, ViewSection] = Field(default_factory=dict)
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
        names = tuple(map(known_view, value))
        if not names or len(set(names)) < len(names):
            raise ValueError("views must name at least one view, each once")
        return names

    @field_validator("view")
    @classmethod
    def _known_view_sections(cls, value: dict[str, ViewSection]) -> dict[str, ViewSection]:
        return {known_view(name): section for name, section in value.items()}

    @model_validator(mode="after")
    def _blocks_left_for_context(self) -> "Config":
        if self.model.num_predicted >= self.clip.num_blocks:
            raise ValueError(
                f"model.num_predicted ({self.model.num_predicted}) must be less than clip.num_blocks "
                f"({self.clip.num_blocks}): the blocks before the predicted ones are the context"
            )
        return self

    @model_validator(mode="after")
    def _sampler_suits_views(self) -> "Config":
        if self.clip.sampler == "random" and "rgb" in self.views:
            raise ValueError("clip.sampler 'random' is not for view rgb: leave rgb out of views, or use dynamic")
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
