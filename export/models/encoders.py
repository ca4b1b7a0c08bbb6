"""Publish encoders: `cocon_<view>` and `cocon_<view>_torchscript`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cocon.embedding.contract import ModelContract
from cocon.embedding.embedder import Embedder, ModelEmbedder
from cocon.embedding.local import LocalSession
from cocon.embedding.repository import ONNX, TORCHSCRIPT, ModelFormat
from cocon.export.artefacts.deployable import Deployable, TorchEmbedder
from cocon.export.artefacts.fold import fold
from cocon.export.artefacts.parity import BATCH_SIZES, Parity, check_parity
from cocon.export.artefacts.parity_clips import mixed_with_noise
from cocon.export.artefacts.to_onnx import export_onnx
from cocon.export.artefacts.to_torchscript import export_torchscript, load_torchscript
from cocon.export.sources import ViewSource

__all__ = ["check_encoder", "open_onnx", "write_encoder"]


def write_encoder(source: ViewSource, model_format: ModelFormat, path: Path, *, folded: bool = True) -> None:
    """Write an encoder in a format; `folded` as of `ExportOptions`."""
    contract = source.contract
    encoder = fold(source.encoder, contract.clip.frames_per_block) if folded else source.encoder
    _FILES[model_format].write(Deployable(encoder), contract, path)


def check_encoder(source: ViewSource, model_format: ModelFormat, path: Path) -> Parity:
    """Compare a file with the trained encoder; raises like `check_parity`."""
    reference = TorchEmbedder(Deployable(source.encoder), source.contract)
    candidate = _FILES[model_format].open(path, source.contract)
    return check_parity(reference, candidate, mixed_with_noise(source.clips, BATCH_SIZES[-1]))


def open_onnx(path: Path, contract: ModelContract) -> Embedder:
    """Open an encoder's ONNX file to compare it."""
    # On the CPU, as the reference: a GPU rounds differently, and the gate is about the file.
    return ModelEmbedder(LocalSession(path, contract, providers=["CPUExecutionProvider"]))


@dataclass(frozen=True, slots=True)
class _File:
    """How a file of some format comes to be, and is opened for its gate."""

    write: Callable[[Deployable, ModelContract, Path], None]
    open: Callable[[Path, ModelContract], Embedder]


_FILES: dict[ModelFormat, _File] = {
    ONNX: _File(export_onnx, open_onnx),
    TORCHSCRIPT: _File(export_torchscript, load_torchscript),
}
