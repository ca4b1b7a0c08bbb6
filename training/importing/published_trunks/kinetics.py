"""R(2+1)D-18 and S3D of Kinetics, as torchvision names them.

| R(2+1)D there | here |
|---|---|
| `stem.0`, `stem.1`, `stem.3`, `stem.4` | `conv1.spatial`, `conv1.bn`, `conv1.temporal`, `bn1` |
| `layer1.0.conv1.0.0`, `.0.1`, `.0.3`, `conv1.1` | `layer1.0.conv1.spatial`, `.bn`, `.temporal`, `layer1.0.bn1` |
| `layer2.0.downsample.{0,1}` | the same |
| `fc` | the linear layer of `mean`, whose BatchNorm changes nothing |

| S3D there | here |
|---|---|
| `features.0` to `features.15` | the layers in order, `layers.conv_1a` to `layers.mixed_5c` |
| `0.0`, `0.1`, `1.0`, `1.1` of a separable convolution | `conv.spatial`, `conv.bn`, `conv.temporal`, `bn` |
| `0`, `1` of a pointwise one | `conv`, `bn` |
| `classifier.1`, a convolution of one cell | the linear layer of `mean` |

Sources: Tran et al. 2018, Xie et al. 2018; both see frames 1/15 s apart.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from cocon.core.errors import MismatchError
from cocon.embedding.contract import EncoderSpec, Normalisation
from cocon.training.importing.checkpoint_file import Checkpoint
from cocon.training.importing.fitting import (
    counter_may_be_missing,
    depth_named,
    load_fitting,
    named_there,
    pass_features_on,
    shown,
)
from cocon.training.importing.source_encoder import Layout, SourceEncoder
from cocon.training.models.architectures import DEPTHS
from cocon.training.models.encoder import build_encoder
from cocon.video.views import VIEWS

__all__ = ["R2PLUS1D", "S3D", "KineticsNetwork", "read_kinetics", "without_classifier"]

_NORMALISATION = Normalisation((0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989))
_RGB = VIEWS["rgb"]

_R2PLUS1D_RULES = (
    (r"^conv1\.spatial\.", "stem.0."),
    (r"^conv1\.bn\.", "stem.1."),
    (r"^conv1\.temporal\.", "stem.3."),
    (r"^bn1\.", "stem.4."),
    (r"\.conv(\d)\.spatial\.", r".conv\1.0.0."),
    (r"\.conv(\d)\.bn\.", r".conv\1.0.1."),
    (r"\.conv(\d)\.temporal\.", r".conv\1.0.3."),
    (r"\.bn(\d)\.", r".conv\1.1."),
)
_S3D_RULES = (
    (r"^(features\.[03]|.*\.branch[12]\.1)\.bn\.", r"\1.1.1."),
    (r"\.conv\.spatial\.", ".0.0."),
    (r"\.conv\.bn\.", ".0.1."),
    (r"\.conv\.temporal\.", ".1.0."),
    (r"\.conv\.", ".0."),
    (r"\.bn\.", ".1."),
)
_S3D_ORDER = (
    *("conv_1a", "maxpool_2a", "conv_2b", "conv_2c", "maxpool_3a", "mixed_3b", "mixed_3c", "maxpool_4a"),
    *("mixed_4b", "mixed_4c", "mixed_4d", "mixed_4e", "mixed_4f", "maxpool_5a", "mixed_5b", "mixed_5c"),
)
_S3D_PLACES = {name: place for place, name in enumerate(_S3D_ORDER)}


@dataclass(frozen=True, slots=True)
class KineticsNetwork:
    """A network of videos.

    Attributes:
        title: its name.
        backbone: trunk here.
        stem: name of the weight that tells it from others.
        width: name of a tensor as long as the first stage has channels.
        classifier: beginning of the names of its last layer.
        their_name: from the name of a tensor of the trunk.
    """

    title: str
    backbone: str
    stem: str
    width: str
    classifier: str
    their_name: Callable[[str], str]


def _r2plus1d_name(name: str) -> str:
    for pattern, replacement in _R2PLUS1D_RULES:
        name = re.sub(pattern, replacement, name)
    return name


def _s3d_name(name: str) -> str:
    name = re.sub(r"^layers\.(\w+)", lambda match: f"features.{_S3D_PLACES[match[1]]}", name)
    for pattern, replacement in _S3D_RULES:
        name = re.sub(pattern, replacement, name)
    return name


R2PLUS1D = KineticsNetwork("R(2+1)D", "r2plus1d", "stem.3.weight", "stem.4.weight", "fc.", _r2plus1d_name)
S3D = KineticsNetwork(
    "S3D", "s3d_kinetics", "features.0.0.0.weight", "features.0.0.1.weight", "classifier.1.", _s3d_name
)


def read_kinetics(checkpoint: Checkpoint, network: KineticsNetwork) -> SourceEncoder:
    """Load such a network, its classifier too.

    Raises:
        MismatchError: the file does not hold it.
    """
    layout = _layout(checkpoint, network)
    blocks = DEPTHS.get(layout.depth, ())
    spec = EncoderSpec(network.backbone, blocks, layout.width, "mean" if layout.num_classes else "none")
    encoder = build_encoder(spec, _RGB, num_classes=layout.num_classes)
    pass_features_on(encoder)
    load_fitting(
        encoder,
        _flat_classifier(checkpoint.tensors, network),
        lambda name: named_there(name, network.their_name, network.classifier),
        path=checkpoint.path,
        expected=f"a network of torchvision ({layout.depth} of {network.title})",
        may_be_missing=lambda name: counter_may_be_missing(name) or name.startswith("classifier.bn."),
    )
    encoder.normalise_by(_NORMALISATION)
    return SourceEncoder(checkpoint, _RGB.name, layout, spec, encoder.eval())


def without_classifier(source: SourceEncoder) -> SourceEncoder:
    """The same without its classifier, which is then left out, of the encoder too; itself where it has none."""
    if not source.layout.num_classes:
        return source
    source.encoder.classifier = None
    return replace(
        source,
        layout=replace(source.layout, num_classes=0),
        spec=replace(source.spec, classifier="none"),
        left_out=(*source.left_out, f"the classifier of {source.layout.num_classes} classes"),
    )


def _layout(checkpoint: Checkpoint, network: KineticsNetwork) -> Layout:
    tensors = checkpoint.tensors
    stem, width, last = (tensors.get(name) for name in (network.stem, network.width, f"{network.classifier}weight"))
    if stem is None or stem.ndim != 5 or width is None or width.ndim != 1:
        raise MismatchError(
            f"'{checkpoint.path}' is no {network.title} of torchvision: it needs {network.stem} of five dimensions and "
            f"{network.width}; its keys are {shown(sorted(tensors))}"
        )
    if last is not None and last.ndim not in (2, 5):
        raise MismatchError(f"'{checkpoint.path}' has {network.classifier}weight {list(last.shape)}, no linear layer")
    num_classes = 0 if last is None else last.shape[0]
    in_channels = len(_RGB.mean)
    if network is S3D:
        return Layout("s3d", width.shape[0], in_channels, num_classes).checked(checkpoint.path)
    depth = depth_named(tensors, r"layer([1-4])\.(\d+)\.", DEPTHS, path=checkpoint.path)
    return Layout(depth, width.shape[0], in_channels, num_classes).checked(checkpoint.path)


def _flat_classifier(tensors: Mapping[str, Tensor], network: KineticsNetwork) -> dict[str, Tensor]:
    """The tensors, a classifier [K, D, 1, 1, 1] as a linear layer [K, D]."""
    weight = f"{network.classifier}weight"
    found = dict(tensors)
    if weight in found and found[weight].shape[2:] == (1, 1, 1):
        found[weight] = found[weight].flatten(1)
    return found
