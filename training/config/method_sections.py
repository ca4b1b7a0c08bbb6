"""The methods there are, and the sections of the configuration for those beside CoCon: ViCC, VCLR, CycleContrast.

`queue_size` counts videos whose keys are remembered; more than there are training videos is refused, for every video
would be its own negative. Epochs are shuffled, so a queue of Q of N videos holds a video's own earlier key with
probability about (Q / N)² / 2: a quarter of the videos is enough. Defaults are the papers' where the data may be small
too; queues and numbers of prototypes are not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from pydantic import Field

from cocon.training.config.input_sections import Section

__all__ = ["METHODS", "CycleSection", "MethodFacts", "MethodName", "VclrSection", "ViccSection"]

MethodName = Literal["cocon", "cpc", "cpc+sim", "cpc+sync", "vicc", "vclr", "cycle"]


@dataclass(frozen=True, slots=True)
class MethodFacts:
    """What is to be known of a method before its networks are built.

    Attributes:
        section: of the configuration; says how the method's losses are combined.
        sample: what it draws of a video: a clip of blocks, two blocks, frames of its segments, or two frames.
        queues: keys of the section that set the sizes of its queues, in videos.
        sees_single_frames: whether it looks at frames rather than blocks.
        leaves_some_out: whether some of its parameters may have no gradient in a step.
    """

    section: Literal["loss", "vicc", "vclr", "cycle"] = "loss"
    sample: Literal["clip", "block pair", "segments", "frame pair"] = "clip"
    queues: tuple[str, ...] = ()
    sees_single_frames: bool = False
    leaves_some_out: bool = False


METHODS: Mapping[MethodName, MethodFacts] = MappingProxyType(
    {
        "cocon": MethodFacts(),
        "cpc": MethodFacts(),
        "cpc+sim": MethodFacts(),
        "cpc+sync": MethodFacts(),
        # A frozen stream, and prototypes at first, have no gradient.
        "vicc": MethodFacts("vicc", "block pair", ("queue_size",), leaves_some_out=True),
        "vclr": MethodFacts("vclr", "segments", ("queue_size",), sees_single_frames=True),
        "cycle": MethodFacts("cycle", "frame pair", ("queue_size", "cycle_queue_size"), sees_single_frames=True),
    }
)


class ViccSection(Section):
    """Prototypes and stages of ViCC.

    Two stages: each stream alone for `single_share` of training, then `cycles` times each stream in turn, the others
    frozen; without cycles, or with one view, the first stage is all. The learning rate falls once in the first stage
    and in each turn. The default is 300 epochs and 2 · 2 turns of 100. `prototypes_frozen` and `queue_from` are shares
    of the first stage; in the second the queue is used as soon as it is full. `queue_size`: 0 for none.
    `gradient_through`: `both` clips of the stream, or its `first` alone, which the released code amounts to with
    BatchNorm shuffled over devices.
    """

    num_prototypes: int = Field(300, ge=2)
    projection_dim: int = Field(128, ge=1)
    temperature: float = Field(0.1, gt=0)
    epsilon: float = Field(0.05, gt=0)
    sinkhorn_iterations: int = Field(3, ge=1)
    queue_size: int = Field(128, ge=0)
    queue_from: float = Field(0.5, ge=0, le=1)
    prototypes_frozen: float = Field(1 / 3, ge=0, le=1)
    single_share: float = Field(3 / 7, gt=0, le=1)
    cycles: int = Field(2, ge=0)
    gradient_through: Literal["both", "first"] = "both"

    def num_turns(self, num_views: int) -> int:
        """Of the second stage."""
        return self.cycles * num_views if num_views > 1 else 0

    def learning_share(self, num_views: int) -> float:
        """Share of training in which one stream learns."""
        return self.single_share + (1 - self.single_share) / num_views if self.num_turns(num_views) else 1.0


class _MomentumSection(Section):
    """What the methods with a momentum encoder and queues of its keys have in common."""

    projection_dim: int = Field(128, ge=1)
    momentum: float = Field(0.999, ge=0, le=1)
    queue_size: int = Field(256, ge=1)


class VclrSection(_MomentumSection):
    """Losses of VCLR and the weight of each, 0 to leave it out.

    `order_normalised_over`: `channels`, or `segments`, the released code's slip. `batch_negatives`: see `CycleSection`.
    """

    temperature: float = Field(0.1, gt=0)
    intra_temperature: float = Field(0.1, gt=0)
    inter: float = Field(1.0, ge=0)
    intra: float = Field(1.0, ge=0)
    segment: float = Field(1.0, ge=0)
    order: float = Field(1.0, ge=0)
    order_normalised_over: Literal["channels", "segments"] = "channels"
    batch_negatives: bool = True


class CycleSection(_MomentumSection):
    """Losses of CycleContrast: `cycle` is the weight of the way through other videos, beside the intra-video term.

    Of the `cycle_queue_size` remembered keys `num_neighbours`, drawn anew for each batch, are where the soft nearest
    neighbour is sought; the rest are negatives. Of fewer keys the same share is.

    `batch_negatives`: keys of the batch's other videos are negatives too, which the papers leave to the queue. They are
    as new as the positive; with old ones alone a network that learns fast gets best by moving all embeddings away from
    where they were, and ends with one for all.
    """

    cycle_queue_size: int = Field(320, ge=2)
    num_neighbours: int = Field(64, ge=1)
    temperature: float = Field(0.07, gt=0)
    cycle: float = Field(0.1, ge=0)
    batch_negatives: bool = True
