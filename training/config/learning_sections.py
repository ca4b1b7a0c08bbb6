"""Sections of the configuration that decide how the networks learn: model, loss, optimizer, loop, classifier."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from cocon.embedding.contract import EncoderSpec
from cocon.training.config.input_sections import Section
from cocon.training.losses.cooperative import SimForm, SyncForm
from cocon.training.methods.cocon import LossWeights
from cocon.training.models.backbones import BOTTLENECK_DEPTHS, BOTTLENECK_OF, DEPTHS, UNSTAGED_BACKBONES

__all__ = [
    "COOPERATION",
    "ClassifierSection",
    "LossSection",
    "MethodName",
    "ModelSection",
    "OptimizerSection",
    "TrainingSection",
]

MethodName = Literal["cocon", "cpc", "cpc+sim", "cpc+sync", "vicc", "vclr", "cycle"]

# Which cooperative terms each row of the paper's ablation has: (sim, sync).
COOPERATION: dict[MethodName, tuple[bool, bool]] = {
    "cpc": (False, False),
    "cpc+sim": (True, False),
    "cpc+sync": (False, True),
    "cocon": (True, True),
}


class ModelSection(Section):
    """Architecture. `depth` names the residual blocks per stage: resnet10, resnet18, resnet34.

    `backbone`: `resnet2d3d_relu` rectifies its features, as the classifiers of DPC have it; `resnet2d` looks at single
    frames and has a resnet50 too; `s3d` has one depth and ignores `depth`; `r2plus1d_vicc` is `r2plus1d` as ViCC's
    encoders have it. `num_predicted`: blocks that CoCon and CPC predict.
    """

    backbone: Literal["resnet2d3d", "resnet2d3d_relu", "resnet2d", "s3d", "r2plus1d", "r2plus1d_vicc"] = "resnet2d3d"
    depth: str = "resnet18"
    width: int = Field(64, gt=0)
    num_predicted: int = Field(3, gt=0)

    @model_validator(mode="after")
    def _known_depth(self) -> "ModelSection":
        known = [*DEPTHS, *(BOTTLENECK_DEPTHS if self.backbone in BOTTLENECK_OF else ())]
        if self.depth not in known and self.backbone not in UNSTAGED_BACKBONES:
            raise ValueError(
                f"depth '{self.depth}' is unknown for backbone '{self.backbone}'; available: {', '.join(known)}"
            )
        return self

    def spec(self, classifier: str) -> EncoderSpec:
        """The contract's form."""
        if self.backbone in UNSTAGED_BACKBONES:
            return EncoderSpec(self.backbone, (), self.width, classifier)
        if self.depth in BOTTLENECK_DEPTHS:
            return EncoderSpec(BOTTLENECK_OF[self.backbone], BOTTLENECK_DEPTHS[self.depth], self.width, classifier)
        return EncoderSpec(self.backbone, DEPTHS[self.depth], self.width, classifier)


class LossSection(Section):
    """The objective of CoCon and CPC; see `LossWeights`.

    `temperature_twice` is the released code's choice: cosines over τ². `gathered`: negatives and pair matrices are
    those of the whole batch over all devices, not of each device's share.
    """

    temperature: float = Field(0.07, gt=0)
    temperature_twice: bool = False
    sim: float = Field(10.0, ge=0)
    sync: float = Field(10.0, ge=0)
    sync_ramp: float = Field(0.5, ge=0, le=1)
    sim_form: SimForm = "balanced"
    sync_form: SyncForm = "l1"
    mu: float = Field(1.0, ge=0)
    gathered: bool = True

    def weights(self, method: MethodName) -> LossWeights:
        """The form of a method in `COOPERATION`, terms that it leaves out at weight zero."""
        has_sim, has_sync = COOPERATION[method]
        return LossWeights(
            temperature=self.temperature**2 if self.temperature_twice else self.temperature,
            sim=self.sim if has_sim else 0.0,
            sync=self.sync if has_sync else 0.0,
            sync_ramp=self.sync_ramp,
            sim_form=self.sim_form,
            sync_form=self.sync_form,
            mu=self.mu,
        )


class OptimizerSection(Section):
    """The optimizer, and how its learning rate changes.

    `algorithm`: `adam`, `sgd` with `momentum`, or `lars`, which moves every tensor by `trust` times its own length; the
    rates of the latter two are far larger (0.06 to 0.6 as published).

    `schedule`: `cosine` falls from the end of the warm-up to `final_share` of the learning rate; `plateau` is the
    paper's: multiplied by `plateau_factor` when the loss has not fallen for `plateau_patience_epochs`, down to
    `min_learning_rate`. `backbone_learning_rate_share` scales the rate of backbones that `training.init_from` restored.
    """

    algorithm: Literal["adam", "sgd", "lars"] = "adam"
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-5, ge=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    trust: float = Field(1e-3, gt=0)
    warmup_epochs: float = Field(1.0, ge=0)
    schedule: Literal["cosine", "plateau"] = "cosine"
    final_share: float = Field(0.02, ge=0, le=1)
    plateau_patience_epochs: int = Field(10, ge=0)
    plateau_factor: float = Field(0.1, gt=0, lt=1)
    min_learning_rate: float = Field(1e-5, ge=0)
    backbone_learning_rate_share: float = Field(1.0, ge=0, le=1)


class TrainingSection(Section):
    """The loop.

    `epochs`: of pre-training; 0 goes straight to the classifier. `batch_size`: clips that one loss sees, over all
    devices. `accumulate`: batches whose gradients are averaged for one step of the optimizer, in pre-training; the last
    step of an epoch averages those that are left. `init_from`: run whose encoders to start from. `probe_every_epochs`:
    judge the encoders on the way, 0 never. `checkpoint_activations`: compute the
    early stages again in the backward pass instead of keeping them in memory.
    """

    epochs: int = Field(100, ge=0)
    batch_size: int = Field(16, ge=2)
    accumulate: int = Field(1, ge=1)
    seed: int = Field(0, ge=0)
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    init_from: Path | None = None
    probe_every_epochs: int = Field(0, ge=0)
    checkpoint_activations: bool = False
    collapse_alarm: float = Field(0.3, ge=0)


class ClassifierSection(Section):
    """The classifier trained after pre-training, where the training videos have labels; `head`: see `EncoderSpec`.

    `mode`: `frozen` trains the classifier alone, `finetune` the whole encoder with it, at
    `backbone_learning_rate_share` of the classifier's rate. `dropout` before its last layer; the paper has 0.5.
    """

    head: Literal["none", "mean", "gru", "gru_raw"] = "mean"
    mode: Literal["frozen", "finetune"] = "frozen"
    epochs: int = Field(20, gt=0)
    learning_rate: float = Field(3e-3, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    dropout: float = Field(0.0, ge=0, lt=1)
    backbone_learning_rate_share: float = Field(1.0, gt=0, le=1)
