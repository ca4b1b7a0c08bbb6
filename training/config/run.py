"""The configuration of a run, typed; see `files` for how it is read and overridden."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from types import MappingProxyType

import tomlkit
from pydantic import Field, field_validator, model_validator

from cocon.embedding.contract import EncoderSpec
from cocon.training.config.following_section import FollowingSection
from cocon.training.config.input_sections import (
    AugmentSection,
    ClipSection,
    DataSection,
    FlowSection,
    Section,
    ViewSection,
    known_view,
)
from cocon.training.config.learning_sections import (
    ClassifierSection,
    LossSection,
    ModelSection,
    OptimizerSection,
    TrainingSection,
    TrunkSection,
)
from cocon.training.config.method_sections import METHODS, CycleSection, MethodName, VclrSection, ViccSection
from cocon.training.config.vectors_section import PoolingName, VectorsSection
from cocon.training.models.architectures import ARCHITECTURES
from cocon.video.estimation.flow import FlowSpec
from cocon.video.geometry import Geometry
from cocon.video.views import DEFAULT_VIEWS, VIEWS

__all__ = ["Config"]


class Config(Section):
    """Everything that decides a run."""

    method: MethodName = "cocon"
    views: tuple[str, ...] = DEFAULT_VIEWS
    data: DataSection = DataSection()
    clip: ClipSection = ClipSection()
    view: dict[str, ViewSection] = Field(default_factory=dict)
    flow: FlowSection = FlowSection()
    following: FollowingSection = FollowingSection()
    model: ModelSection = ModelSection()
    trunk: dict[str, TrunkSection] = Field(default_factory=dict)
    vectors: dict[str, VectorsSection] = Field(default_factory=dict)
    loss: LossSection = LossSection()
    vicc: ViccSection = ViccSection()
    vclr: VclrSection = VclrSection()
    cycle: CycleSection = CycleSection()
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

    @field_validator("view", "trunk", "vectors")
    @classmethod
    def _known_view_sections(cls, value: dict[str, Section]) -> dict[str, Section]:
        return {known_view(name): section for name, section in value.items()}

    @model_validator(mode="before")
    @classmethod
    def _method_of_earlier_runs(cls, content: object) -> object:
        """Runs made before there was a choice of method say it as `loss.losses`."""
        if isinstance(content, dict) and isinstance(loss := content.get("loss"), dict) and "losses" in loss:
            rest = {key: value for key, value in loss.items() if key != "losses"}
            return {"method": loss["losses"], **content, "loss": rest}
        return content

    @model_validator(mode="after")
    def _sections_fit(self) -> "Config":
        for misfit in chain(self._misfits_of_method(), self._misfits_of_backbone(), self._misfits_of_others()):
            raise ValueError(misfit)
        return self

    def _misfits_of_method(self) -> Iterator[str]:
        """What does not go with the method, in words."""
        method, facts, frames = self.method, METHODS[self.method], self.clip.frames_per_block
        if self.is_predictive and self.model.num_predicted >= self.clip.num_blocks:
            yield (
                f"model.num_predicted ({self.model.num_predicted}) must be less than clip.num_blocks "
                f"({self.clip.num_blocks}): the blocks before the predicted ones are the context"
            )
        for backbone in (self.trunk_of(view).backbone for view in self.views):
            if facts.sees_single_frames and not ARCHITECTURES[backbone].sees_single_frames:
                first = next(name for name, known in ARCHITECTURES.items() if known.sees_single_frames)
                yield (
                    f"method '{method}' looks at single frames, backbone '{backbone}' at several: "
                    f"set model.backbone={first} and clip.frames_per_block=1"
                )
        if facts.sees_single_frames and frames != 1:
            yield f"method '{method}' looks at single frames: clip.frames_per_block must be 1, not {frames}"

    def _misfits_of_backbone(self) -> Iterator[str]:
        """What does not go with a view's backbone, in words."""
        for view in self.views:
            backbone = self.trunk_of(view).backbone
            known = ARCHITECTURES[backbone]
            if self.clip.frames_per_block < known.least_frames:
                yield (
                    f"clip.frames_per_block ({self.clip.frames_per_block}) must be at least {known.least_frames}, of "
                    f"which backbone '{backbone}' makes one: raise it, or set another model.backbone"
                )
            if (side_px := self.geometry(view).crop_px) < known.least_side_px:
                yield (
                    f"the crop of view '{view}' ({side_px} px) must be at least {known.least_side_px} px, of which "
                    f"backbone '{backbone}' makes one cell: raise view.{view}.crop_px, or set another model.backbone"
                )
            elif (cells := self.vectors_of(view)[1]) > (side := self.most_cells(view)):
                is_own = view in self.vectors and self.vectors[view].cells is not None
                yield (
                    f"{f'vectors.{view}' if is_own else 'model'}.cells ({cells}) must be at most {side}, the side of "
                    f"the feature map of view '{view}' at {side_px} px: lower it, or raise view.{view}.crop_px"
                )
            if self.training.checkpoint_activations and not known.recomputes:
                others = ", ".join(name for name, other in ARCHITECTURES.items() if other.recomputes)
                yield (
                    f"training.checkpoint_activations is not for backbone '{backbone}', which keeps all it computes: "
                    f"leave it false, or set model.backbone to one of {others}"
                )

    def _misfits_of_others(self) -> Iterator[str]:
        """What else of one section does not go with another, in words."""
        if not self.is_predictive and (self.augment.drawn_per != "block" or self.clip.sampler != "dynamic"):
            yield (
                f"method '{self.method}' draws samples of a video by itself, each varied by itself: leave "
                "augment.drawn_per=block and clip.sampler=dynamic"
            )
        if self.method == "vicc" and self.vicc.cycles and len(self.views) < 2:
            yield f"method 'vicc' crosses streams, but views has {self.views[0]} alone: name two, or set vicc.cycles=0"
        if self.method == "vicc" and self.optimizer.schedule == "plateau":
            yield (
                "optimizer.schedule 'plateau' needs one loss from beginning to end, and each stage of method 'vicc' "
                "has its own: use cosine"
            )
        if self.cycle.num_neighbours >= self.cycle.cycle_queue_size:
            yield (
                f"cycle.num_neighbours ({self.cycle.num_neighbours}) must be less than cycle.cycle_queue_size "
                f"({self.cycle.cycle_queue_size}): the keys that are left are the negatives"
            )
        if others := [view for view in self.following.views if view not in self.views]:
            yield f"following.views names {others[0]}, which is none of views ({', '.join(self.views)}): leave it out"
        if self.clip.sampler == "random" and "rgb" in self.views:
            yield "clip.sampler 'random' is not for view rgb: leave rgb out of views, or use dynamic"

    @property
    def is_predictive(self) -> bool:
        """Whether the method is CoCon or a part of it: it predicts blocks from those before them."""
        return self.objective_section == "loss"

    @property
    def objective_section(self) -> str:
        """Name of the section that says how the method's losses are combined."""
        return METHODS[self.method].section

    @property
    def queues(self) -> dict[str, int]:
        """Queues of the method by the key that sets their size, in videos; empty without."""
        section = self.objective_section
        sizes = getattr(self, section).model_dump()
        return {f"{section}.{key}": sizes[key] for key in METHODS[self.method].queues}

    def geometry(self, view: str) -> Geometry:
        """Spatial rule of a view: as configured, else a crop of the view's default size out of 8/7 of it."""
        following = self.following.of(view)
        if view in self.view:
            return Geometry(self.view[view].resize_px, self.view[view].crop_px, following)
        size = VIEWS[view].default_size_px
        return Geometry(round(size * 8 / 7), size, following)

    def flow_spec(self, view: str) -> FlowSpec | None:
        """What a flow view measures; None for other views."""
        return FlowSpec(**self.flow.model_dump()) if view == "flow" else None

    def trunk_of(self, view: str) -> TrunkSection:
        """Architecture of a view's trunk: its own, else that of the section `model`."""
        return self.trunk.get(view, self.model)

    def vectors_of(self, view: str | None) -> tuple[PoolingName, int]:
        """Pooling and cells of a view: its own, else those of the section `model`."""
        own = self.vectors.get(view or "", VectorsSection())
        return own.pooling or self.model.pooling, own.cells or self.model.cells

    def most_cells(self, view: str) -> int:
        """The side of a view's feature map, which has no more places than that."""
        return ARCHITECTURES[self.trunk_of(view).backbone].map_side(self.geometry(view).crop_px)

    def encoder_spec(self, classifier: str = "none", *, view: str | None = None) -> EncoderSpec:
        """Architecture in the contract's form, of a view or else of those without one of their own."""
        spec = (self.model if view is None else self.trunk_of(view)).spec(classifier)
        pooling, cells = self.vectors_of(view)
        return replace(spec, pooling=pooling, cells=cells)

    def to_toml(self, left_out: Mapping[str, Collection[str]] = MappingProxyType({})) -> str:
        """The resolved configuration; reading it back gives an equal one.

        Args:
            left_out: section → keys that are not written, since they have their defaults.
        """
        exclude = {section: set(keys) for section, keys in left_out.items()}
        return tomlkit.dumps(self.model_dump(mode="json", exclude_none=True, exclude=exclude))
