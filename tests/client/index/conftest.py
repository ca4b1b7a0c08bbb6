"""Indexes of made-up vectors: what is stored and found needs no encoder."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.client.index.answers.stored_videos import StoredVideo, VideoLookup
from cocon.client.index.changes.contents import Contents
from cocon.client.index.files.snapshot import Snapshot
from cocon.client.index.files.writer import IndexWriter
from cocon.client.index.records import IndexFacts
from cocon.client.pipeline.video_embedding import VideoEmbedding

DIM, NUM_BLOCKS = 8, 2
FACTS = IndexFacts(("rgb",), "f" * 64, DIM, "cocon_rgb")

Embedding = Callable[..., VideoEmbedding]


def embedding_of(name: str, num_clips: int = 3, version: int = 0) -> VideoEmbedding:
    """The embedding of a video that is not there; the name and the version decide about its content."""
    digest = hashlib.sha256(f"{name} {version}".encode()).hexdigest()
    rng = np.random.default_rng(int(digest[:8], 16))
    blocks = rng.normal(size=(num_clips, NUM_BLOCKS, DIM)).astype(np.float32)
    blocks /= np.linalg.norm(blocks, axis=2, keepdims=True)
    vectors = blocks.mean(axis=1)
    starts = np.arange(num_clips, dtype=np.float64)
    return VideoEmbedding(
        video=f"/videos/{name}",
        content_sha256=digest,
        view="rgb",
        start_seconds=starts,
        end_seconds=starts + 1.0,
        embedding=(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32),
        blocks=blocks,
        probabilities=None,
        num_frames=10 * num_clips,
        truncated=False,
        model="cocon_rgb",
        version="1",
        fingerprint=FACTS.fingerprint,
    )


def put_videos(folder: Path, names: list[str], *, label: str | None = None) -> None:
    """Store made-up videos, each in a commit of its own."""
    folder.mkdir(exist_ok=True)
    with IndexWriter(folder, new=(FACTS, NUM_BLOCKS)) as writer:
        for name in names:
            video = embedding_of(name)
            Contents(writer).put(video.video, video, label=label, overlap=0.0)


def clips_of(snapshot: Snapshot, rows: NDArray[np.int64]) -> list[tuple[StoredVideo, int]]:
    """Of which video live rows are, and which clip of it."""
    positions = snapshot.rows.videos_of(rows)
    videos, clips = VideoLookup(snapshot).at(positions.tolist()), rows - snapshot.rows.first_rows[positions]
    return list(zip(videos, clips.tolist(), strict=True))


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """An index of five videos of three clips."""
    folder = tmp_path / "index"
    put_videos(folder, ["a", "b", "c", "d", "e"])
    return folder
