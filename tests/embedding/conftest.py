"""A small contract."""

from collections.abc import Callable

import pytest

from cocon.embedding.contract import EncoderSpec, ModelContract
from cocon.video.clips import ClipSpec
from cocon.video.geometry import Geometry

MakeContract = Callable[..., ModelContract]


@pytest.fixture(scope="session")
def make_contract() -> MakeContract:
    """`make_contract(**changes)`: an rgb contract of 2 × 3 frames of 8 × 8 pixels, D = 4."""
    defaults: dict[str, object] = {
        "method": "cocon",
        "view": "rgb",
        "clip": ClipSpec(2, 3),
        "geometry": Geometry(9, 8),
        "encoder": EncoderSpec("resnet2d3d", (1, 1, 1, 1), 16),
        "embedding_dim": 4,
        "weights_sha256": "0" * 64,
    }
    return lambda **changes: ModelContract(**defaults | changes)  # type: ignore[arg-type]  # the tests know the types
