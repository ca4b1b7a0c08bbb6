"""Small encoders with random weights, and a repository of two of them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from cocon.embedding.contract import EncoderSpec, ModelContract
from cocon.export.artefacts.parity_clips import moving_squares
from cocon.export.artefacts.variant_clips import VariantClips
from cocon.export.artefacts.variant_comparison import JudgedVideo
from cocon.export.publishing import export_encoders
from cocon.export.sources import ExportOptions, ViewSource
from cocon.training.models.encoder import build_encoder
from cocon.training.run_folder.view_files import weights_sha256
from cocon.video.clips import ClipSpec
from cocon.video.estimation.flow import FlowSpec
from cocon.video.geometry import Geometry
from cocon.video.views import view_named

LABELS = ("wave", "jump", "turn")

MakeSource = Callable[..., ViewSource]


@pytest.fixture(scope="session")
def make_source() -> MakeSource:
    """Build a width-8 encoder, of clips of two blocks unless something else is said."""
    return _source


@pytest.fixture(scope="session")
def judged_by_squares() -> Callable[[ViewSource], ViewSource]:
    """Judge variants of a source on labelled squares: without labels, which neighbour is nearest says nothing."""
    return _judged_by_squares


@pytest.fixture(scope="session")
def randomise_batch_norms() -> Callable[[nn.Module], None]:
    """Give a module's BatchNorms statistics and scales as training would leave them."""
    return _randomise_batch_norms


@pytest.fixture(scope="session")
def two_views(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with rgb and flow in both formats; not to be changed."""
    folder = tmp_path_factory.mktemp("two") / "model_repository"
    export_encoders([_source("rgb"), _source("flow", seed=1)], folder, ExportOptions())
    return folder


def _source(
    view: str = "rgb",
    *,
    seed: int = 0,
    labels: tuple[str, ...] = LABELS,
    classifier: str = "mean",
    depths: tuple[int, ...] = (1, 1, 1, 1),
    side_px: int = 32,
    frames_per_block: int = 4,
    backbone: str = "resnet2d3d",
    num_blocks: int = 2,
    pooling: str = "mean",
    cells: int = 1,
) -> ViewSource:
    torch.manual_seed(seed)
    stages = () if backbone == "s3d" else depths
    spec = EncoderSpec(backbone, stages, 8, classifier if labels else "none", pooling, cells)
    encoder = build_encoder(spec, view_named(view), num_classes=len(labels))
    _randomise_batch_norms(encoder)
    contract = ModelContract(
        method="cocon",
        view=view,
        clip=ClipSpec(num_blocks, frames_per_block),
        geometry=Geometry(side_px, side_px),
        encoder=spec,
        embedding_dim=encoder.embedding_dim,
        weights_sha256=weights_sha256(encoder),
        labels=labels,
        flow=FlowSpec() if view == "flow" else None,
    )
    return ViewSource(encoder.eval(), contract, moving_squares(contract, 4))


def _randomise_batch_norms(module: nn.Module) -> None:
    """Statistics and scales as training would leave them; the initial ones hide mistakes."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm3d):
            assert part.running_mean is not None and part.running_var is not None
            part.running_mean.normal_(0, 0.2)
            part.running_var.uniform_(0.5, 2)
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, 0, 0.2)


def _judged_by_squares(source: ViewSource) -> ViewSource:
    clips = moving_squares(source.contract, 12)
    judged = [
        JudgedVideo(clip[None], source.contract.labels[position // 2 % 3], str(position), is_query=position % 2 == 0)
        for position, clip in enumerate(clips)
    ]
    return replace(source, for_variants=lambda: VariantClips("squares", lambda: clips, lambda: iter(judged)))
