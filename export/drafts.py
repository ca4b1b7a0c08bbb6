"""The models that a repository should have: for every kind its configuration, what makes it news, its file and card."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from cocon.core.errors import UsageError
from cocon.embedding.contract import EMBEDDING, ModelContract
from cocon.embedding.locating.boundary_model import BOUNDARIES
from cocon.embedding.repository import FUSION_FILE, ONNX, ModelFormat, model_name
from cocon.embedding.tracking.feature_maps import FEATURE_MAP
from cocon.export.artefacts.parity import Parity
from cocon.export.cards.boundaries import boundary_card
from cocon.export.cards.feature_maps import feature_map_card
from cocon.export.cards.record import TrainingRecord
from cocon.export.cards.texts import encoder_card, ensemble_card, fuse_card
from cocon.export.models.boundaries import boundary_config, gated_boundaries
from cocon.export.models.encoders import encoder_sha256, write_encoder
from cocon.export.models.feature_maps import (
    feature_map_config,
    feature_map_contract,
    gated_feature_maps,
    refuse_other_maps,
)
from cocon.export.models.fusion import Fusion, check_fuse, ensemble_config, fuse_config, write_fuse
from cocon.export.repository.folder import newest_contract
from cocon.export.repository.model_config import encoder_config
from cocon.export.repository.stage import Draft
from cocon.export.sources import FEATURE_MAP_VIEW, ExportOptions, FeatureMapOptions, Progress, ViewSource
from cocon.video.views import VIEWS

__all__ = ["drafts_of"]


def drafts_of(
    sources: Sequence[ViewSource], repository: Path, options: ExportOptions, on_progress: Progress
) -> list[Draft]:
    """All models that come of some encoders, in the order in which they are to be published.

    Args:
        sources: one per view.
        repository: where they will be; the fusion is of all views that it then has.
        options: how.
        on_progress: called when a model is written.

    Raises:
        UsageError: feature maps are wanted that cannot be, or others are there and not to be overwritten.
        MismatchError: a boundary head was trained on another encoder, or a model that is there cannot be read.
    """
    encoders = (_encoder(source, each, options, on_progress) for source in sources for each in options.formats)
    boundaries = _boundaries(sources, on_progress)
    feature_maps = _feature_maps(sources, repository, options, on_progress)
    return [*encoders, *boundaries, *feature_maps, *_fusion(sources, repository)]


def _encoder(source: ViewSource, model_format: ModelFormat, options: ExportOptions, on_progress: Progress) -> Draft:
    contract = source.contract
    return Draft(
        config=encoder_config(contract, model_format, num_threads=options.num_threads),
        file_name=model_format.file_name,
        identity={"contract": contract.to_json(), "weights": encoder_sha256(source.encoder)},
        write=partial(write_encoder, source, model_format, options, on_progress),
        card=partial(encoder_card, contract, model_format, source.training),
        embedding_dim=contract.embedding_dim,
        labels=contract.labels,
    )


def _boundaries(sources: Sequence[ViewSource], on_progress: Progress) -> Iterator[Draft]:
    """The boundary models of those views that have a head."""
    for source in sources:
        if source.boundaries is None:
            continue
        head, record = source.boundaries
        contract = record.contract
        contract.check_encoder(source.contract, source=f"the boundary head of view '{contract.view}'")
        yield Draft(
            config=boundary_config(contract),
            file_name=ONNX.file_name,
            identity={BOUNDARIES: contract.to_json()},
            write=partial(gated_boundaries, head, contract, on_progress),
            card=partial(boundary_card, record, source.contract, source.training),
            embedding_dim=contract.embedding_dim,
            labels=(),
        )


def _feature_maps(
    sources: Sequence[ViewSource], repository: Path, options: ExportOptions, on_progress: Progress
) -> list[Draft]:
    """The model of feature maps, if one is wanted."""
    if options.feature_maps is None:
        return []
    fitting = [source for source in sources if source.contract.view == FEATURE_MAP_VIEW]
    if not fitting:
        raise UsageError(f"--feature-maps needs view '{FEATURE_MAP_VIEW}', which is not exported here")
    return [_feature_map(source, repository, options, options.feature_maps, on_progress) for source in fitting]


def _feature_map(
    source: ViewSource, repository: Path, options: ExportOptions, wanted: FeatureMapOptions, on_progress: Progress
) -> Draft:
    contract = feature_map_contract(source, wanted)
    if not options.overwrite:
        refuse_other_maps(contract, repository)
    return Draft(
        config=feature_map_config(contract, options.num_threads),
        file_name=ONNX.file_name,
        identity={FEATURE_MAP: contract.to_json()},
        write=partial(gated_feature_maps, source, contract, options.folded, on_progress),
        card=partial(feature_map_card, contract, source.contract, source.training),
        embedding_dim=contract.depth,
        labels=(),
    )


def _fusion(sources: Sequence[ViewSource], repository: Path) -> Iterator[Draft]:
    """The fusing model and the ensemble of all views, new and present, if there are two or more."""
    contracts = {view: newest_contract(repository / model_name(view)) for view in VIEWS}
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
        (ensemble_config(fusion), FUSION_FILE, views, _write_ensemble, ensemble_card),
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
