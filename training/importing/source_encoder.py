"""An encoder read from a checkpoint of another project, before it becomes part of a run."""

from dataclasses import dataclass, field
from typing import Literal

from cocon.embedding.contract import EncoderSpec, Normalisation
from cocon.training.importing.checkpoint_file import Checkpoint
from cocon.training.models.encoder import Encoder

__all__ = ["Layout", "Source", "SourceEncoder"]

Source = Literal["cocon", "dpc", "vicc", "vclr", "cyclecontrast"]


@dataclass(frozen=True, slots=True)
class Layout:
    """What the names and shapes of a state dict tell of its network.

    Attributes:
        depth: name of the residual blocks per stage, such as `resnet18`; of the trunk where it has none to count.
        width: channels of the first stage.
        in_channels: channels of the network's input there.
        num_classes: K of a fine-tuned classifier; 0 for a network in pre-training.
        has_statistics: whether batch normalisation kept running statistics.
    """

    depth: str
    width: int
    in_channels: int
    num_classes: int = 0
    has_statistics: bool = True


@dataclass(frozen=True, slots=True)
class SourceEncoder:
    """One checkpoint, loaded.

    Attributes:
        checkpoint: where it is from.
        view: name of the view it sees.
        layout: what the checkpoint's names and shapes told.
        spec: architecture here.
        encoder: in evaluation mode; its input is normalised as the view table has it.
        left_out: what of the state dict has no place here, such as `prototypes.*`.
        flow_input: what the network there makes of a byte of flow; None for other views.
    """

    checkpoint: Checkpoint
    view: str
    layout: Layout
    spec: EncoderSpec
    encoder: Encoder = field(repr=False)
    left_out: tuple[str, ...] = ()
    flow_input: Normalisation | None = None
