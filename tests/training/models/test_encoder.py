"""The encoder: bytes in, unit vectors out."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cocon.core.errors import UsageError
from cocon.embedding.contract import EncoderSpec, Normalisation
from cocon.training.models.encoder import BACKBONES, Encoder, build_encoder
from cocon.video.views import VIEWS

TINY = EncoderSpec("resnet2d3d", (1, 1, 1, 1), 4)


class Passed(nn.Module):
    """A backbone that gives its input on, and keeps it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.out_channels = channels
        self.seen = torch.empty(0)

    def forward(self, x: Tensor) -> Tensor:
        self.seen = x
        return x


def _clips(count: int = 3, channels: int = 3, size: int = 32) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 2, 5, size, size, channels), generator=generator, dtype=torch.uint8)


def _encoder(view: str = "rgb", *, num_classes: int = 0, classifier: str = "none") -> Encoder:
    torch.manual_seed(0)
    spec = EncoderSpec("resnet2d3d", (1, 1, 1, 1), 4, classifier)
    return build_encoder(spec, VIEWS[view], num_classes=num_classes).eval()


@pytest.mark.parametrize("view", VIEWS)
def test_bytes_are_scaled_and_normalised_per_channel(view: str) -> None:
    row = VIEWS[view]
    backbone = Passed(row.channels)
    clips = _clips(2, row.channels, 4)
    Encoder(backbone, row.mean, row.std).feature_maps(clips)  # type: ignore[arg-type]  # any trunk will do
    assert backbone.seen.shape == (4, row.channels, 5, 4, 4)
    generator = torch.Generator().manual_seed(1)
    for _ in range(50):
        b, n, t, i, j, c = (
            int(torch.randint(0, limit, (1,), generator=generator)) for limit in (2, 2, 5, 4, 4, row.channels)
        )
        expected = (clips[b, n, t, i, j, c].item() / 255 - row.mean[c]) / row.std[c]
        assert backbone.seen[2 * b + n, c, t, i, j].item() == pytest.approx(expected, abs=1e-5)


def test_a_constant_plane_follows_the_channels_of_the_view_and_ends_where_the_picture_does() -> None:
    row, clips = VIEWS["flow"], _clips(2, 2)
    encoder = _encoder("flow")
    stem = encoder.backbone.conv1
    before, two = encoder.feature_maps(clips), stem.weight.detach().clone()
    encoder.normalise_by(Normalisation(row.mean, row.std, plane=0.07))
    torch.testing.assert_close(encoder.feature_maps(clips), before)  # it has no weight yet
    red = torch.randn(4, 1, 1, 7, 7, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        stem.weight[:, 2:] = red
    seen: list[Tensor] = []
    stem.register_forward_hook(lambda module, inputs, output: seen.append(output))
    encoder.feature_maps(clips)
    flow = (clips.flatten(0, 1).permute(0, 4, 1, 2, 3) / 255 - row.mean[0]) / row.std[0]
    pictures = torch.cat((flow, torch.full_like(flow[:, :1], 0.07)), dim=1)
    expected = F.conv3d(pictures, torch.cat((two, red), dim=1), stride=(1, 2, 2), padding=(0, 3, 3))
    torch.testing.assert_close(seen[0], expected, rtol=1e-4, atol=1e-5)
    encoder.normalise_by(Normalisation(row.mean, row.std))
    torch.testing.assert_close(encoder.feature_maps(clips), before)


def test_a_feature_map_is_the_mean_over_a_blocks_time() -> None:
    backbone = Passed(3)
    encoder = Encoder(backbone, (0.0,) * 3, (1.0,) * 3)  # type: ignore[arg-type]  # any trunk will do
    clips = _clips(2, 3, 4)
    maps = encoder.feature_maps(clips)
    assert maps.shape == (2, 2, 3, 4, 4)
    for b in range(2):
        for n in range(2):
            expected = clips[b, n].float().mean(dim=0).permute(2, 0, 1) / 255
            assert torch.allclose(maps[b, n], expected, atol=1e-6)


def test_the_embedding_is_the_unit_mean_of_unit_blocks() -> None:
    encoder, clips = _encoder(), _clips()
    embedding, blocks, logits, block_logits = encoder(clips)
    maps = encoder.feature_maps(clips)
    assert logits is None
    assert block_logits is None
    for b in range(3):
        units = []
        for n in range(2):
            feature = maps[b, n].mean(dim=(1, 2))
            units.append(feature / feature.norm())
            assert torch.allclose(blocks[b, n], units[-1], atol=1e-6)
        mean = (units[0] + units[1]) / 2
        assert torch.allclose(embedding[b], mean / mean.norm(), atol=1e-6)
    assert torch.allclose(embedding.norm(dim=-1), torch.ones(3))
    assert torch.allclose(blocks.norm(dim=-1), torch.ones(3, 2))


@pytest.mark.parametrize("classifier", ["mean", "gru"])
def test_rows_of_a_batch_do_not_see_each_other(classifier: str) -> None:
    encoder, clips = _encoder(num_classes=4, classifier=classifier), _clips()
    together = encoder(clips)
    for b in range(3):
        alone = encoder(clips[b : b + 1])
        for one, all_rows in zip(alone, together, strict=True):
            assert (one is None) == (all_rows is None)
            assert one is None or torch.allclose(one[0], all_rows[b], atol=1e-5)


def test_logits_are_the_mean_of_those_of_blocks_where_the_classifier_is_affine() -> None:
    encoder, clips = _encoder(num_classes=4, classifier="mean"), _clips()
    outputs = encoder(clips)
    assert outputs.block_logits.shape == (3, 2, 4)
    assert torch.allclose(outputs.block_logits.mean(dim=1), outputs.logits, atol=1e-5)
    assert not torch.allclose(outputs.block_logits[:, 0], outputs.block_logits[:, 1], atol=1e-3)
    mixed = encoder(clips[[1, 0, 2]].flip(1))
    assert torch.allclose(mixed.block_logits, outputs.block_logits[[1, 0, 2]].flip(1), atol=1e-5)
    assert _encoder(num_classes=4, classifier="gru")(clips).block_logits is None


def test_learning_computes_no_block_logits() -> None:
    encoder = _encoder(num_classes=4, classifier="mean").train()
    before = int(encoder.classifier.bn.num_batches_tracked)
    assert encoder(_clips()).block_logits is None
    assert int(encoder.classifier.bn.num_batches_tracked) == before + 1  # statistics of whole clips alone


def test_blocks_do_not_see_each_other() -> None:
    encoder, clips = _encoder(), _clips()
    swapped = encoder(clips.flip(1))
    assert torch.allclose(swapped.blocks, encoder(clips).blocks.flip(1), atol=1e-5)
    assert torch.allclose(swapped.embedding, encoder(clips).embedding, atol=1e-5)


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_has_an_encoder(view: str) -> None:
    outputs = _encoder(view, num_classes=5, classifier="mean")(_clips(2, VIEWS[view].channels))
    assert outputs.embedding.shape == (2, 16)
    assert outputs.blocks.shape == (2, 2, 16)
    assert outputs.logits is not None
    assert outputs.logits.shape == (2, 5)


def test_normalisation_is_no_part_of_the_weights() -> None:
    names = set(_encoder().state_dict())
    assert not names & {"mean", "std"}
    assert all(name.startswith("backbone.") for name in names)


def test_adding_a_classifier_changes_no_embedding() -> None:
    plain, labelled = _encoder(), _encoder(num_classes=3, classifier="mean")
    assert torch.equal(plain(_clips()).embedding, labelled(_clips()).embedding)


def test_an_unknown_backbone_or_classifier_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"backbone 'vgg' is unknown; available: .*resnet2d3d"):
        build_encoder(EncoderSpec("vgg", (1, 1, 1, 1), 4), VIEWS["rgb"])
    with pytest.raises(UsageError, match=r"classifier 'svm' is unknown; available: mean, gru"):
        build_encoder(EncoderSpec("resnet2d3d", (1, 1, 1, 1), 4, "svm"), VIEWS["rgb"], num_classes=3)
    assert "resnet2d3d" in BACKBONES


def test_the_embedding_dimension_is_four_times_the_width() -> None:
    assert build_encoder(TINY, VIEWS["rgb"]).embedding_dim == 16
