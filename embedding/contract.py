"""What a model takes and gives: the contract that travels with its weights into the run, the repository and the index.

Shape letters used everywhere: B clips, N blocks per clip, T frames per block, H × W pixels, C channels, D embedding
dimension, K labels.

| tensor | type and shape | what |
|---|---|---|
| `clip` | uint8 [B, N, T, H, W, C] | input; scaling and normalisation happen inside the model |
| `blocks` | float32 [B, N, D] | unit-length feature of each block, D = cells² · channels of the trunk |
| `embedding` | float32 [B, P·D] | unit length, by `pooling`: the mean of `blocks`, or those of P parts in order |
| `logits` | float32 [B, K] | where a classifier was trained |
| `block_logits` | float32 [B, N, P·K] | where it is `mean`, which is affine: `clip_logits` makes `logits` of them |

Models that were exported before there were `block_logits` lack them: see `open_model.outputs_given`.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from cocon.core.errors import MismatchError, UsageError
from cocon.video.clips import ClipSpec
from cocon.video.estimation.flow import FlowSpec
from cocon.video.following.rule import Following
from cocon.video.geometry import Geometry
from cocon.video.views import View, view_named

__all__ = [
    "BLOCKS",
    "BLOCK_LOGITS",
    "CLIP",
    "EMBEDDING",
    "LEARNED_POOLING",
    "LOGITS",
    "POOLINGS",
    "PROBABILITIES",
    "EncoderSpec",
    "ModelContract",
    "Normalisation",
    "fused_fingerprint",
]

CLIP = "clip"
EMBEDDING = "embedding"
BLOCKS = "blocks"
LOGITS = "logits"
BLOCK_LOGITS = "block_logits"
PROBABILITIES = "probabilities"  # of all views together, from their logits

LEARNED_POOLING = "learned"
POOLINGS: Mapping[str, int] = MappingProxyType({"mean": 1, "thirds": 3, LEARNED_POOLING: 1})
"""How the blocks of a clip become its vector → P, parts of the clip that stand side by side in it."""

_SCHEMA = 1
_ADDED_TO_ENCODERS = ("pooling", "cells")  # contracts that were written before lack them, and mean their defaults


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """Enough to build the network again.

    Attributes:
        backbone: name of the trunk: `resnet2d3d`, or `resnet2d3d_relu`, whose features are rectified; `resnet2d` or, of
            bottlenecks, `resnet2d_bottleneck`, which see single frames; `resnet2d3d_inflated` and
            `resnet2d3d_inflated_bottleneck`, the same with stages that see time; `s3d`, or `s3d_kinetics`, the form of
            the public checkpoint; `r2plus1d`, or `r2plus1d_vicc`, the form of it that the encoders of ViCC have.
        blocks_per_stage: residual blocks in each of the four stages; empty for `s3d`, which has none.
        width: channels of the first stage; of the stem for `s3d`, where all others are in proportion.
        classifier: `none`, `mean` (BatchNorm + linear on the mean block feature), `gru` (the paper's, on the last
            ConvGRU state) or `gru_raw` (the same on features of any length, as the released code fine-tunes).
        pooling: how blocks become the clip's vector, one of `POOLINGS`: `mean` forgets their order, `thirds` keeps the
            unit means of the clip's first, middle and last third side by side, `learned` has weights of its own, which
            take the blocks in their order to as many numbers as one of them has.
        cells: a block's feature keeps cells × cells places of the picture apart; 1 is the mean of them all.
    """

    backbone: str
    blocks_per_stage: tuple[int, ...]
    width: int
    classifier: str = "none"
    pooling: str = "mean"
    cells: int = 1

    def __post_init__(self) -> None:
        if self.pooling not in POOLINGS:
            raise ValueError(f"pooling '{self.pooling}' is unknown; available: {', '.join(POOLINGS)}")
        if self.cells < 1:
            raise ValueError(f"cells ({self.cells}) must be at least 1")

    @property
    def pools_whole_clips(self) -> bool:
        """Whether only the model can make the vector of a clip, which must be a row of it then."""
        return self.pooling == LEARNED_POOLING

    @property
    def num_parts(self) -> int:
        """P: parts of a clip that stand side by side in its vector."""
        return POOLINGS[self.pooling]


@dataclass(frozen=True, slots=True)
class Normalisation:
    """What an encoder makes of a byte before its first layer: (byte / 255 - mean) / std, per channel.

    Attributes:
        mean: of a byte / 255.
        std: the divisor.
        plane: the number that one more channel, after those of the view, has everywhere; None where there is none.
            Imported encoders may have learned with such a channel, which tells them where the picture ends.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    plane: float | None = None


@dataclass(frozen=True, slots=True)
class ModelContract:
    """The contract of one view's encoder.

    Attributes:
        method: how the encoder was trained, such as `cocon`.
        view: name of the view it sees.
        clip: temporal geometry of its clips.
        geometry: spatial rule of its frames.
        encoder: architecture.
        embedding_dim: D, of a block's vector.
        weights_sha256: over the encoder's fp32 tensors, the classifier left out: an index stays valid when only a
            classifier is added.
        labels: class names in the order of `logits`; empty without a classifier.
        flow: what a flow view measures; None for the other views.
        normalisation: the encoder's own, where it is not that of the view table.
        made_by: who made the views it learned from, see `video.estimation.identity`; empty where that is not known, and
            for views without an estimator. No part of the fingerprint: it tells where the weights come from and changes
            nothing of what they compute, and artefacts written before there was the field stay what they are.
        people_by: likewise who found the people that its geometry follows; empty where it follows nobody.
    """

    method: str
    view: str
    clip: ClipSpec
    geometry: Geometry
    encoder: EncoderSpec
    embedding_dim: int
    weights_sha256: str
    labels: tuple[str, ...] = ()
    flow: FlowSpec | None = None
    normalisation: Normalisation | None = None
    made_by: tuple[str, ...] = ()
    people_by: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.flow is not None) != (self.view == "flow"):
            raise ValueError(f"contract of view '{self.view}' must have a flow section exactly if the view is flow")

    @property
    def view_spec(self) -> View:
        """The row of the view table, with the encoder's own normalisation if it has one."""
        row, own = view_named(self.view), self.normalisation
        return row if own is None else dataclasses.replace(row, mean=own.mean, std=own.std)

    @property
    def clip_shape(self) -> tuple[int, int, int, int, int]:
        """(N, T, H, W, C) of one clip."""
        side = self.geometry.crop_px
        return (self.clip.num_blocks, self.clip.frames_per_block, side, side, self.view_spec.channels)

    @property
    def vector_dim(self) -> int:
        """Size of a clip's `embedding`: P·D, which is D unless the pooling keeps parts apart."""
        return self.encoder.num_parts * self.embedding_dim

    @property
    def input_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of the input of one clip."""
        return {CLIP: self.clip_shape}

    @property
    def output_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every output of one clip, in the order the models give them."""
        shapes: dict[str, tuple[int, ...]] = {
            EMBEDDING: (self.vector_dim,),
            BLOCKS: (self.clip.num_blocks, self.embedding_dim),
        }
        if self.labels:
            shapes[LOGITS] = (len(self.labels),)
        if self.labels and self.encoder.classifier == "mean":
            shapes[BLOCK_LOGITS] = (self.clip.num_blocks, self.encoder.num_parts * len(self.labels))
        return shapes

    @property
    def fingerprint(self) -> str:
        """sha256 over everything of the encoder that decides an embedding's value; labels and classifier do not."""
        content = self.to_dict()
        content.pop("made_by", None)
        content.pop("people_by", None)
        del content["labels"], content["tensors"], content["encoder"]["classifier"]
        if self.flow is not None and self.flow.size_px == FlowSpec().size_px:
            del content["flow"]["size_px"]  # contracts written before there was a choice stay what they are
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def is_compatible(self, other: "ModelContract") -> bool:
        """Whether both are of the same model but for weights, labels, method, normalisation, and who made views."""
        mine, theirs = (
            dataclasses.replace(
                contract,
                weights_sha256="",
                labels=(),
                method="",
                normalisation=None,
                made_by=(),
                people_by=(),
                encoder=dataclasses.replace(contract.encoder, classifier="none"),
            )
            for contract in (self, other)
        )
        return mine == theirs

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, with the normalisation and the tensor shapes written out for other readers."""
        content = json.loads(json.dumps(dataclasses.asdict(self)))
        content["schema"] = _SCHEMA
        for name in ("made_by", "people_by"):
            if not content[name]:
                del content[name]  # as in contracts of before
        if self.geometry.following is None:
            del content["geometry"]["following"]  # likewise
        for field in dataclasses.fields(EncoderSpec):
            if field.name in _ADDED_TO_ENCODERS and getattr(self.encoder, field.name) == field.default:
                del content["encoder"][field.name]  # likewise
        content["normalisation"] = {"mean": list(self.view_spec.mean), "std": list(self.view_spec.std)}
        if self.normalisation is not None and self.normalisation.plane is not None:
            content["normalisation"]["plane"] = self.normalisation.plane
        # Those that models of before have as well, so that contracts of before are written as they are.
        shapes = {name: shape for name, shape in self.output_shapes.items() if name != BLOCK_LOGITS}
        outputs = {name: ["float32", ["B", *shape]] for name, shape in shapes.items()}
        content["tensors"] = {CLIP: ["uint8", ["B", *self.clip_shape]]} | outputs
        return dict(content)

    def to_json(self) -> str:
        """`to_dict` plus the fingerprint, as indented JSON."""
        return json.dumps(self.to_dict() | {"fingerprint": self.fingerprint}, indent=2, sort_keys=True)

    @classmethod
    def from_json(cls, text: str, *, source: str = "contract") -> "ModelContract":
        """Read a contract back and check that it is whole.

        Args:
            text: what `to_json` wrote.
            source: named in the error message.

        Raises:
            MismatchError: the text is no contract of this schema, or its fingerprint does not match its content.
        """
        try:
            content = json.loads(text)
            contract = cls(
                method=content["method"],
                view=content["view"],
                clip=ClipSpec(**content["clip"]),
                geometry=_geometry(content["geometry"]),
                encoder=_encoder_spec(content["encoder"]),
                embedding_dim=content["embedding_dim"],
                weights_sha256=content["weights_sha256"],
                labels=tuple(content["labels"]),
                flow=FlowSpec(**content["flow"]) if content["flow"] else None,
                normalisation=_own_normalisation(content["normalisation"], view_named(content["view"])),
                made_by=_names(content.get("made_by", [])),
                people_by=_names(content.get("people_by", [])),
            )
            fingerprint = contract.fingerprint
        except (KeyError, TypeError, ValueError, UsageError) as error:
            raise MismatchError(f"{source} is no contract of schema {_SCHEMA}: {error!r}; export again") from error
        if fingerprint != content.get("fingerprint"):
            raise MismatchError(f"{source} was changed after it was written (fingerprint differs); export again")
        return contract


def fused_fingerprint(fingerprints: dict[str, str], weights: dict[str, float]) -> str:
    """Identity of a fused embedding: the views' fingerprints and their relative weights.

    One view alone keeps its own fingerprint, so an index of `rgb` does not care how rgb was selected.
    """
    if len(fingerprints) == 1:
        return next(iter(fingerprints.values()))
    total = sum(weights[view] for view in fingerprints)
    parts = [[view, fingerprints[view], round(weights[view] / total, 9)] for view in sorted(fingerprints)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _own_normalisation(content: dict[str, Any], row: View) -> Normalisation | None:
    """None where it is that of the view table."""
    own = Normalisation(tuple(content["mean"]), tuple(content["std"]), content.get("plane"))
    return None if own == Normalisation(row.mean, row.std) else own


def _geometry(content: dict[str, Any]) -> Geometry:
    following = content.get("following")
    return Geometry(**content | {"following": None if following is None else Following(**following)})


def _names(content: object) -> tuple[str, ...]:
    if not isinstance(content, list) or not all(isinstance(name, str) for name in content):
        raise ValueError(f"{content!r} is no list of names")
    return tuple(content)


def _encoder_spec(content: dict[str, Any]) -> EncoderSpec:
    return EncoderSpec(**content | {"blocks_per_stage": tuple(content["blocks_per_stage"])})
