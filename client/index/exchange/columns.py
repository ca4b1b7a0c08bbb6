"""The columns of an exported index: a row per clip, those of a video after one another.

They are those of `client embed`, and what an index knows besides: `label`, `metadata` (a JSON object) and `overlap` of
the video, `also` (its other places, at its first clip), and `blocks` (float16, N·D numbers, zeros where they are not
known). The schema's metadata says what the vectors mean: `fingerprint`, `normalised`, and as JSON in `cocon_index` what
the index is made for.
"""

import json
from collections.abc import Mapping
from typing import Any

from cocon.client.index.records import IndexFacts

__all__ = ["INDEX_KEY", "NUMBERS", "OPTIONAL", "REQUIRED", "SETTINGS", "TEXTS", "clip_schema", "index_metadata"]

INDEX_KEY = b"cocon_index"

TEXTS = ("video", "content_sha256", "view", "model", "version", "fingerprint", "label", "metadata")
"""Columns of text, the same for all clips of a video."""

NUMBERS = ("num_frames", "truncated", "overlap")
"""Columns of numbers, likewise."""

SETTINGS = ("ranking", "vote")
"""Facts that say how an index is searched, and go with it; those that name rows or files are its own."""

REQUIRED = (
    "video", "content_sha256", "view", "clip", "start_seconds", "end_seconds", "num_frames", "truncated", "model",
    "version", "fingerprint", "embedding",
)  # fmt: skip
OPTIONAL = ("label", "metadata", "overlap", "also", "blocks")


def clip_schema(facts: IndexFacts, num_blocks: int, metadata: Mapping[bytes, bytes]) -> Any:  # noqa: ANN401  # untyped
    """The schema of an export.

    Args:
        facts: What the index is made for.
        num_blocks: N; 0 for a file without blocks.
        metadata: Of `index_metadata`.
    """
    import pyarrow as pa

    place = pa.struct([("video", pa.string()), ("label", pa.string()), ("metadata", pa.string())])
    kinds = {
        **dict.fromkeys(TEXTS, pa.string()),
        "clip": pa.int64(),
        "start_seconds": pa.float64(),
        "end_seconds": pa.float64(),
        "num_frames": pa.int64(),
        "truncated": pa.bool_(),
        "overlap": pa.float64(),
        "also": pa.list_(place),
        "embedding": pa.list_(pa.float32(), facts.embedding_dim),
    }
    names = [name for name in REQUIRED if name != "embedding"]
    names += [name for name in OPTIONAL if name != "blocks"]
    fields = [pa.field(name, kinds[name], nullable=name in ("label", "also")) for name in [*names, "embedding"]]
    if num_blocks:
        kind = pa.list_(pa.float16(), num_blocks * facts.block_dim)
        fields.append(pa.field("blocks", kind, nullable=False))
    return pa.schema(fields, metadata=metadata)


def index_metadata(
    facts: IndexFacts, num_blocks: int, made_by: Mapping[str, Any], settings: Mapping[str, Any]
) -> dict[bytes, bytes]:
    """What the schema says of the whole."""
    content = {**facts.to_dict(), "num_blocks": num_blocks, "made_by": dict(made_by), "settings": dict(settings)}
    return {
        b"normalised": b"l2",
        b"fingerprint": facts.fingerprint.encode(),
        INDEX_KEY: json.dumps(content, sort_keys=True).encode(),
    }
