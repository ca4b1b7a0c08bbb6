"""The models that a repository should have: for every kind its configuration, what makes it news, its file and card."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from cocon.core.errors import UsageError
from cocon.embedding.config_files import STEPS_KEY, steps_text
from cocon.embedding.contract import EMBEDDING
from cocon.embedding.embedder import ENCODER
from cocon.embedding.fusion_record import FUSION_KEY
from cocon.embedding.local import LocalSession
from cocon.embedding.locating.boundary_model import BOUNDARY_MODEL
from cocon.embedding.model_kind import ModelKind
from cocon.embedding.open_model import Contract, OpenModel
from cocon.embedding.repository import ENSEMBLE, FUSE, FUSION_FILE, ONNX, ModelFormat
from cocon.embedding.tracking.feature_maps import FEATURE_MAPS, FeatureMapContract
from cocon.export.artefacts.fidelity import Fidelity
from cocon.export.artefacts.parity import Parity
from cocon.export.cards.boundaries import boundary_card
from cocon.export.cards.feature_maps import feature_map_card
from cocon.export.cards.record import TrainingRecord
from cocon.export.cards.texts import encoder_card, ensemble_card, fuse_card
from cocon.export.models.boundaries import check_boundaries, write_boundaries
from cocon.export.models.encoders import check_encoder, write_encoder
from cocon.export.models.feature_maps import check_feature_maps, feature_map_contract, write_feature_maps
from cocon.export.models.fusion import Fusion, check_fuse, write_ensemble, write_fuse
from cocon.export.models.variants import check_variant, write_variant
from cocon.export.present_encoders import PresentEncoders, newest_version
from cocon.export.repository.deployment import ONE_THREAD, Deployment
from cocon.export.repository.folder import newest_contract
from cocon.export.repository.model_config import ensemble_config, kind_config, model_config
from cocon.export.repository.stage import Draft
from cocon.export.sources import FEATURE_MAP_VIEW, ExportOptions, FeatureMapOptions, ViewSource
from cocon.export.video_drafts import video_drafts
from cocon.training.run_folder.view_files import tensors_sha256

__all__ = ["drafts_of", "fusion_drafts"]

_Contract = TypeVar("_Contract", bound=Contract)
_Model = TypeVar("_Model", bound=OpenModel[Any])


def drafts_of(
    sources: Sequence[ViewSource], repository: Path, options: ExportOptions, *, staged: Path | None = None
) -> Iterator[Draft]:
    """All models that come of some encoders, in the order in which they are to be prepared and published.

    One by one: what calls the others names their versions, which are known once those are prepared.

    Args:
        sources: one per view.
        repository: where they will be; the fusion is of all views that it then has.
        options: how.
        staged: where they are prepared; variants are made from the file that lies there, or else in the repository.

    Yields:
        The next one; those before are to be prepared by then.

    Raises:
        UsageError: feature maps are wanted that cannot be, or others are there and not to be overwritten.
        MismatchError: a boundary head was trained on another encoder, or a model that is there cannot be read.
    """
    folders = [repository] if staged is None else [staged, repository]
    feature_maps = _feature_maps(sources, repository, options)
    boundaries = list(_boundaries(sources))  # what cannot be is known before anything is written
    yield from (_encoder(source, each, options) for source in sources for each in options.formats)
    yield from (_variant(source, each, options, folders) for source in sources for each in options.variants)
    yield from boundaries
    yield from feature_maps
    yield from fusion_drafts(sources, repository, staged=staged)
    yield from video_drafts(sources, repository, options, staged=staged)


def _encoder(source: ViewSource, model_format: ModelFormat, options: ExportOptions) -> Draft:
    return _of_encoder(
        source,
        model_format,
        options,
        write=partial(write_encoder, source, model_format, folded=options.folded),
        check=partial(check_encoder, source, model_format),
        reference="the trained encoder",
    )


def _variant(source: ViewSource, variant: ModelFormat, options: ExportOptions, folders: Sequence[Path]) -> Draft:
    reference = partial(_newest_file, folders, source.contract.view)
    return _of_encoder(
        source,
        variant,
        options,
        write=partial(write_variant, source, variant, reference),
        check=partial(check_variant, source, variant, reference),
        reference=f"{ENCODER.name(source.contract.view)} on videos",
        figures=Fidelity,
        is_optional=True,
    )


def _newest_file(folders: Sequence[Path], view: str) -> Path:
    """The float32 ONNX file of a view's encoder, in the first folder that has one."""
    found = (ENCODER.newest(folder, view) for folder in folders)
    return next(newest.model_path for newest in found if newest is not None)


def _of_encoder(
    source: ViewSource,
    model_format: ModelFormat,
    options: ExportOptions,
    **rest: Any,  # noqa: ANN401  # fields of `Draft`
) -> Draft:
    contract = source.contract
    return _draft(
        ENCODER,
        contract,
        model_format,
        options.deployment,
        card=partial(encoder_card, contract, model_format, source.training),
        embedding_dim=contract.vector_dim,
        labels=contract.labels,
        # The classifier's tensors too: a new one is a new model even if no embedding changes.
        identity={"weights": tensors_sha256(source.encoder.state_dict())},
        **rest,
    )


def _boundaries(sources: Sequence[ViewSource]) -> Iterator[Draft]:
    """The boundary models of those views that have a head."""
    for source in sources:
        if source.boundaries is None:
            continue
        head, record = source.boundaries
        contract = record.contract
        contract.check_encoder(source.contract, source=f"the boundary head of view '{contract.view}'")
        yield _draft(
            BOUNDARY_MODEL,
            contract,
            write=partial(write_boundaries, head),
            check=_on_opened(BOUNDARY_MODEL, contract, partial(check_boundaries, head)),
            reference="the trained head",
            card=partial(boundary_card, record, source.contract, source.training),
            embedding_dim=contract.embedding_dim,
        )


def _feature_maps(sources: Sequence[ViewSource], repository: Path, options: ExportOptions) -> list[Draft]:
    """The model of feature maps, if one is wanted."""
    if options.feature_maps is None:
        return []
    fitting = [source for source in sources if source.contract.view == FEATURE_MAP_VIEW]
    if not fitting:
        raise UsageError(f"--feature-maps needs view '{FEATURE_MAP_VIEW}', which is not exported here")
    return [_feature_map(source, repository, options, options.feature_maps) for source in fitting]


def _feature_map(source: ViewSource, repository: Path, options: ExportOptions, wanted: FeatureMapOptions) -> Draft:
    contract = feature_map_contract(source, wanted)
    if not options.overwrite:
        _refuse_other_maps(contract, repository)
    return _draft(
        FEATURE_MAPS,
        contract,
        deployment=options.deployment,
        write=partial(write_feature_maps, source, contract, folded=options.folded),
        check=_on_opened(FEATURE_MAPS, contract, partial(check_feature_maps, source)),
        reference="the trained encoder",
        card=partial(feature_map_card, contract, source.contract, source.training),
        embedding_dim=contract.depth,
    )


def _refuse_other_maps(contract: FeatureMapContract, repository: Path) -> None:
    present = newest_contract(repository, FEATURE_MAPS, contract.view)
    if present is None:
        return
    shapes = [(each.stage, each.frame_shape, each.map_shape) for each in (present, contract)]
    if shapes[0] != shapes[1]:
        raise UsageError(
            f"model '{FEATURE_MAPS.name(contract.view)}' in '{repository}' is of {present.stage} at "
            f"{present.size_px} px, not of {contract.stage} at {contract.size_px} px; export to another --repository, "
            "or replace the model with --overwrite"
        )


def fusion_drafts(sources: Sequence[ViewSource], repository: Path, *, staged: Path | None = None) -> Iterator[Draft]:
    """The fusing model and the ensemble of all views, new and present, if there are two or more; as `drafts_of`."""
    present = PresentEncoders.of(sources, repository)
    if len(present.contracts) < 2:
        return
    fusion = Fusion(present.contracts, present.learned, present.lacking)
    yield _fuse(fusion, present.training)
    yield _ensemble(fusion, present.training, [repository] if staged is None else [staged, repository])


def _fuse(fusion: Fusion, training: TrainingRecord | None) -> Draft:
    outputs = fusion.output_shapes
    return Draft(
        model_config(FUSE, fusion.input_shapes, outputs, input_type="float32", model_format=ONNX, is_light=True),
        ONNX.file_name,
        identity={"formula": fusion.formula()},
        write=partial(write_fuse, fusion),
        check=partial(check_fuse, fusion),
        reference="the formula in NumPy",
        card=partial(fuse_card, fusion, training),
        embedding_dim=outputs[EMBEDDING][0],
        labels=fusion.labels,
    )


def _ensemble(fusion: Fusion, training: TrainingRecord | None, folders: Sequence[Path]) -> Draft:
    """The ensemble over the newest versions of its parts, in the first folder that has them."""
    outputs = fusion.output_shapes
    versions = {step.model: newest_version(folders, step.model) for step in fusion.steps}
    return Draft(
        ensemble_config(ENSEMBLE, fusion.clip_shapes, outputs | fusion.view_shapes, fusion.steps, versions),
        FUSION_FILE,
        identity={FUSION_KEY: fusion.record.to_json(), STEPS_KEY: steps_text(versions)},
        write=partial(write_ensemble, fusion),
        card=partial(ensemble_card, fusion, training),
        embedding_dim=outputs[EMBEDDING][0],
        labels=fusion.labels,
    )


def _draft(
    kind: ModelKind[_Contract, Any],
    contract: _Contract,
    model_format: ModelFormat = ONNX,
    deployment: Deployment = ONE_THREAD,
    *,
    identity: Mapping[str, str] | None = None,
    **rest: Any,  # noqa: ANN401  # fields of `Draft`
) -> Draft:
    """A model of some kind: configuration, identity and contract follow from the kind and the contract."""
    text = contract.to_json()
    return Draft(
        kind_config(kind, contract, model_format, deployment),
        model_format.file_name,
        identity={kind.contract_key: text} | dict(identity or {}),
        contract=(kind.contract_file, text),
        **rest,
    )


def _on_opened(
    kind: ModelKind[_Contract, _Model], contract: _Contract, check: Callable[[_Model], Parity]
) -> Callable[[Path], Parity]:
    """A check of a file by a check of the model that it is."""

    def checked(path: Path) -> Parity:
        # On the CPU, as the reference: a GPU rounds differently, and the gate is about the file.
        with kind.model(LocalSession(path, contract, providers=["CPUExecutionProvider"])) as model:
            return check(model)

    return checked
