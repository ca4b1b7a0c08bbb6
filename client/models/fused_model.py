"""The encoders of one or several views, asked as one."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cocon.client.models.connect import ModelHost
from cocon.core.errors import MismatchError, UsageError
from cocon.embedding.contract import fused_fingerprint
from cocon.embedding.embedder import ENCODER, ModelEmbedder, Outputs
from cocon.embedding.fusion import EQUAL_WEIGHTS, fuse_embeddings, fuse_probabilities, softmax
from cocon.video.clips import ClipSpec
from cocon.video.reading.reader import MultiViewClip, ViewRequest
from cocon.video.views import view_named

__all__ = ["ClipVectors", "FusedModel", "open_fused", "weights_at"]


@dataclass(frozen=True, slots=True)
class ClipVectors:
    """What one view's encoder says about one clip.

    Attributes:
        embedding: `float32 [D]`.
        blocks: `float32 [N, D]`.
        logits: `float32 [L]`, or None without a classifier.
    """

    embedding: NDArray[np.float32]
    blocks: NDArray[np.float32]
    logits: NDArray[np.float32] | None


@dataclass(frozen=True, slots=True)
class FusedModel:
    """Encoders of several views that see the same clips; with one view, that encoder alone.

    Attributes:
        models: View → its encoder, in alphabetical order.
        weights: View → how much it counts, positive; only their ratios matter.
    """

    models: Mapping[str, ModelEmbedder]
    weights: Mapping[str, float] = field(default_factory=lambda: EQUAL_WEIGHTS)

    def __post_init__(self) -> None:
        clips = {view: model.contract.clip for view, model in self.models.items()}
        if len(set(clips.values())) != 1:
            raise MismatchError(f"views with different clips cannot be fused: {clips}; give one --view at a time")

    @property
    def view(self) -> str:
        """The views, joined by `+`."""
        return "+".join(self.models)

    @property
    def name(self) -> str:
        """The models' names, joined likewise."""
        return "+".join(model.name for model in self.models.values())

    @property
    def version(self) -> str:
        """The models' versions, joined likewise."""
        return "+".join(model.version for model in self.models.values())

    @property
    def fingerprint(self) -> str:
        """Identity of the fused embedding."""
        return fused_fingerprint(_fingerprints(self.models), dict(self.weights))

    @property
    def embedding_dim(self) -> int:
        """D of the fused embedding."""
        return sum(model.contract.embedding_dim for model in self.models.values())

    @property
    def clip(self) -> ClipSpec:
        """Temporal geometry of the clips."""
        return next(iter(self.models.values())).contract.clip

    @property
    def requests(self) -> dict[str, ViewRequest]:
        """What each encoder wants of its view."""
        contracts = {view: model.contract for view, model in self.models.items()}
        return {
            view: ViewRequest(contract.geometry, contract.flow, contract.made_by)
            for view, contract in contracts.items()
        }

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names, in the order of the probabilities; empty unless all encoders have the same."""
        labels = {model.contract.labels for model in self.models.values()}
        return labels.pop() if len(labels) == 1 else ()

    @property
    def max_batch_size(self) -> int:
        """Most clips of one call."""
        return min(model.max_batch_size for model in self.models.values())

    def restricted(self, views: Collection[str]) -> "FusedModel":
        """The same without the other views."""
        return FusedModel({view: model for view, model in self.models.items() if view in views}, self.weights)

    def embed(self, clips: Sequence[MultiViewClip]) -> list[dict[str, ClipVectors]]:
        """Embed at most `max_batch_size` clips, which need not have the same views.

        Returns:
            For each clip, view → vectors, of the views it has.
        """
        found: list[dict[str, ClipVectors]] = [{} for _ in clips]
        for view, model in self.models.items():
            having = [position for position, clip in enumerate(clips) if view in clip.pixels]
            if not having:
                continue
            pixels = np.stack([clips[position].pixels[view] for position in having])  # [B, N, T, H, W, C]
            for position, vectors in zip(having, _per_clip(model.embed(pixels)), strict=True):
                found[position][view] = vectors
        return found

    def fuse(
        self, clips: Sequence[Mapping[str, ClipVectors]]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Fuse the views of K clips, all of which have exactly this model's views.

        Returns:
            Embeddings `float32 [K, D]`, and class probabilities `float32 [K, L]` where all encoders know the classes.
        """
        probabilities = {}
        for view in self.models:
            logits = [vectors for clip in clips if (vectors := clip[view].logits) is not None]
            if self.labels and logits:
                probabilities[view] = softmax(np.stack(logits))
        known = fuse_probabilities(probabilities, self.weights) if len(probabilities) == len(self.models) else None
        return self._fused({view: np.stack([clip[view].embedding for clip in clips]) for view in self.models}), known

    def fuse_blocks(self, clips: Sequence[Mapping[str, ClipVectors]]) -> NDArray[np.float32]:
        """The same for the blocks: `float32 [K, N, D]`."""
        return self._fused({view: np.stack([clip[view].blocks for clip in clips]) for view in self.models})

    def _fused(self, embeddings: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        return fuse_embeddings(embeddings, self.weights) if len(embeddings) > 1 else next(iter(embeddings.values()))


def open_fused(host: ModelHost, views: Sequence[str]) -> FusedModel:
    """Open the encoders of some views.

    Args:
        host: Where they are.
        views: Names or aliases of views, or `all` for every view that has an encoder there.

    Raises:
        UsageError: A view or its model does not exist.
        ServerError: The server does not answer.
        MismatchError: A contract is damaged, or the views do not see the same clips.
    """
    names = set(host.views) if "all" in views else {view_named(view).name for view in views}
    if not names:
        raise UsageError(f"'{host.url}' has no encoder of any view; export one with 'cocon export'")
    models = {view: host.open(ENCODER, view) for view in sorted(names)}
    return FusedModel(models, weights_at(host, models))


def weights_at(host: ModelHost, models: Mapping[str, ModelEmbedder]) -> Mapping[str, float]:
    """How much each of some models counts where they are: what `cocon export` wrote there, else all the same.

    Raises:
        ServerError: The server does not answer.
        MismatchError: What is written there is damaged, or of other encoders.
    """
    record = host.fusion() if len(models) > 1 else None
    return EQUAL_WEIGHTS if record is None else record.weights_for(_fingerprints(models))


def _fingerprints(models: Mapping[str, ModelEmbedder]) -> dict[str, str]:
    return {view: model.contract.fingerprint for view, model in models.items()}


def _per_clip(outputs: Outputs) -> list[ClipVectors]:
    logits = outputs.logits
    return [
        ClipVectors(embedding, outputs.blocks[position], None if logits is None else logits[position])
        for position, embedding in enumerate(outputs.embedding)
    ]
