"""Export encoders into a model repository: prepare aside, gate, then publish.

export_encoders([ViewSource(encoder, contract, clips)], Path("model_repository"), ExportOptions())
"""

from collections.abc import Sequence
from pathlib import Path

from cocon.core.errors import GateError, UsageError
from cocon.embedding.contract import ModelContract
from cocon.embedding.embedder import ENCODER
from cocon.embedding.repository import ModelFormat
from cocon.export.drafts import drafts_of
from cocon.export.repository.folder import newest_contract, publish, publish_texts, staging
from cocon.export.repository.numbering import remember
from cocon.export.repository.stage import Exported, Stage
from cocon.export.sources import ExportOptions, Progress, ViewSource

__all__ = ["VariantRefusedError", "export_encoders"]


class VariantRefusedError(GateError):
    """Variants did not pass their gates; everything else is published.

    Attributes:
        exported: a row per model that is.
    """

    def __init__(self, refused: Sequence[str], exported: Sequence[Exported]) -> None:
        super().__init__(f"not published: {'; '.join(refused)}; everything else is")
        self.exported = exported


def export_encoders(
    sources: Sequence[ViewSource],
    repository: Path,
    options: ExportOptions,
    *,
    on_progress: Progress = lambda text: None,
) -> list[Exported]:
    """Write encoders, and the fusion of all views that the repository then has, as new versions of their models.

    What is there already with the same weights and labels is left alone, but for its model card and the settings of the
    server. Nothing is published unless every model passes its gate; a variant that does not is left out, and its
    earlier versions stay.

    Args:
        sources: one per view.
        repository: the folder; made if need be.
        options: how.
        on_progress: called with what happens next, in words.

    Returns:
        A row per model, in the order of publication.

    Raises:
        UsageError: a model of that name has another contract or had a version of that number, or another export writes
            here.
        GateError: an exported file does not compute what the encoder does.
        VariantRefusedError: variants do not pass their gates; raised when the others are published.
        MismatchError: a model that is there cannot be read.
    """
    with staging(repository) as folder:
        if not options.overwrite:
            _refuse_incompatible(sources, repository, [*options.formats, *options.variants])
        stage = Stage(repository, folder, options.overwrite, on_progress, options.version)
        exported: list[Exported] = []
        refused: list[str] = []
        for draft in drafts_of(sources, repository, options, staged=folder):
            try:
                exported.append(stage.prepare(draft))
            except GateError as error:
                if not draft.is_optional:
                    raise
                refused.append(str(error))
        remember(repository, {model.model: model.version for model in exported})
        for model in exported:
            staged, target = folder / model.model, repository / model.model
            if model.is_new:
                publish(staged, target, keep_versions=not options.overwrite)
            else:
                publish_texts(staged, target)
    if refused:
        raise VariantRefusedError(refused, exported)
    return exported


def _refuse_incompatible(sources: Sequence[ViewSource], repository: Path, formats: Sequence[ModelFormat]) -> None:
    for source in sources:
        for model_format in formats:
            name = ENCODER.name(source.contract.view, model_format)
            present = newest_contract(repository, ENCODER, source.contract.view, model_format)
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
