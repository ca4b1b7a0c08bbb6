"""What the contract of an encoder says, and the digests that tie it to its tensors."""

import hashlib
from collections.abc import Mapping

from torch import Tensor

from cocon.embedding.contract import ModelContract, Normalisation
from cocon.training.config.run import Config
from cocon.training.models.encoder import Encoder
from cocon.video.views import view_named

__all__ = ["contract_of", "tensors_sha256", "weights_sha256"]


def contract_of(config: Config, view: str, encoder: Encoder, *, method: str, labels: tuple[str, ...]) -> ModelContract:
    """The contract of an encoder trained with a configuration; the classifier counts only when there are labels."""
    row = view_named(view)
    is_own = encoder.normalisation != Normalisation(row.mean, row.std)
    return ModelContract(
        method=method,
        view=view,
        clip=config.clip.spec(),
        geometry=config.geometry(view),
        encoder=config.encoder_spec(config.classifier.head if labels else "none"),
        embedding_dim=encoder.embedding_dim,
        weights_sha256=weights_sha256(encoder),
        labels=labels,
        flow=config.flow_spec(view),
        normalisation=encoder.normalisation if is_own else None,
    )


def weights_sha256(encoder: Encoder) -> str:
    """sha256 over the encoder's tensors in fp32, sorted by name, the classifier left out."""
    tensors = encoder.state_dict().items()
    return tensors_sha256({name: tensor.float() for name, tensor in tensors if not name.startswith("classifier.")})


def tensors_sha256(tensors: Mapping[str, Tensor]) -> str:
    """sha256 over names, shapes and bytes, sorted by name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {list(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
