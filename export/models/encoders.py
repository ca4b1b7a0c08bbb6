"""Publish encoders: `cocon_<view>` and `cocon_<view>_torchscript`."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from cocon.core.errors import GateError
from cocon.embedding.contract import ModelContract
from cocon.embedding.embedder import Embedder
from cocon.embedding.local import LocalEmbedder
from cocon.embedding.repository import ONNX, TORCHSCRIPT, ModelFormat, model_name
from cocon.export.artefacts.deployable import Deployable
from cocon.export.artefacts.embedders import TorchEmbedder, load_torchscript
from cocon.export.artefacts.fold import fold
from cocon.export.artefacts.parity import BATCH_SIZES, Parity, check_parity
from cocon.export.artefacts.parity_clips import mixed_with_noise
from cocon.export.artefacts.to_onnx import export_onnx
from cocon.export.artefacts.to_torchscript import export_torchscript
from cocon.export.repository.folder import CONTRACT_FILE
from cocon.export.sources import ExportOptions, Progress, ViewSource
from cocon.training.models.encoder import Encoder

__all__ = ["encoder_sha256", "write_encoder"]


def write_encoder(
    source: ViewSource, model_format: ModelFormat, options: ExportOptions, on_progress: Progress, path: Path
) -> Parity:
    """Write an encoder and its contract, and compare the file with the encoder.

    Raises:
        GateError: the file does not compute what the encoder does.
    """
    contract = source.contract
    name = model_name(contract.view, model_format.suffix)
    reference = TorchEmbedder(Deployable(source.encoder), contract)
    on_progress(f"{name}: writing")
    encoder = fold(source.encoder, contract.clip.frames_per_block) if options.folded else source.encoder
    _WRITERS[model_format](Deployable(encoder), contract, path)
    path.with_name(CONTRACT_FILE).write_text(contract.to_json(), encoding="utf-8")
    on_progress(f"{name}: comparing with the trained encoder")
    clips = mixed_with_noise(source.clips, BATCH_SIZES[-1])
    try:
        return check_parity(reference, _OPENERS[model_format](path, contract), clips)
    except GateError as error:
        raise GateError(f"{name}: {error}") from error


def encoder_sha256(encoder: Encoder) -> str:
    """Over every tensor, the classifier's too: a new classifier is a new model even if no embedding changes."""
    digest = hashlib.sha256()
    for name, tensor in sorted(encoder.state_dict().items()):
        digest.update(f"{name} {list(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _open_onnx(path: Path, contract: ModelContract) -> Embedder:
    # On the CPU, as the reference: a GPU rounds differently, and the gate is about the file.
    return LocalEmbedder(path, contract, providers=["CPUExecutionProvider"])


_WRITERS: dict[ModelFormat, Callable[[Deployable, ModelContract, Path], None]] = {
    ONNX: export_onnx,
    TORCHSCRIPT: export_torchscript,
}
_OPENERS: dict[ModelFormat, Callable[[Path, ModelContract], Embedder]] = {
    ONNX: _open_onnx,
    TORCHSCRIPT: load_torchscript,
}
