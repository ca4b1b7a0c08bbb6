"""Places of the picture and parts of a clip, in the encoder and in its classifier."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cocon.core.errors import UsageError
from cocon.embedding.contract import EncoderSpec
from cocon.embedding.videos.clip_vectors import clip_logits, clip_vectors
from cocon.training.models.architectures import ARCHITECTURES, BackboneName
from cocon.training.models.encoder import BACKBONES, build_encoder
from cocon.training.models.heads import MeanClassifier
from cocon.training.models.pooling import cell_features
from cocon.video.views import VIEWS


@pytest.mark.parametrize("side", [2, 3, 4, 7])
@pytest.mark.parametrize("cells", [1, 2])
def test_cells_are_an_adaptive_average_place_by_place(side: int, cells: int) -> None:
    maps = torch.randn(2, 3, 5, side, side)
    expected = F.adaptive_avg_pool2d(maps.flatten(0, 1), cells).flatten(2).transpose(1, 2).flatten(1)
    torch.testing.assert_close(cell_features(maps, cells).flatten(0, 1), expected)


def test_more_cells_than_the_map_has_are_refused() -> None:
    with pytest.raises(UsageError, match=r"model\.cells \(3\) must be at most the side of the feature map \(2\)"):
        cell_features(torch.zeros(1, 4, 2, 2), 3)


@pytest.mark.parametrize("backbone", ARCHITECTURES)
def test_the_side_of_a_map_is_known_before_it_is_computed(backbone: BackboneName) -> None:
    known = ARCHITECTURES[backbone]
    trunk = BACKBONES[backbone](2, (1, 1, 1, 1) if known.depths else (), width=8).eval()
    for side_px in (33, 48, 64, 80):
        with torch.no_grad():
            maps = trunk(torch.zeros(1, 2, max(1, known.least_frames), side_px, side_px))
        assert maps.shape[-1] == known.map_side(side_px), side_px


@pytest.mark.parametrize(("pooling", "cells"), [("thirds", 1), ("mean", 2), ("thirds", 2)])
def test_an_encoder_gives_vectors_of_its_parts_and_places(pooling: str, cells: int) -> None:
    torch.manual_seed(0)
    spec = EncoderSpec("resnet2d3d", (1, 1, 1, 1), 8, "mean", pooling, cells)
    encoder = build_encoder(spec, VIEWS["flow"], num_classes=3).eval()
    clips = torch.randint(0, 256, (2, 4, 2, 48, 48, 2), dtype=torch.uint8)
    with torch.no_grad():
        maps = encoder.feature_maps(clips)
        found = encoder.outputs(maps)
    assert encoder.embedding_dim == cells**2 * 32
    assert found.blocks.shape == (2, 4, encoder.embedding_dim)
    torch.testing.assert_close(found.blocks, F.normalize(cell_features(maps, cells), dim=-1))
    np.testing.assert_allclose(found.embedding, clip_vectors(found.blocks.numpy(), spec.num_parts), atol=1e-6)


@pytest.mark.parametrize(("num_parts", "cells"), [(1, 1), (1, 2), (3, 1), (3, 2)])
def test_logits_of_a_clip_come_of_what_its_blocks_say(num_parts: int, cells: int) -> None:
    torch.manual_seed(0)
    head = MeanClassifier(5, 3, cells=cells, num_parts=num_parts).eval()
    _with_statistics(head.bn)
    maps = torch.randn(2, 4, 5, 2, 2)
    with torch.no_grad():
        np.testing.assert_allclose(clip_logits(head.block_logits(maps).numpy(), num_parts), head(maps), atol=1e-5)


def test_a_classifier_of_thirds_tells_an_order_that_one_of_the_mean_forgets() -> None:
    torch.manual_seed(0)
    maps = torch.randn(2, 6, 5, 2, 2)
    for num_parts, is_told in ((1, False), (3, True)):
        head = MeanClassifier(5, 3, num_parts=num_parts).eval()
        assert torch.allclose(head(maps), head(maps.flip(1)), atol=1e-5) != is_told


def _with_statistics(bn: nn.BatchNorm1d) -> None:
    assert bn.running_mean is not None and bn.running_var is not None
    nn.init.uniform_(bn.running_mean, -1, 1)
    nn.init.uniform_(bn.running_var, 0.5, 2)
    nn.init.uniform_(bn.weight, 0.5, 2)
    nn.init.uniform_(bn.bias, -1, 1)
