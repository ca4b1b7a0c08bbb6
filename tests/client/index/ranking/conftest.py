"""Indexes whose two classes show the same in another order."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from cocon.client import VideoIndex
from cocon.client.index.changes.contents import Contents
from cocon.client.index.files.writer import IndexWriter
from cocon.client.index.ranking.choice import RANKING_FACT
from cocon.client.index.ranking.keeping import keep_ranking
from cocon.client.pipeline.video_embedding import VideoEmbedding
from cocon.embedding.neighbours import unit_vectors

from ..conftest import DIM, FACTS, NUM_BLOCKS, embedding_of


def video_in_order(name: str) -> VideoEmbedding:
    """A video whose name begins with `u` shows one thing and then another, another one the second first."""
    video = embedding_of(name)
    shown = np.eye(DIM)[[0, 1] if name[0] == "u" else [1, 0]]
    blocks = unit_vectors((shown + 0.3 * video.blocks).astype(np.float32))
    return replace(video, blocks=blocks, embedding=unit_vectors(blocks.mean(axis=1)))


def put_videos(writer: IndexWriter, names: list[str], *, has_labels: bool = True) -> None:
    """Put videos into an index, labelled by the first letters of their names."""
    for name in names:
        video = video_in_order(name)
        Contents(writer).put(video.video, video, label=f"label {name[0]}" if has_labels else None, overlap=0.0)


def make_index(folder: Path, names: list[str], *, has_labels: bool = True, form: str = "") -> VideoIndex:
    """An index of videos in which it is chosen how much order counts; of another form if one is given."""
    with IndexWriter(folder, new=(FACTS, NUM_BLOCKS)) as writer:
        put_videos(writer, names, has_labels=has_labels)
        assert keep_ranking(writer) == has_labels
        if form:
            with writer.transaction():
                writer.put_fact(RANKING_FACT, writer.fact(RANKING_FACT) | {"form": form})
    return VideoIndex(folder)
