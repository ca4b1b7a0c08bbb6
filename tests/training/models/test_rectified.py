"""The trunk with a ReLU at its end."""

import torch

from cocon.export.artefacts.fold import fold_trunk
from cocon.training.models.rectified import RectifiedResNet2d3d
from cocon.training.models.resnet2d3d import ResNet2d3d


def _trunks() -> tuple[ResNet2d3d, RectifiedResNet2d3d]:
    torch.manual_seed(0)
    plain, rectified = ResNet2d3d(2, (1, 1, 1, 1), width=4), RectifiedResNet2d3d(2, (1, 1, 1, 1), width=4)
    rectified.load_state_dict(plain.state_dict())
    return plain.eval(), rectified.eval()


def test_the_same_weights_give_the_positive_part_of_the_features() -> None:
    plain, rectified = _trunks()
    x = torch.randn(2, 2, 5, 32, 32)
    features = plain(x)
    assert (features < 0).any()
    assert torch.equal(rectified(x), features.clamp(min=0))


def test_it_has_a_two_dimensional_twin_for_export() -> None:
    _, rectified = _trunks()
    folded = fold_trunk(rectified, 5)
    assert folded is not None
    x = torch.randn(2, 2, 5, 32, 32)
    assert torch.allclose(folded(x), rectified(x), atol=1e-5)
