"""What an evaluation says that a search finds is what an index of the same clips finds, order and all."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.client import VideoIndex
from cocon.client.index.changes.contents import Contents
from cocon.client.index.files.writer import IndexWriter
from cocon.client.index.query.queries import Query
from cocon.client.index.query.search_options import SearchOptions
from cocon.client.index.ranking.keeping import keep_ranking
from cocon.client.index.records import IndexFacts
from cocon.client.pipeline.video_embedding import VideoEmbedding
from cocon.embedding.neighbours import unit_vectors
from cocon.training.evaluation.recognition.features import IndexedClips, VideoFeatures
from cocon.training.evaluation.recognition.search import search_hits

NUM_BLOCKS, DIM, NUM_CLIPS = 4, 12, 2
FACTS = IndexFacts(("rgb",), "f" * 64, DIM, "cocon_rgb")


def _blocks(kinds: list[int], *, is_by_order: bool, seed: int) -> NDArray[np.float32]:
    """Blocks of two clips of each video, `float32 [V, 2, N, D]`; classes differ in the order of phases, or phases."""
    rng = np.random.default_rng(seed)
    orders = [np.random.default_rng(kind).permutation(NUM_BLOCKS) for kind in range(max(kinds) + 1)]
    shown = [orders[kind] if is_by_order else rng.permutation([4 + kind, 0, 1, 2]) for kind in kinds]
    phases = np.eye(DIM)[np.array(shown)][:, None]  # [V, 1, N, D]
    return unit_vectors((phases + 0.25 * rng.normal(size=(len(kinds), NUM_CLIPS, NUM_BLOCKS, DIM))).astype(np.float32))


def _features(blocks: NDArray[np.float32], kinds: list[int]) -> VideoFeatures:
    clips = blocks.reshape(-1, NUM_BLOCKS, DIM)
    vectors = unit_vectors(clips.mean(axis=1))
    counts = np.full(len(kinds), NUM_CLIPS)
    indexed = IndexedClips({"rgb": vectors}, {"rgb": clips.astype(np.float16)}, counts)
    labels = np.array([f"class {kind}" for kind in kinds])
    return VideoFeatures({}, labels, labels, indexed=indexed)


def _embedding(name: str, blocks: NDArray[np.float32]) -> VideoEmbedding:
    starts = np.arange(NUM_CLIPS, dtype=np.float64)
    return VideoEmbedding(
        video=f"/videos/{name}",
        content_sha256=hashlib.sha256(name.encode()).hexdigest(),
        view="rgb",
        start_seconds=starts,
        end_seconds=starts + 1.0,
        embedding=unit_vectors(blocks.mean(axis=1)),
        blocks=blocks,
        probabilities=None,
        num_frames=10,
        truncated=False,
        model="cocon_rgb",
        version="1",
        fingerprint=FACTS.fingerprint,
    )


@pytest.mark.parametrize("is_by_order", [True, False])
def test_an_evaluation_finds_what_an_index_finds(is_by_order: bool, tmp_path: Path) -> None:
    kinds = [number % 5 for number in range(60)]
    stored, asking = (_blocks(kinds, is_by_order=is_by_order, seed=seed) for seed in (0, 1))
    train, test = _features(stored, kinds), _features(asking, kinds)
    with IndexWriter(tmp_path / "index", new=(FACTS, NUM_BLOCKS)) as writer:
        for number, label in enumerate(train.labels.tolist()):
            video = _embedding(f"train {number:02d}", stored[number])
            Contents(writer).put(video.video, video, label=label, overlap=0.0)
        keep_ranking(writer)
    index = VideoIndex(tmp_path / "index")
    queries = [Query.of(_embedding(f"test {number}", blocks)) for number, blocks in enumerate(asking)]
    found = np.array([hits[0].label for hits in index.search_many(queries, SearchOptions(top=1))])
    hits = search_hits(train, test, {"rgb": 1.0})
    assert hits is not None
    assert hits.tolist() == (found == test.labels).tolist()
    plain = np.array([hits[0].label for hits in index.search_many(queries, SearchOptions(top=1, rank="cosine"))])
    assert ((found == test.labels).mean() > (plain == test.labels).mean()) == is_by_order


def test_views_are_searched_together_with_their_weights() -> None:
    """One view shows the class and the other nothing: what counts decides."""
    kinds = [number % 3 for number in range(30)]
    told, nothing = (_features(_blocks(kinds, is_by_order=False, seed=seed), kinds) for seed in (0, 1))
    mixed_up = _features(_blocks(kinds[::-1], is_by_order=False, seed=2), kinds)

    def both(first: VideoFeatures, second: VideoFeatures) -> VideoFeatures:
        one, other = first.indexed, second.indexed
        assert one is not None and other is not None
        vectors = {"rgb": one.vectors["rgb"], "flow": other.vectors["rgb"]}
        blocks = {"rgb": one.blocks["rgb"], "flow": other.blocks["rgb"]}
        return replace(first, indexed=IndexedClips(vectors, blocks, one.num_clips))

    train, test = both(told, told), both(nothing, mixed_up)
    of_rgb = search_hits(train, test, {"rgb": 1.0})
    mostly_rgb = search_hits(train, test, {"rgb": 0.99, "flow": 0.01})
    mostly_flow = search_hits(train, test, {"rgb": 0.01, "flow": 0.99})
    assert of_rgb is not None and mostly_rgb is not None and mostly_flow is not None
    assert of_rgb.mean() > 0.6
    assert abs(mostly_rgb.mean() - of_rgb.mean()) < 0.1
    assert mostly_flow.mean() < of_rgb.mean() - 0.2


def test_without_clips_nothing_is_said() -> None:
    labels = np.array(["a", "b"])
    videos = VideoFeatures({"rgb": np.eye(2, dtype=np.float32)}, labels, labels)
    assert search_hits(videos, videos, {"rgb": 1.0}) is None
