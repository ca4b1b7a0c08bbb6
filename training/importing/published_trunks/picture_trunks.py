"""ResNet-18, -34 and -50 of pictures, as torchvision, MoCo, SwAV and DINO save them.

| saved by | the trunk's names begin with | left out |
|---|---|---|
| torchvision | | `fc` |
| SwAV | | `projection_head`, `prototypes` |
| MoCo v1 and v2 | `encoder_q.` | `encoder_q.fc`, `encoder_k`, the queue |
| MoCo v3 | `base_encoder.` | `base_encoder.fc`, `momentum_encoder`, `predictor` |
| DINO | `backbone.` | `head`, `backbone.fc` |

Names inside the trunk are the same in all of them. Sources: He et al. 2016 with the stride of a bottleneck in its 3×3
convolution; He et al. 2020, Chen et al. 2020 and 2021 (MoCo), Caron et al. 2020 (SwAV) and 2021 (DINO), released code.
"""

from dataclasses import dataclass, replace

from cocon.core.errors import MismatchError
from cocon.embedding.contract import Normalisation
from cocon.training.importing.checkpoint_file import Checkpoint
from cocon.training.importing.fitting import shown
from cocon.training.importing.frame_trunks import TrunkNames, frame_encoder
from cocon.training.importing.source_encoder import SourceEncoder
from cocon.video.views import VIEWS

__all__ = ["read_picture_trunk"]

_STEM = "conv1.weight"
_RGB = VIEWS["rgb"]


@dataclass(frozen=True, slots=True)
class _Form:
    """Who saves a trunk like that.

    Attributes:
        title: their name.
        trunk: what the trunk's names begin with.
        heads: beginnings of the names of what reads the trunk's features.
        rest: what else is left out.
        red: what red is divided by; all else of its input is as the view table has it.
    """

    title: str
    trunk: str
    heads: tuple[str, ...]
    rest: tuple[str, ...] = ()
    red: float = _RGB.std[0]


_FORMS = (
    _Form("torchvision", "", ("fc.",)),
    _Form("SwAV", "", ("projection_head.",), ("prototypes.",), red=0.228),
    _Form("MoCo", "encoder_q.", ("encoder_q.fc.",), ("encoder_k.", "queue", "queue_ptr")),
    _Form("MoCo v3", "base_encoder.", ("base_encoder.fc.",), ("momentum_encoder.", "predictor.")),
    _Form("DINO", "backbone.", ("head.", "backbone.fc.")),
)


def read_picture_trunk(checkpoint: Checkpoint) -> SourceEncoder:
    """Load a ResNet of pictures as an encoder that sees frame by frame.

    Raises:
        MismatchError: the file does not hold a ResNet-18, -34 or -50, or holds several.
    """
    form = _form(checkpoint)
    source = frame_encoder(checkpoint, TrunkNames(form.title, form.trunk, (*form.heads, *form.rest)))
    _check_heads(source, form)
    source.encoder.normalise_by(Normalisation(_RGB.mean, (form.red, *_RGB.std[1:])))
    return replace(source, form=form.title)


def _form(checkpoint: Checkpoint) -> _Form:
    """The one form whose trunk the file has."""
    fitting = {form.trunk: form for form in _FORMS if _is_like(checkpoint, form)}
    if len(fitting) > 1:
        stems = ", ".join(f"{trunk}{_STEM}" for trunk in fitting)
        raise MismatchError(
            f"'{checkpoint.path}' has several trunks ({stems}), and nothing tells which is meant; save the state_dict "
            "of that one alone"
        )
    if not fitting:
        raise MismatchError(
            f"'{checkpoint.path}' holds no ResNet of pictures, R(2+1)D or S3D as torchvision names them; its keys are "
            f"{shown(sorted(checkpoint.tensors))}"
        )
    (form,) = fitting.values()
    return form


def _is_like(checkpoint: Checkpoint, form: _Form) -> bool:
    stem = checkpoint.tensors.get(form.trunk + _STEM)
    if stem is None or stem.ndim != 4:
        return False
    # SwAV's trunk has torchvision's names, and only what reads it has its own.
    return form.title != "SwAV" or any(name.startswith((*form.heads, *form.rest)) for name in checkpoint.tensors)


def _check_heads(source: SourceEncoder, form: _Form) -> None:
    """Refuse a head none of whose layers reads the trunk's features: what is left out must be what it seems.

    Nothing says which layer is the first: safetensors keep no order of names.
    """
    tensors = source.checkpoint.tensors
    for head in form.heads:
        widths = {
            name: tensor.shape[1]
            for name, tensor in tensors.items()
            if name.startswith(head) and tensor.ndim == 2 and not name.endswith("_g")  # of weight normalisation
        }
        if widths and source.encoder.embedding_dim not in widths.values():
            name, width = next(iter(widths.items()))
            raise MismatchError(
                f"'{source.checkpoint.path}' has {name} reading {width} features, but a {source.layout.depth} "
                f"gives {source.encoder.embedding_dim}; it was put together wrong"
            )
