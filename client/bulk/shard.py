"""A shard: what became of some videos, whole in one Parquet file.

Its rows are those of `client embed --output rows.parquet` with `blocks` (float16) beside them, so that `client index
import` and any reader of Parquet take it. The schema's metadata holds what rows do not tell, as JSON under
`cocon_shard`: which files were read, when their clips begin and end to the last bit, and which failed and why.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.catalogue.file_stamp import FileStamp
from cocon.client.index.exchange.arrow_columns import list_column
from cocon.client.index.exchange.columns import INDEX_KEY
from cocon.client.output.archives import ParquetSink
from cocon.client.pipeline.video_embedding import FailedVideo, VideoEmbedding
from cocon.core.printable import escaped, unescaped
from cocon.embedding.videos.fused_model import FusedModel

__all__ = ["RowSizes", "Shard", "ShardHead", "ShardInput", "read_head", "read_shard", "shard_bytes", "shard_name"]

_HEAD, _HEAD_SHA256 = "cocon_shard", "cocon_shard_sha256"
_TEXTS = ("content_sha256", "view", "model", "version", "fingerprint")


@dataclass(frozen=True, slots=True)
class RowSizes:
    """How many numbers a clip has.

    Attributes:
        embedding_dim: Of its vector.
        block_dim: Of the vector of each of its blocks.
        num_blocks: N.
        view_dims: Of its vector, those of each view.
    """

    embedding_dim: int
    block_dim: int
    num_blocks: int
    view_dims: tuple[int, ...] = ()

    @classmethod
    def of(cls, model: FusedModel) -> Self:
        """Those of the clips that a model embeds."""
        return cls(model.embedding_dim, model.block_dim, model.clip.num_blocks, model.view_dims)


@dataclass(frozen=True, slots=True)
class ShardInput:
    """A video that is to be embedded.

    Attributes:
        video: Path, as it was given.
        stamp: Of the file, if its content is this as long as it has that; None for no file, or one just changed.
    """

    video: str
    stamp: FileStamp | None

    @property
    def as_json(self) -> dict[str, Any]:
        """Plain JSON, with the path in its written form."""
        return {"video": escaped(self.video), "stamp": None if self.stamp is None else asdict(self.stamp)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "ShardInput":
        """The same back."""
        stamp = content["stamp"]
        return cls(unescaped(content["video"]), None if stamp is None else FileStamp(**stamp))


@dataclass(frozen=True, slots=True)
class ShardHead:
    """What a shard says of itself.

    Attributes:
        key: Identity of the settings and the model that it was made with.
        fingerprint: Of the model.
        inputs: The videos, in order.
        is_lasting: Of each, whether the same file would end the same way.
    """

    key: str
    fingerprint: str
    inputs: tuple[ShardInput, ...]
    is_lasting: tuple[bool, ...]

    @property
    def name(self) -> str:
        """Of its file: a hash of what it was made of and with."""
        return shard_name(self.key, self.inputs)


@dataclass(frozen=True, slots=True)
class Shard:
    """What became of some videos.

    Attributes:
        head: Which, and made with what.
        results: One per input, in order; blocks as float16 keeps them.
        warnings: What was told meanwhile.
    """

    head: ShardHead
    results: tuple[VideoEmbedding | FailedVideo, ...]
    warnings: tuple[str, ...]

    def without(self, positions: Sequence[int]) -> "Shard":
        """The same with some of its videos left out."""
        kept = [position for position in range(len(self.results)) if position not in {*positions}]
        inputs = tuple(self.head.inputs[position] for position in kept)
        is_lasting = tuple(self.head.is_lasting[position] for position in kept)
        head = replace(self.head, inputs=inputs, is_lasting=is_lasting)
        return Shard(head, tuple(self.results[position] for position in kept), self.warnings)


def shard_name(key: str, inputs: Sequence[ShardInput]) -> str:
    """Name of the file of a shard: the same videos with the same settings have the same."""
    content = json.dumps([key, [each.as_json for each in inputs]])
    return f"shard-{hashlib.sha256(content.encode()).hexdigest()[:32]}.parquet"


def shard_bytes(shard: Shard, sizes: RowSizes) -> bytes:
    """A shard as a Parquet file, which says how long blocks and views are where that cannot be seen of its vectors."""
    videos = [_told(*each) for each in zip(shard.head.inputs, shard.head.is_lasting, shard.results, strict=True)]
    own: dict[str, Any] = {} if sizes.block_dim == sizes.embedding_dim else {"block_dim": sizes.block_dim}
    own |= {"view_dims": sizes.view_dims} if len(set(sizes.view_dims)) > 1 else {}
    head = json.dumps({"key": shard.head.key, "videos": videos, "warnings": shard.warnings, **own})
    notes = {_HEAD: head, _HEAD_SHA256: hashlib.sha256(head.encode()).hexdigest()}
    notes |= {INDEX_KEY.decode(): json.dumps(own)} if own else {}
    stream = BytesIO()
    sink = ParquetSink(
        stream,
        sizes.embedding_dim,
        shard.head.fingerprint,
        num_blocks=sizes.num_blocks,
        block_dim=sizes.block_dim,
        notes=notes,
    )
    for result in shard.results:
        if isinstance(result, VideoEmbedding):
            sink.write([row | {"blocks": result.blocks[clip].ravel()} for clip, row in enumerate(result.rows())])
    sink.finish()
    return stream.getvalue()


def read_head(path: Path) -> ShardHead:
    """What a shard says of itself; its rows are not read.

    Raises:
        ValueError: It is damaged, or no shard, or not the one that its name says.
        OSError: It cannot be read.
    """
    try:
        return _head_of(path, *_notes(_opened(path), path))
    except (LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"'{path}' is damaged: {error}") from error


def read_shard(path: Path) -> Shard:
    """All of a shard, proven by its checksums; raises like `read_head`."""
    from pyarrow import ArrowException

    file = _opened(path)
    told, fingerprint = _notes(file, path)
    head = _head_of(path, told, fingerprint)
    try:
        table = file.read(use_threads=False)
        vectors, blocks = list_column(table, "embedding"), list_column(table, "blocks")
        if blocks is not None and vectors is not None:
            blocks = blocks.reshape(len(blocks), -1, int(told.get("block_dim", vectors.shape[1])))
        results = tuple(_results(told["videos"], table, vectors, blocks))
    except (ArrowException, KeyError, TypeError, LookupError) as error:
        raise ValueError(f"'{path}' is damaged: {error}") from error
    return Shard(head, results, tuple(map(str, told["warnings"])))


def _told(given: ShardInput, is_lasting: bool, result: VideoEmbedding | FailedVideo) -> dict[str, Any]:
    told = {**given.as_json, "is_lasting": is_lasting}
    if isinstance(result, FailedVideo):
        return {**told, "error": result.row()["error"]}
    spans = np.stack([result.start_seconds, result.end_seconds], axis=1).tolist()
    return {**told, "spans": spans, "made_by": dict(result.made_by), "empty_views": list(result.empty_views)}


def _opened(path: Path) -> Any:  # noqa: ANN401  # pyarrow is untyped
    from pyarrow import ArrowException, parquet

    try:
        return parquet.ParquetFile(path, page_checksum_verification=True)
    except ArrowException as error:
        raise ValueError(f"'{path}' is damaged: {error}") from error


def _notes(file: Any, path: Path) -> tuple[dict[str, Any], str]:  # noqa: ANN401  # pyarrow is untyped
    """What is not in the rows, and the fingerprint."""
    said = {key.decode(): value for key, value in (file.schema_arrow.metadata or {}).items()}
    if hashlib.sha256(said.get(_HEAD, b"")).hexdigest() != said.get(_HEAD_SHA256, b"").decode(errors="replace"):
        raise ValueError(f"'{path}' is damaged, or no shard")
    return json.loads(said[_HEAD]), said["fingerprint"].decode()


def _head_of(path: Path, told: Mapping[str, Any], fingerprint: str) -> ShardHead:
    inputs = tuple(map(ShardInput.from_json, told["videos"]))
    head = ShardHead(told["key"], fingerprint, inputs, tuple(video["is_lasting"] for video in told["videos"]))
    if head.name != path.name:
        raise ValueError(f"'{path}' is not the shard that its name says")
    return head


def _results(
    videos: Sequence[Mapping[str, Any]],
    table: Any,  # noqa: ANN401  # pyarrow is untyped
    vectors: NDArray[np.float32] | None,
    blocks: NDArray[np.float16] | None,
) -> Iterator[VideoEmbedding | FailedVideo]:
    begin = 0
    for told in videos:
        video = unescaped(told["video"])
        if "error" in told:
            yield FailedVideo.told(video, told["error"]["class"], told["error"]["message"])
            continue
        rows = slice(begin, begin := begin + len(told["spans"]))
        assert vectors is not None and blocks is not None
        (first,) = table.slice(rows.start, 1).select([*_TEXTS, "num_frames", "truncated"]).to_pylist()
        spans = np.array(told["spans"])
        held = blocks[rows].astype(np.float32)  # [K, N, block_dim]
        yield VideoEmbedding(
            video, start_seconds=spans[:, 0], end_seconds=spans[:, 1], embedding=vectors[rows], blocks=held,
            probabilities=None, made_by=told["made_by"], empty_views=tuple(told.get("empty_views", ())), **first,
        )  # fmt: skip
    if begin != table.num_rows:
        raise LookupError(f"{table.num_rows} rows where {begin} belong")
