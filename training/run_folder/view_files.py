"""One view of a run: its folder, and what the contract of its encoder says.

weights.safetensors, contract.json      the encoder
aggregator.safetensors                  what a recurrent classifier starts from, as in the released code; optional,
and no part of the contract: an encoder is whole without it
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load, save
from torch import Tensor

from cocon.core.atomic import replacing
from cocon.core.errors import MismatchError
from cocon.core.printable import in_one_line, printable
from cocon.embedding.contract import ModelContract, Normalisation
from cocon.training.config.run import Config
from cocon.training.models.encoder import Encoder, build_encoder
from cocon.video.views import view_named

__all__ = ["ViewFiles", "contract_of", "load_tensors", "save_tensors", "tensors_sha256", "weights_sha256"]

_WEIGHTS_FILE = "weights.safetensors"
_AGGREGATOR_FILE = "aggregator.safetensors"


@dataclass(frozen=True, slots=True)
class ViewFiles:
    """What a run keeps of one view.

    Attributes:
        folder: `views/<view>` of the run.
    """

    folder: Path

    @property
    def has_encoder(self) -> bool:
        """Whether an encoder was saved."""
        return self._contract_file.is_file()

    def contract(self) -> ModelContract:
        """The encoder's contract; raises `MismatchError` if it is none or was changed."""
        return ModelContract.from_json(
            self._contract_file.read_text(encoding="utf-8"), source=f"'{self._contract_file}'"
        )

    def encoder(self) -> tuple[Encoder, ModelContract]:
        """Build the encoder, in evaluation mode, on the CPU.

        Raises:
            MismatchError: weights and contract do not belong together.
        """
        contract = self.contract()
        encoder = build_encoder(contract.encoder, contract.view_spec, num_classes=len(contract.labels))
        if contract.normalisation is not None:
            encoder.normalise_by(contract.normalisation)
        try:
            encoder.load_state_dict(load_tensors(self.folder / _WEIGHTS_FILE))
        except Exception as error:  # safetensors raises its own error class, load_state_dict a RuntimeError
            raise MismatchError(
                f"weights in '{printable(self.folder)}' do not fit their contract: {in_one_line(error)}; train again"
            ) from error
        if weights_sha256(encoder) != contract.weights_sha256:
            raise MismatchError(
                f"weights in '{printable(self.folder)}' are not the ones its contract was written for; train again"
            )
        return encoder.eval(), contract

    def save_encoder(self, encoder: Encoder, contract: ModelContract) -> None:
        """Write weights, then the contract."""
        save_tensors(self.folder / _WEIGHTS_FILE, encoder.state_dict())
        with replacing(self._contract_file) as partial:
            partial.write_text(contract.to_json(), encoding="utf-8")

    def aggregator(self) -> dict[str, Tensor] | None:
        """State of the view's `ConvGRU`, None where it was not kept; raises `MismatchError` if it cannot be read."""
        path = self.folder / _AGGREGATOR_FILE
        if not path.is_file():
            return None
        try:
            return load_tensors(path)
        except Exception as error:  # safetensors raises its own error class
            raise MismatchError(f"'{path}' cannot be read: {error}; train its run again, or remove the file") from error

    def save_aggregator(self, tensors: Mapping[str, Tensor]) -> None:
        """Write it beside the encoder."""
        save_tensors(self.folder / _AGGREGATOR_FILE, tensors)

    @property
    def _contract_file(self) -> Path:
        return self.folder / "contract.json"


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read what `save_tensors` wrote, whatever the file is called: safetensors opens no names that are not UTF-8."""
    return load(path.read_bytes())


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors of any device; the file appears whole or not at all."""
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with replacing(path) as partial:
        partial.write_bytes(save(on_cpu))  # its own writer lets nobody else read the file


def contract_of(
    config: Config,
    view: str,
    encoder: Encoder,
    *,
    method: str,
    labels: tuple[str, ...],
    made_by: Mapping[str, tuple[str, ...]] | None = None,
) -> ModelContract:
    """The contract of an encoder trained with a configuration.

    Args:
        config: the configuration.
        view: that the encoder sees.
        encoder: the encoder.
        method: how it was trained.
        labels: of its classifier, which counts only when there are any.
        made_by: view → who made it for the training, where that is known; so too the view by which people are followed.
    """
    row = view_named(view)
    following = config.geometry(view).following
    is_own = encoder.normalisation != Normalisation(row.mean, row.std)
    return ModelContract(
        method=method,
        view=view,
        clip=config.clip.spec(),
        geometry=config.geometry(view),
        encoder=config.encoder_spec(config.classifier.head if labels else "none", view=view),
        embedding_dim=encoder.embedding_dim,
        weights_sha256=weights_sha256(encoder),
        labels=labels,
        flow=config.flow_spec(view),
        normalisation=encoder.normalisation if is_own else None,
        made_by=(made_by or {}).get(view, ()),
        people_by=(made_by or {}).get(following.by, ()) if following else (),
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
