"""Sections of the configuration that decide how the networks learn: model, loss, optimizer, loop, classifier."""

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from cocon.embedding.contract import EncoderSpec
from cocon.training.config.input_sections import NamedPath, Section, ViewName
from cocon.training.config.vectors_section import PoolingName
from cocon.training.models.architectures import (
    ARCHITECTURES,
    BOTTLENECK_DEPTHS,
    BOTTLENECK_OF,
    DEPTHS,
    BackboneName,
)

__all__ = [
    "ClassifierSection",
    "LossSection",
    "ModelSection",
    "OptimizerSection",
    "TrainingSection",
    "TrunkSection",
]


# Adam's first step has ten times as much, which single precision must hold.
_MAX_LEARNING_RATE = 3e37


class TrunkSection(Section):
    """Architecture of a trunk. `depth` names the residual blocks per stage: resnet10, resnet18, resnet34.

    `backbone`: `resnet2d3d_relu` rectifies its features, as the classifiers of DPC have it; `resnet2d` looks at single
    frames and has a resnet50 too, as has `resnet2d3d_inflated`, which is that with stages that see time; `s3d` has one
    depth and ignores `depth`; `s3d_kinetics` and `r2plus1d_vicc` are `s3d` and `r2plus1d` as the public checkpoint of
    Kinetics and ViCC's encoders have them.
    """

    backbone: BackboneName = "resnet2d3d"
    depth: str = "resnet18"
    width: int = Field(64, gt=0)

    @model_validator(mode="after")
    def _known_depth(self) -> "TrunkSection":
        known = ARCHITECTURES[self.backbone].depths
        if known and self.depth not in known:
            raise ValueError(
                f"depth '{self.depth}' is unknown for backbone '{self.backbone}'; available: {', '.join(known)}"
            )
        return self

    def spec(self, classifier: str) -> EncoderSpec:
        """The contract's form."""
        depths = ARCHITECTURES[self.backbone].depths
        trunk = BOTTLENECK_OF[self.backbone] if depths and self.depth in BOTTLENECK_DEPTHS else self.backbone
        return EncoderSpec(trunk, depths[self.depth] if depths else (), self.width, classifier)

    @classmethod
    def of(cls, spec: EncoderSpec) -> "TrunkSection":
        """What a configuration says of an architecture in the contract's form; raises `ValueError` if it cannot."""
        configured = {contract: name for name, contract in BOTTLENECK_OF.items()}
        known = BOTTLENECK_DEPTHS if spec.backbone in configured else DEPTHS
        depths = [depth for depth, blocks in known.items() if blocks == spec.blocks_per_stage]
        trunk = {"backbone": configured.get(spec.backbone, spec.backbone), "width": spec.width}
        return cls.model_validate(trunk | ({"depth": depths[0]} if depths else {}))


class ModelSection(TrunkSection):
    """Architecture of all views but those that have a section `trunk` of their own.

    `num_predicted`: blocks that CoCon and CPC predict. `pooling` and `cells`: what vectors of clips and blocks keep, of
    order and of place, in all views but those that have a section `vectors` of their own. See `EncoderSpec`.
    """

    num_predicted: int = Field(3, gt=0)
    pooling: PoolingName = "mean"
    cells: int = Field(1, ge=1)


class LossSection(Section):
    """The objective of CoCon and CPC: weights of L_sim and L_sync, the latter rising from 0 over a share of training.

    `sim_form`, `sync_form`: `balanced` and `l1` are the released code's, `paper` the paper's, where `mu` weighs the
    negatives of L_sim. `temperature_twice` is the released code's choice: cosines over τ². `gathered`: negatives and
    pair matrices are those of the whole batch over all devices, not of each device's share.

    `centred`: L_sim and L_sync compare vectors without the mean of their batch, which keeps them spread out; the paper
    compares them as they are.
    """

    temperature: float = Field(0.07, gt=0)
    temperature_twice: bool = False
    sim: float = Field(10.0, ge=0)
    sync: float = Field(10.0, ge=0)
    sync_ramp: float = Field(0.5, ge=0, le=1)
    sim_form: Literal["balanced", "paper"] = "balanced"
    sync_form: Literal["l1", "squared", "paper"] = "l1"
    mu: float = Field(1.0, ge=0)
    gathered: bool = True
    centred: bool = False


class OptimizerSection(Section):
    """The optimizer, and how its learning rate changes.

    `algorithm`: `adam`, `sgd` with `momentum`, or `lars`, which moves every tensor by `trust` times its own length; the
    rates of the latter two are far larger (0.06 to 0.6 as published).

    The rate is reached linearly over `warmup_steps`, or else over `warmup_epochs`, which are stretched where a training
    is longer than its `epochs`.

    `schedule`: `cosine` falls from the end of the warm-up to `final_share` of the learning rate; `plateau` is the
    paper's: multiplied by `plateau_factor` when the loss has not fallen for `plateau_patience_epochs`, down to
    `min_learning_rate`. `backbone_learning_rate_share` scales the rate of backbones that `training.init_from` restored.
    """

    algorithm: Literal["adam", "sgd", "lars"] = "adam"
    learning_rate: float = Field(1e-3, gt=0, le=_MAX_LEARNING_RATE)
    weight_decay: float = Field(1e-5, ge=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    trust: float = Field(1e-3, gt=0)
    warmup_epochs: float = Field(1.0, ge=0)
    warmup_steps: int | None = Field(None, ge=0)
    schedule: Literal["cosine", "plateau"] = "cosine"
    final_share: float = Field(0.02, ge=0, le=1)
    plateau_patience_epochs: int = Field(10, ge=0)
    plateau_factor: float = Field(0.1, gt=0, lt=1)
    min_learning_rate: float = Field(1e-5, ge=0)
    backbone_learning_rate_share: float = Field(1.0, ge=0, le=1)


class TrainingSection(Section):
    """The loop.

    `epochs`: of pre-training; 0 goes straight to the classifier. `steps`: so many in place of epochs. `least_steps`: no
    pre-training that is counted in epochs is shorter, however few videos make an epoch. `clips_per_video`: in an epoch;
    `auto`: as many as lie in a video side by side. Of stretches of long videos, one.

    `batch_size`: clips that one loss sees, over all devices. `accumulate`: batches whose gradients are averaged for one
    step of the optimizer, in pre-training; the last step of an epoch averages those that are left. `init_from`: run
    whose encoders to start from, `init_from_of` that of single views. `checkpoint_activations`: compute the early
    stages again in the backward pass instead of keeping them in memory.

    `probe_every_epochs`: judge the encoders on the way, 0 never. `early_stop`: pre-training ends after so many probes
    without a gain, though not before `least_steps`, and the encoders that were best are kept; 0 never.

    `held_out_share`: of the labelled training videos so many are not trained on, and judge the encoders at the end; 0
    for none. `collapse_alarm`: embeddings that spread less than this are collapsing; 0 never. `guard`: whether
    training then weighs its losses anew, or goes back to where it was healthy, and whether it is left with the encoders
    of another run that it began with, where held-out videos find trained ones worse. `start_warmup_steps`: with such
    encoders, steps in which new heads learn before they move as fast; None for as many as fit.
    """

    epochs: int = Field(100, ge=0)
    steps: int | None = Field(None, ge=1)
    least_steps: int = Field(0, ge=0)
    clips_per_video: Literal["auto"] | Annotated[int, Field(ge=1)] = 1
    batch_size: int = Field(16, ge=2)
    accumulate: int = Field(1, ge=1)
    seed: int = Field(0, ge=0)
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    init_from: NamedPath | None = None
    init_from_of: dict[ViewName, NamedPath] = Field(default_factory=dict)
    probe_every_epochs: int = Field(0, ge=0)
    early_stop: int = Field(0, ge=0)
    checkpoint_activations: bool = False
    collapse_alarm: float = Field(0.3, ge=0)
    held_out_share: float = Field(0.15, ge=0, le=0.5)
    guard: bool = True
    start_warmup_steps: int | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _something_stops_it(self) -> "TrainingSection":
        if self.early_stop and not self.probe_every_epochs:
            raise ValueError("early_stop counts probes: set training.probe_every_epochs, or early_stop=0")
        return self

    def num_steps(self, per_epoch: int) -> int:
        """Steps of pre-training in all, where an epoch has so many."""
        if not self.epochs:
            return 0
        return self.steps or max(self.epochs * per_epoch, self.least_steps)

    def num_epochs(self, per_epoch: int) -> int:
        """Epochs of pre-training, of which the last may be a part, where one has so many steps."""
        return math.ceil(self.num_steps(per_epoch) / per_epoch)


class ClassifierSection(Section):
    """The classifier made after pre-training, where the training videos have labels; `head`: see `EncoderSpec`.

    `mode`: `frozen` leaves the encoders as they are, `finetune` trains the whole encoder with the classifier, at
    `backbone_learning_rate_share` of the classifier's rate. The `mean` head of frozen encoders is fitted like a linear
    probe, once: no other key but `labels_per_class` counts for it.

    `starts_fitted`: a `mean` head that is trained with encoders that have learned begins as it would be fitted to them.
    `epochs`: of labelled videos, or as many as make `least_steps`. `dropout` before the last layer; the paper has 0.5.
    `label_smoothing`: so much of the target is spread over all classes. `labels_per_class`: it learns from so many
    videos of each class alone, which `training.seed` draws.
    """

    head: Literal["none", "mean", "gru", "gru_raw"] = "mean"
    mode: Literal["frozen", "finetune"] = "frozen"
    starts_fitted: bool = True
    epochs: int = Field(30, gt=0)
    least_steps: int = Field(0, ge=0)
    learning_rate: float = Field(1e-3, gt=0, le=_MAX_LEARNING_RATE)
    weight_decay: float = Field(1e-4, ge=0)
    dropout: float = Field(0.0, ge=0, lt=1)
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    backbone_learning_rate_share: float = Field(1.0, gt=0, le=1)
    labels_per_class: int | None = Field(None, ge=1)

    @property
    def is_fitted(self) -> bool:
        """Whether the classifier is fitted at once, and not trained for epochs."""
        return self.head == "mean" and self.mode == "frozen"

    def num_epochs(self, per_epoch: int) -> int:
        """Epochs that it is trained for, where one has so many steps."""
        return max(self.epochs, math.ceil(self.least_steps / per_epoch))
