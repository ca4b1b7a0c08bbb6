"""State dicts with torchvision's names: which network a file holds, told from the names of its tensors.

| in the file | network | read by |
|---|---|---|
| `stem.3.weight` | R(2+1)D | `kinetics` |
| `features.0.0.0.weight` | S3D | `kinetics` |
| `conv1.weight`, perhaps behind a wrapper's name | ResNet of pictures | `picture_trunks` |
"""

from cocon.core.errors import MismatchError
from cocon.training.importing.checkpoint_file import Checkpoint
from cocon.training.importing.published_trunks.kinetics import R2PLUS1D, S3D, read_kinetics
from cocon.training.importing.published_trunks.picture_trunks import read_picture_trunk
from cocon.training.importing.source_encoder import SourceEncoder
from cocon.training.importing.sources import Source
from cocon.video.views import VIEWS, view_named

__all__ = ["read_published"]


def read_published(checkpoint: Checkpoint, source: Source, wanted: str | None) -> SourceEncoder:
    """Load a state dict with torchvision's names.

    Args:
        checkpoint: as read.
        source: `torchvision`.
        wanted: the view as asked for: rgb, or None.

    Raises:
        MismatchError: the file holds none of these networks, or another view is asked for.
    """
    if wanted is not None and view_named(wanted) != VIEWS["rgb"]:
        raise MismatchError(f"networks of torchvision see rgb, '{checkpoint.path}' is not of view '{wanted}'")
    for network in (R2PLUS1D, S3D):
        if network.stem in checkpoint.tensors:
            return read_kinetics(checkpoint, network)
    return read_picture_trunk(checkpoint)
