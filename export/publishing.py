"""Export encoders into a model repository: prepare aside, gate, then publish.

export_encoders([ViewSource(encoder, contract, clips)], Path("model_repository"), ExportOptions())
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cocon.core.errors import GateError, UsageError
from cocon.embedding.contract import EMBEDDING, ModelContract
from cocon.embedding.embedder import Embedder
from cocon.embedding.local import LocalEmbedder
from cocon.export.artefacts.deployable import Deployable
from cocon.export.artefacts.embedders import TorchEmbedder, load_torchscript
from cocon.export.artefacts.fold import fold
from cocon.export.artefacts.parity import BATCH_SIZES, Parity, check_parity
from cocon.export.artefacts.parity_clips import mixed_with_noise
from cocon.export.artefacts.to_onnx import export_onnx
from cocon.export.artefacts.to_torchscript import export_torchscript
from cocon.export.cards.record import TrainingRecord
from cocon.export.cards.texts import encoder_card, ensemble_card, fuse_card
from cocon.export.models.boundaries import TrainedHead, boundary_drafts
from cocon.export.models.feature_maps import FEATURE_MAP_VIEW, FeatureMapOptions, feature_map_draft
from cocon.export.models.fusion import Fusion, check_fuse, ensemble_config, fuse_config, write_fuse
from cocon.export.repository.folder import CONTRACT_FILE, newest_contract, publish, publish_card, staging
from cocon.export.repository.model_config import ONNX, TORCHSCRIPT, ModelFormat, encoder_config
from cocon.export.repository.stage import Draft, Exported, Stage
from cocon.training.models.encoder import Encoder
from cocon.video.views import VIEWS

__all__ = ["ExportOptions", "Progress", "ViewSource", "export_encoders"]

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ViewSource:
    """A trained encoder to export.

    Attributes:
        encoder: in evaluation mode.
        contract: its contract.
        clips: real clips for the parity gate, `uint8 [K, N, T, H, W, C]`, K ≥ 1.
        training: how it was trained, for the model card.
        boundaries: boundary head that was trained on its blocks, where there is one.
    """

    encoder: Encoder = field(repr=False)
    contract: ModelContract
    clips: NDArray[np.uint8] = field(repr=False)
    training: TrainingRecord | None = field(default=None, repr=False)
    boundaries: TrainedHead | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """How to export.

    Attributes:
        formats: of every encoder.
        num_threads: of one inference when served on a CPU.
        overwrite: replace models, even those that have another contract or are up to date.
        folded: export the faster, equal graph (see `cocon.export.artefacts.fold`).
        feature_maps: which feature maps of single frames to publish as well; None for none.
    """

    formats: tuple[ModelFormat, ...] = (ONNX, TORCHSCRIPT)
    num_threads: int = 1
    overwrite: bool = False
    folded: bool = True
    feature_maps: FeatureMapOptions | None = None


def export_encoders(
    sources: Sequence[ViewSource],
    repository: Path,
    options: ExportOptions,
    *,
    on_progress: Progress = lambda text: None,
) -> list[Exported]:
    """Write encoders, and the fusion of all views that the repository then has, as new versions of their models.

    What is there already with the same weights and labels is left alone, but for its model card. Nothing is published
    unless every model passes its gate.

    Args:
        sources: one per view.
        repository: the folder; made if need be.
        options: how.
        on_progress: called with what happens next, in words.

    Returns:
        A row per model, in the order of publication.

    Raises:
        UsageError: a model of that name has another contract, or another export writes here.
        GateError: an exported file does not compute what the encoder does.
        MismatchError: a model that is there cannot be read.
    """
    with staging(repository) as folder:
        if not options.overwrite:
            _refuse_incompatible(sources, repository, options.formats)
        stage = Stage(repository, folder, options.overwrite)
        drafts = [
            _encoder_draft(source, model_format, options, on_progress)
            for source in sources
            for model_format in options.formats
        ]
        drafts += boundary_drafts(sources, on_progress)
        drafts += _feature_map_drafts(sources, repository, options, on_progress)
        exported = [stage.prepare(draft) for draft in (*drafts, *_fusion_drafts(sources, repository))]
        for model in exported:
            staged, target = folder / model.model, repository / model.model
            if model.is_new:
                publish(staged, target, keep_versions=not options.overwrite)
            else:
                publish_card(staged, target)
    return exported


def _refuse_incompatible(sources: Sequence[ViewSource], repository: Path, formats: Sequence[ModelFormat]) -> None:
    for source in sources:
        for model_format in formats:
            name = model_format.model_name(source.contract.view)
            present = newest_contract(repository / name)
            if present is not None and not source.contract.is_compatible(present):
                raise UsageError(
                    f"model '{name}' in '{repository}' has another contract ({_difference(present, source.contract)}); "
                    "export to another --repository, or replace the model with --overwrite"
                )


def _difference(present: ModelContract, new: ModelContract) -> str:
    """What makes two contracts incompatible, in words."""
    names = ("clip", "geometry", "encoder", "embedding_dim", "flow")
    pairs = [(getattr(present, name), getattr(new, name)) for name in names]
    return "; ".join(f"{before} there, {after} here" for before, after in pairs if before != after)


def _encoder_draft(
    source: ViewSource, model_format: ModelFormat, options: ExportOptions, on_progress: Progress
) -> Draft:
    contract = source.contract
    return Draft(
        config=encoder_config(contract, model_format, num_threads=options.num_threads),
        file_name=model_format.file_name,
        identity={"contract": contract.to_json(), "weights": _weights_sha256(source.encoder)},
        write=partial(_write_encoder, source, model_format, options, on_progress),
        card=partial(encoder_card, contract, model_format, source.training),
        embedding_dim=contract.embedding_dim,
        labels=contract.labels,
    )


def _write_encoder(
    source: ViewSource, model_format: ModelFormat, options: ExportOptions, on_progress: Progress, path: Path
) -> Parity:
    contract = source.contract
    name = model_format.model_name(contract.view)
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


def _feature_map_drafts(
    sources: Sequence[ViewSource], repository: Path, options: ExportOptions, on_progress: Progress
) -> list[Draft]:
    """The model of feature maps, if one is wanted."""
    if options.feature_maps is None:
        return []
    fitting = [source for source in sources if source.contract.view == FEATURE_MAP_VIEW]
    if not fitting:
        raise UsageError(f"--feature-maps needs view '{FEATURE_MAP_VIEW}', which is not exported here")
    return [feature_map_draft(source, repository, options, on_progress) for source in fitting]


def _fusion_drafts(sources: Sequence[ViewSource], repository: Path) -> Iterator[Draft]:
    """The fusing model and the ensemble of all views, new and present, if there are two or more."""
    contracts = {view: newest_contract(repository / ONNX.model_name(view)) for view in VIEWS}
    contracts |= {source.contract.view: source.contract for source in sources}
    present = tuple(contract for _, contract in sorted(contracts.items()) if contract is not None)
    if len(present) < 2:
        return
    fusion = Fusion(present)
    dim = fusion.output_shapes[EMBEDDING][0]
    formula, views = {"formula": fusion.formula()}, {"fusion": fusion.to_json()}
    training = _common_training(sources, present)
    for config, file_name, identity, write, card in (
        (fuse_config(fusion), ONNX.file_name, formula, _write_fuse, fuse_card),
        (ensemble_config(fusion), "fusion.json", views, _write_ensemble, ensemble_card),
    ):
        described = partial(card, fusion, training)
        yield Draft(config, file_name, identity, partial(write, fusion), described, dim, fusion.labels)


def _common_training(sources: Sequence[ViewSource], present: Sequence[ModelContract]) -> TrainingRecord | None:
    """The training that all views of the repository come from, as far as this export knows."""
    first, *others = (source.training for source in sources)
    is_all = {source.contract for source in sources} == set(present)
    return first if is_all and all(training == first for training in others) else None


def _write_fuse(fusion: Fusion, path: Path) -> Parity:
    write_fuse(fusion, path)
    return check_fuse(fusion, path)


def _write_ensemble(fusion: Fusion, path: Path) -> None:
    path.write_text(fusion.to_json(), encoding="utf-8")


def _weights_sha256(encoder: Encoder) -> str:
    """Over every tensor, the classifier's too: a new classifier is a new model even if no embedding changes."""
    digest = hashlib.sha256()
    for name, tensor in sorted(encoder.state_dict().items()):
        digest.update(f"{name} {list(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
