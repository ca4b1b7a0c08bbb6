"""The encoders of one or several views, asked as one."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from cocon.core.errors import MismatchError, UsageError
from cocon.embedding.contract import fused_fingerprint
from cocon.embedding.embedder import ENCODER, ModelEmbedder, Outputs
from cocon.embedding.fusion import EQUAL_WEIGHTS, fuse_embeddings, fuse_probabilities, softmax
from cocon.embedding.fusion_record import FusionRecord
from cocon.embedding.model_kind import ModelKind
from cocon.embedding.open_model import Contract, OpenModel
from cocon.embedding.videos.block_rows import BlockVectors, as_rows
from cocon.video.clips import ClipSpec
from cocon.video.reading.reader import ViewRequest
from cocon.video.views import view_named

__all__ = ["EncoderHost", "FusedModel", "JointAnswers", "open_fused", "weights_at"]

Pixels = NDArray[np.uint8]

_Contract = TypeVar("_Contract", bound=Contract)
_Model = TypeVar("_Model", bound=OpenModel[Any])


class JointAnswers(Protocol):
    """Something that asks the encoders of several views together; see `JointEncoders`."""

    @property
    def max_batch_size(self) -> int:
        """Most rows of one call."""
        ...

    def embed(self, clips: Mapping[str, NDArray[np.uint8]]) -> dict[str, Outputs]:
        """Embed the rows of all views."""
        ...


class EncoderHost(Protocol):
    """Something that has the encoders of views."""

    @property
    def url(self) -> str:
        """What it is known by."""
        ...

    @property
    def views(self) -> tuple[str, ...]:
        """Views that have an encoder here."""
        ...

    def open(self, kind: ModelKind[_Contract, _Model], view: str) -> _Model:
        """The newest model of a kind and view; see `TritonServer.open` and `LocalRepository.open`."""
        ...

    def fusion(self) -> FusionRecord | None:
        """How its views are to be fused; None where nothing is said of it."""
        ...

    def joint(self, models: Mapping[str, ModelEmbedder]) -> JointAnswers | None:
        """One model that answers for these encoders, view → encoder, by less than a request each; None without."""
        ...


@dataclass(frozen=True, slots=True)
class FusedModel:
    """Encoders of several views that see the same clips; with one view, that encoder alone.

    Attributes:
        models: View → its encoder, in alphabetical order.
        weights: View → how much it counts, positive; only their ratios matter.
        has_probabilities: Whether they are wanted, where the encoders have classifiers.
        joint: Asks all of them by one request, where that is cheaper.
    """

    models: Mapping[str, ModelEmbedder]
    weights: Mapping[str, float] = field(default_factory=lambda: EQUAL_WEIGHTS)
    has_probabilities: bool = True
    joint: JointAnswers | None = None

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
        """Size of the fused embedding of a clip."""
        return sum(model.contract.vector_dim for model in self.models.values())

    @property
    def view_dims(self) -> tuple[int, ...]:
        """How many numbers of `embedding_dim` are each view's, in alphabetical order."""
        return tuple(self.models[view].contract.vector_dim for view in sorted(self.models))

    @property
    def block_dim(self) -> int:
        """Size of the fused vector of a block; that of `embedding_dim` where every view takes the mean of blocks."""
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
            view: ViewRequest(contract.geometry, contract.flow, contract.made_by, people_by=contract.people_by)
            for view, contract in contracts.items()
        }

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names, in the order of the probabilities; empty unless all encoders have the same."""
        labels = {model.contract.labels for model in self.models.values()}
        return labels.pop() if len(labels) == 1 else ()

    @property
    def max_batch_size(self) -> int:
        """Most rows of one call."""
        sizes = [model.max_batch_size for model in self.models.values()]
        return min(sizes if self.joint is None else [*sizes, self.joint.max_batch_size])

    @property
    def shares_blocks(self) -> bool:
        """Whether a block is computed once for all clips that have it.

        Not so where a classifier, or the pooling, must see the blocks of a clip together: every row is a clip then.
        """
        models = self.models.values()
        if any(model.contract.encoder.pools_whole_clips for model in models):
            return False
        return not self.has_probabilities or all(
            model.has_block_logits or not model.contract.labels for model in models
        )

    def restricted(self, views: Collection[str]) -> "FusedModel":
        """The same without the other views."""
        models = {view: model for view, model in self.models.items() if view in views}
        return FusedModel(models, self.weights, self.has_probabilities)

    def embed(self, runs: Sequence[Mapping[str, Pixels]]) -> list[dict[str, BlockVectors]]:
        """Embed blocks, at most `max_batch_size` rows of N in all.

        Args:
            runs: Blocks, view → `uint8 [M_i, T, H, W, C]`; they need not have the same views. Each is the N blocks of
                one clip unless blocks are shared.

        Returns:
            For each run, view → what its encoder says of the blocks, of the views it has.
        """
        if self.joint is not None and all(run.keys() >= self.models.keys() for run in runs):
            return self._embed_jointly(self.joint, runs)
        found: list[dict[str, BlockVectors]] = [{} for _ in runs]
        for view, model in self.models.items():
            having = [position for position, run in enumerate(runs) if view in run]
            if not having:
                continue
            parts = self._vectors(model, [runs[position][view] for position in having])
            for position, vectors in zip(having, parts, strict=True):
                found[position][view] = vectors
        return found

    def fuse(self, clips: Mapping[str, Outputs]) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Fuse what exactly this model's views say of K clips.

        Returns:
            Embeddings `float32 [K, embedding_dim]`, and class probabilities `float32 [K, L]` where all encoders know
            the classes.
        """
        logits = {view: clips[view].logits for view in self.models}
        known = {view: softmax(found) for view, found in logits.items() if self.labels and found is not None}
        probabilities = fuse_probabilities(known, self.weights) if len(known) == len(self.models) else None
        return self._fused({view: clips[view].embedding for view in self.models}), probabilities

    def fuse_blocks(self, clips: Mapping[str, Outputs]) -> NDArray[np.float32]:
        """The same for the blocks: `float32 [K, N, block_dim]`."""
        return self._fused({view: clips[view].blocks for view in self.models})

    def _embed_jointly(
        self, joint: JointAnswers, runs: Sequence[Mapping[str, Pixels]]
    ) -> list[dict[str, BlockVectors]]:
        """The same by one request, of runs that have all views."""
        of_views = {view: [run[view] for run in runs] for view in self.models}
        outputs = joint.embed({view: self._rows(pixels) for view, pixels in of_views.items()})
        parts = {view: self._split(self.models[view], outputs[view], of) for view, of in of_views.items()}
        return [{view: vectors[position] for view, vectors in parts.items()} for position in range(len(runs))]

    def _vectors(self, model: ModelEmbedder, runs: Sequence[Pixels]) -> list[BlockVectors]:
        """What one encoder says of the blocks of each run."""
        return self._split(model, model.embed(self._rows(runs)), runs)

    def _rows(self, runs: Sequence[Pixels]) -> Pixels:
        num_blocks, lengths = self.clip.num_blocks, [len(run) for run in runs]
        if not self.shares_blocks and lengths != [num_blocks] * len(runs):
            raise ValueError(f"runs of {lengths} blocks are no clips of {num_blocks}")
        return as_rows(runs, num_blocks)

    def _split(self, model: ModelEmbedder, outputs: Outputs, runs: Sequence[Pixels]) -> list[BlockVectors]:
        """What an encoder says of the rows of some runs, run by run."""
        encoder = model.contract.encoder
        vectors = BlockVectors.of_rows(outputs, are_clips=not self.shares_blocks, encoder=encoder)
        return vectors.split([len(run) for run in runs])

    def _fused(self, embeddings: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        return fuse_embeddings(embeddings, self.weights) if len(embeddings) > 1 else next(iter(embeddings.values()))


def open_fused(host: EncoderHost, views: Sequence[str], *, has_probabilities: bool = True) -> FusedModel:
    """Open the encoders of some views.

    Args:
        host: Where they are.
        views: Names or aliases of views, or `all` for every view that has an encoder there.
        has_probabilities: As of `FusedModel`.

    Raises:
        UsageError: A view or its model does not exist.
        ServerError: The server does not answer.
        MismatchError: A contract is damaged, or the views do not see the same clips.
    """
    names = set(host.views) if "all" in views else {view_named(view).name for view in views}
    if not names:
        raise UsageError(f"'{host.url}' has no encoder of any view; export one with 'cocon export'")
    models = {view: host.open(ENCODER, view) for view in sorted(names)}
    joint = host.joint(models) if len(models) > 1 else None
    return FusedModel(models, weights_at(host, models), has_probabilities, joint)


def weights_at(host: EncoderHost, models: Mapping[str, ModelEmbedder]) -> Mapping[str, float]:
    """How much each of some models counts where they are: what `cocon export` wrote there, else all the same.

    Raises:
        ServerError: The server does not answer.
        MismatchError: What is written there is damaged, or of other encoders.
    """
    record = host.fusion() if len(models) > 1 else None
    return EQUAL_WEIGHTS if record is None else record.weights_for(_fingerprints(models))


def _fingerprints(models: Mapping[str, ModelEmbedder]) -> dict[str, str]:
    return {view: model.contract.fingerprint for view, model in models.items()}
