"""What an export is made from, and how it is to be made."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from cocon.embedding.contract import ModelContract
from cocon.embedding.repository import ONNX, TORCHSCRIPT, ModelFormat
from cocon.embedding.tracking.feature_maps import SIZE_PX, STAGE
from cocon.export.artefacts.variant_clips import VariantClips
from cocon.export.cards.record import TrainingRecord
from cocon.export.repository.deployment import Deployment
from cocon.training.boundary_head.network import BoundaryHead
from cocon.training.models.encoder import Encoder
from cocon.training.run_folder.boundary_heads import BoundaryRecord

__all__ = ["FEATURE_MAP_VIEW", "ExportOptions", "FeatureMapOptions", "Progress", "TrainedHead", "ViewSource"]

Progress: TypeAlias = Callable[[str], None]
"""Called with what happens next, in words."""

TrainedHead: TypeAlias = tuple[BoundaryHead, BoundaryRecord]

# The other views say where something moves or where people are, not what it looks like.
FEATURE_MAP_VIEW = "rgb"


@dataclass(frozen=True, slots=True)
class ViewSource:
    """A trained encoder to export.

    Attributes:
        encoder: in evaluation mode.
        contract: its contract.
        clips: real clips for the parity gate, `uint8 [K, N, T, H, W, C]`, K ≥ 1.
        training: how it was trained, for the model card.
        boundaries: boundary head that was trained on its blocks, where there is one.
        for_variants: finds what variants are calibrated and judged on; `clips`, where it is None.
    """

    encoder: Encoder = field(repr=False)
    contract: ModelContract
    clips: NDArray[np.uint8] = field(repr=False)
    training: TrainingRecord | None = field(default=None, repr=False)
    boundaries: TrainedHead | None = field(default=None, repr=False)
    for_variants: Callable[[], VariantClips] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class FeatureMapOptions:
    """Which feature maps to publish.

    Attributes:
        stage: of the trunk; `layer2` has a cell per 8 pixels.
        size_px: H = W of a frame, a multiple of the stage's stride. With 160, a map of `layer2` has 20 × 20 cells; cost
            grows with the square of it.
    """

    stage: str = STAGE
    size_px: int = SIZE_PX


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """How to export.

    Attributes:
        formats: of every encoder; ONNX is among them where there are variants, which are made from it.
        variants: of every encoder, beside its formats.
        deployment: what machine and what load they are to be served for.
        overwrite: replace models, even those that have another contract or are up to date.
        folded: export the faster, equal graph (see `cocon.export.artefacts.fold`).
        feature_maps: which feature maps of single frames to publish as well; None for none.
        video: limits `NAME=NUMBER` of the model that takes whole videos, in place of those that it has; None for no
            such model, unless it is there already.
        version: number of all that is new, above every number that those models ever had; None for the next of each.
    """

    formats: tuple[ModelFormat, ...] = (ONNX, TORCHSCRIPT)
    variants: tuple[ModelFormat, ...] = ()
    deployment: Deployment = field(default_factory=Deployment)
    overwrite: bool = False
    folded: bool = True
    feature_maps: FeatureMapOptions | None = None
    version: int | None = None
    video: tuple[str, ...] | None = None
