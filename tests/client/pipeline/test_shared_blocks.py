"""Blocks that go through the models once give what whole clips give, whoever they share a row with."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from cocon.client import FailedVideo, VideoEmbedder, VideoEmbedding
from cocon.core.errors import MismatchError
from cocon.embedding.contract import ModelContract
from cocon.embedding.embedder import ModelEmbedder, Outputs
from cocon.embedding.fusion import fuse_embeddings, fuse_probabilities, softmax
from cocon.embedding.videos.batches import Gathering
from cocon.embedding.videos.block_rows import BlockVectors, as_rows
from cocon.video.blocks import distinct_blocks, overlap_hop
from cocon.video.clips import ClipSpec, dense_windows
from cocon.video.reading.reader import MultiViewClip, VideoSource
from tests.client.conftest import contract, copy_with_unfit_view, make_repository, write_video

pytestmark = pytest.mark.videos

OVERLAPS = (0.0, 0.1, 0.3, 0.5, 0.75, 0.9)
MakeUrl = Callable[..., str]


def of_clip(spec: ClipSpec, view: str = "rgb", *, classifier: str = "mean") -> ModelContract:
    model = contract(view, weights=view.encode().hex())
    return replace(model, clip=spec, encoder=replace(model.encoder, classifier=classifier))


@pytest.fixture
def make_url(tmp_path: Path) -> MakeUrl:
    def make(*models: ModelContract) -> str:
        return f"local:{make_repository(tmp_path / 'models', *models)}"

    return make


@pytest.fixture(scope="module")
def lengths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Videos at ten frames a second, of which each grid frame is one: shorter than a clip, as long, and longer."""
    root = tmp_path_factory.mktemp("lengths")
    return [
        write_video(root / f"v{number}.mp4", seed=number, num_frames=frames)
        for number, frames in enumerate((5, 37, 1, 12, 26, 13))
    ]


def by_whole_clips(embedder: VideoEmbedder, video: Path) -> dict[str, NDArray[np.floating]]:
    """The way that takes nothing twice for the same: every clip through the model alone, in a row of its own."""
    model = embedder.model
    hop = embedder.hop_frames or overlap_hop(model.clip, embedder.overlap)
    clips = list(VideoSource(video, model.clip, model.requests, hop).clips())
    views = list(clips[0].pixels)
    rows = {view: [model.models[view].embed(clip.pixels[view][None]) for clip in clips] for view in views}
    vectors = {view: np.concatenate([row.embedding for row in rows[view]]) for view in views}
    blocks = {view: np.concatenate([row.blocks for row in rows[view]]) for view in views}
    found = {
        "embedding": fuse_embeddings(vectors) if len(views) > 1 else vectors[views[0]],
        "blocks": fuse_embeddings(blocks) if len(views) > 1 else blocks[views[0]],
        "start_seconds": np.array([clip.start_seconds for clip in clips]),
        "end_seconds": np.array([clip.end_seconds for clip in clips]),
    }
    logits = {view: [row.logits for row in rows[view] if row.logits is not None] for view in views}
    if all(logits.values()):
        chances = {view: softmax(np.concatenate(parts)) for view, parts in logits.items()}
        found["probabilities"] = fuse_probabilities(chances) if len(views) > 1 else chances[views[0]]
    return found


def assert_as_by_whole_clips(embedder: VideoEmbedder, embedding: VideoEmbedding) -> None:
    for name, expected in by_whole_clips(embedder, Path(embedding.video)).items():
        found = getattr(embedding, name)
        assert found is not None and found.shape == expected.shape
        np.testing.assert_allclose(found, expected, atol=2e-6, err_msg=name)


@pytest.fixture
def num_rows(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Rows of every call of a model."""
    counted: list[int] = []
    embed = ModelEmbedder.embed

    def counting(self: ModelEmbedder, clips: NDArray[np.uint8]) -> Outputs:
        counted.append(len(clips))
        return embed(self, clips)

    monkeypatch.setattr(ModelEmbedder, "embed", counting)
    yield counted


@pytest.mark.parametrize(
    "spec",
    [
        ClipSpec(4, 3),
        ClipSpec(4, 3, short_video="loop", tail="pad"),
        ClipSpec(3, 2, short_video="shrink", tail="drop"),
        ClipSpec(8, 1),
        ClipSpec(1, 5),
        ClipSpec(2, 3, step_seconds=None, step_frames=2),
    ],
    ids=str,
)
def test_vectors_are_those_of_whole_clips_at_any_overlap(
    spec: ClipSpec, make_url: MakeUrl, lengths: list[Path]
) -> None:
    with VideoEmbedder(make_url(of_clip(spec))) as embedder:
        for embedder.overlap in OVERLAPS:
            for embedding in embedder.embed_many(lengths):
                assert isinstance(embedding, VideoEmbedding)
                assert_as_by_whole_clips(embedder, embedding)


def test_every_block_of_a_video_goes_through_the_model_once(
    make_url: MakeUrl, lengths: list[Path], num_rows: list[int]
) -> None:
    spec = ClipSpec(4, 3)
    with VideoEmbedder(make_url(of_clip(spec))) as embedder:
        for embedder.overlap in OVERLAPS:
            for video, num_grid in zip(lengths, (5, 37, 1, 12, 26, 13), strict=True):
                num_rows.clear()
                embedder.embed(video)
                windows = dense_windows(num_grid, spec, hop=overlap_hop(spec, embedder.overlap))
                assert sum(num_rows) == -(-len(distinct_blocks(windows, 3)[0]) // 4)


def test_a_row_is_shared_by_videos_and_none_gets_what_is_anothers(
    make_url: MakeUrl, lengths: list[Path], tmp_path: Path, num_rows: list[int]
) -> None:
    """Two views, one of them missing in one video, a broken video in the midst, and rows that none of them fills."""
    broken = tmp_path / "broken.mp4"
    content = lengths[1].read_bytes()
    broken.write_bytes(content[: len(content) // 3])
    half = copy_with_unfit_view(lengths[4], tmp_path, "flow")
    views = ("flow", "rgb")
    with VideoEmbedder(make_url(*(of_clip(ClipSpec(4, 3), view) for view in views)), views=views) as embedder:
        embedder.hop_frames = 6
        paths = [lengths[1], lengths[0], broken, half, lengths[5], tmp_path / "gone.mp4", lengths[2], lengths[3]]
        together = list(embedder.embed_many(paths))
        num_together = sum(num_rows)
        num_rows.clear()
        for path, found in zip(paths, together, strict=True):
            if isinstance(found, FailedVideo):
                assert path in (broken, paths[5])
                continue
            alone = embedder.embed(path)
            assert alone.view == found.view == ("rgb" if path == half else "flow+rgb")
            for name in ("embedding", "blocks", "probabilities", "start_seconds", "end_seconds"):
                np.testing.assert_allclose(getattr(found, name), getattr(alone, name), atol=1e-6, err_msg=name)
        assert num_together < sum(num_rows)
        for found in together:
            if isinstance(found, VideoEmbedding):
                assert_as_by_whole_clips(embedder, found)


def test_a_classifier_with_a_memory_sees_whole_clips_where_classes_are_wanted(
    make_url: MakeUrl, lengths: list[Path], num_rows: list[int]
) -> None:
    url = make_url(of_clip(ClipSpec(4, 3), classifier="gru"))
    with VideoEmbedder(url, overlap=0.5) as embedder:
        with_classes = list(embedder.embed_many(lengths))
        num_with = sum(num_rows)
        for embedding in with_classes:
            assert isinstance(embedding, VideoEmbedding) and embedding.probabilities is not None
            assert_as_by_whole_clips(embedder, embedding)
    num_rows.clear()
    with VideoEmbedder(url, overlap=0.5, has_probabilities=False) as embedder:
        for embedding, other in zip(embedder.embed_many(lengths), with_classes, strict=True):
            assert isinstance(embedding, VideoEmbedding) and isinstance(other, VideoEmbedding)
            assert embedding.probabilities is None
            np.testing.assert_allclose(embedding.embedding, other.embedding, atol=1e-6)
    assert sum(num_rows) < num_with


def test_a_model_of_before_there_were_block_logits_knows_the_classes(make_url: MakeUrl, lengths: list[Path]) -> None:
    url = make_url(of_clip(ClipSpec(4, 3)))
    path = Path(url.removeprefix("local:")) / "cocon_rgb" / "1" / "model.onnx"
    model = onnx.load(path)
    assert model.graph.output.pop().name == "block_logits"
    onnx.save(model, path)
    with VideoEmbedder(url, overlap=0.5) as embedder:
        for embedding in embedder.embed_many(lengths):
            assert isinstance(embedding, VideoEmbedding)
            assert_as_by_whole_clips(embedder, embedding)


def test_a_clip_whose_blocks_cancel_each_other_out_is_refused() -> None:
    vectors = np.array([[1, 0], [-1, 0], [0, 1]], np.float32)
    sound = BlockVectors(vectors, None).clips(np.array([[0, 2], [2, 2]]))
    np.testing.assert_allclose(sound.embedding, [[0.5**0.5, 0.5**0.5], [0, 1]], atol=1e-6)
    with pytest.raises(MismatchError, match="length"):
        BlockVectors(vectors, None).clips(np.array([[0, 1]]))


def test_rows_are_filled_up_and_the_filler_is_dropped() -> None:
    runs = [np.full((size, 1, 2, 2, 3), number, np.uint8) for number, size in enumerate((3, 1, 4))]
    rows = as_rows(runs, 3)
    assert rows.shape == (3, 3, 1, 2, 2, 3)
    assert rows[..., 0, 0, 0].ravel().tolist() == [0, 0, 0, 1, 2, 2, 2, 2, 2]
    parts = BlockVectors(np.arange(18, dtype=np.float32).reshape(9, 2), None).split([3, 1, 4])
    assert [part.vectors[:, 0].tolist() for part in parts] == [[0, 2, 4], [6], [8, 10, 12, 14]]


def test_blocks_out_of_order_or_of_nobody_are_refused() -> None:
    video = Gathering("video")
    pixels = {"rgb": np.zeros((2, 1, 2, 2, 3), np.uint8)}
    assert video.expect(MultiViewClip(0, 0.0, 1.0, (0, 1), pixels)) == 0
    with pytest.raises(ValueError, match="of which there are 4"):
        video.expect(MultiViewClip(1, 1.0, 2.0, (3, 4), pixels))
    with pytest.raises(ValueError, match="block 1 came in the place of block 0"):
        video.take(1, {"rgb": BlockVectors(np.zeros((2, 4), np.float32), None)})
