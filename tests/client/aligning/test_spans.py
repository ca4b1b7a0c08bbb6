"""Two videos aligned: what goes with what is found in real files, drawn, printed and said when it cannot be."""

import dataclasses
import json
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from cocon.client import VideoEmbedder, VideoEmbedding
from cocon.client.aligning.axes import CELL_PX
from cocon.client.aligning.picture import AlignmentSheet
from cocon.client.aligning.spans import Alignment, BlockTrack, align_videos
from cocon.video.clips import ClipSpec
from tests.client.conftest import CLIP, Client, contract, copy_with_unfit_view, make_repository, write_video

Colours = list[tuple[int, int, int]]
STORY: Colours = [(200, 30, 30), (30, 200, 30), (30, 30, 200), (200, 200, 30), (30, 200, 200), (200, 30, 200)]


def write_story(path: Path, seconds: list[float]) -> Path:
    """A video of six plain colours, each shown for so many seconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "10", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for colour, length in zip(STORY, seconds, strict=True):
            picture = np.full((48, 64, 3), colour, np.uint8)
            for _ in range(round(length * 10)):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same story twice: evenly told, and dwelling on its second and fifth part."""
    root = tmp_path_factory.mktemp("story")
    even = write_story(root / "even.mp4", [0.8] * 6)
    return even, write_story(root / "dwelling.mp4", [0.8, 2.4, 0.8, 0.8, 1.6, 0.8])


def embedding_of(starts: list[float], ends: list[float], blocks: np.ndarray, num_frames: int = 20) -> VideoEmbedding:
    norms = np.linalg.norm(blocks, axis=-1, keepdims=True)
    return VideoEmbedding(
        *("a.mp4", "0" * 64, "rgb", np.array(starts), np.array(ends)),
        *(blocks[:, 0].astype(np.float32), (blocks / norms).astype(np.float32), None, num_frames, False),
        *("cocon_rgb", "1", "f" * 64),
    )


def random_blocks(num_clips: int, num_blocks: int = 2) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((num_clips, num_blocks, 8))


def test_the_parts_of_a_story_go_with_those_of_the_same_story_told_slower(url: str, story: tuple[Path, Path]) -> None:
    with VideoEmbedder(url) as embedder:
        alignment = align_videos(embedder, *story)
    assert alignment.score > 0.999
    edges = np.array([(span.start_seconds_a, span.start_seconds_b) for span in alignment.spans])
    np.testing.assert_allclose(edges[:, 0], [0.0, 0.8, 1.6, 2.4, 3.2, 4.0], atol=0.01)
    np.testing.assert_allclose(edges[:, 1], [0.0, 0.8, 3.2, 4.0, 4.8, 6.4], atol=0.01)
    assert [span.end_seconds_b for span in alignment.spans][-1] == pytest.approx(7.2, abs=0.01)


def test_blocks_of_overlapping_clips_count_once_and_are_denser() -> None:
    starts = [0.0, 0.1, 0.2, 0.3]
    track = BlockTrack.of(embedding_of(starts, [start + 0.4 for start in starts], random_blocks(4)), CLIP)
    np.testing.assert_allclose(track.edges, [0.0, 0.15, 0.25, 0.35, 0.45, 0.55, 0.7])  # 0.2 and 0.3 come twice
    assert len(track) == 6


def test_blocks_past_the_end_of_a_short_video_do_not_count() -> None:
    blocks = random_blocks(1)
    track = BlockTrack.of(embedding_of([0.0], [0.15], blocks), CLIP)
    np.testing.assert_allclose(track.edges, [0.0, 0.15])
    shrunk = BlockTrack.of(embedding_of([0.0], [0.1], blocks), dataclasses.replace(CLIP, short_video="shrink"))
    np.testing.assert_allclose(shrunk.edges, [0.0, 0.05, 0.1])
    instant = BlockTrack.of(embedding_of([0.0], [0.0], blocks), CLIP)
    np.testing.assert_allclose(instant.edges, [0.0, 0.1])


def test_steps_in_frames_become_seconds() -> None:
    spec = ClipSpec(num_blocks=2, frames_per_block=2, step_seconds=None, step_frames=3)
    embedding = embedding_of([0.0, 1.2], [1.2, 2.4], random_blocks(2), num_frames=24)  # 10 frames/s
    np.testing.assert_allclose(BlockTrack.of(embedding, spec).edges, [0.0, 0.6, 1.2, 1.8, 2.4])


def test_many_blocks_become_fewer_that_cover_the_same_time() -> None:
    blocks = random_blocks(500)
    starts = [0.4 * clip for clip in range(500)]
    track = BlockTrack.of(embedding_of(starts, [start + 0.4 for start in starts], blocks), CLIP, max_blocks=300)
    assert (len(track), track.num_merged) == (250, 4)
    assert (track.edges[0], track.edges[-1]) == pytest.approx((0.0, 200.0))
    units = blocks / np.linalg.norm(blocks, axis=-1, keepdims=True)
    mean = units.reshape(250, 4, 8).mean(axis=1)
    np.testing.assert_allclose(track.vectors, mean / np.linalg.norm(mean, axis=1, keepdims=True), atol=1e-5)


def test_the_picture_shows_similarities_stills_and_colours_that_go_together() -> None:
    vectors = np.eye(8, dtype=np.float32)
    first = BlockTrack("a.mp4", np.arange(9.0), vectors)
    sheet = AlignmentSheet.of(Alignment.of(first, BlockTrack("b.mp4", np.arange(9.0), vectors)))
    stills = np.stack([np.full((84, 84, 3), 20 * number, np.uint8) for number in range(10)])
    drawn = sheet.draw(stills, stills, "facts")
    left, top = 24 + sheet.first.depth_px, 24 + 82 + sheet.second.depth_px
    shades = drawn[top : top + 10 * CELL_PX, left : left + 10 * CELL_PX]
    cell = 10 * CELL_PX // 8
    assert shades[cell * 5 // 2, cell // 3].tolist() == [26] * 3  # the third block of A is unlike the first of B
    assert shades[cell // 4, cell * 3 // 4].min() > 200  # a diagonal pair, beside the path
    for slot in range(10):
        middle = slot * CELL_PX + CELL_PX // 2
        down, right = drawn[top + middle], drawn[:, left + middle]
        colour = sheet.first.colours[sheet.first.blocks()[middle]]
        for line, edge in ((down, left), (right, top)):
            at_stills = (line[:edge] == 20 * slot).all(axis=1)
            assert at_stills.sum() >= 84
            assert (line[:edge] == colour).all(axis=1).sum() >= 10 + 2 * 3  # the band, and the frame on either side


def test_a_longer_video_has_the_longer_edge() -> None:
    vectors = np.eye(8, dtype=np.float32)
    alignment = Alignment.of(
        BlockTrack("a.mp4", np.arange(9.0), vectors), BlockTrack("b.mp4", np.arange(9.0) / 2, vectors)
    )
    sheet = AlignmentSheet.of(alignment)
    assert (sheet.first.num_stills, sheet.second.num_stills) == (10, 5)
    assert sheet.second.moments == pytest.approx([0.4, 1.2, 2.0, 2.8, 3.6])


def test_align_writes_a_picture_and_prints_spans(client: Client, tmp_path: Path, story: tuple[Path, Path]) -> None:
    output = tmp_path / "aligned.png"
    output.write_bytes(b"old")
    result = client("align", *story, "--view", "all", "--output", "aligned.png", "--json")
    assert (result.returncode, result.stderr) == (0, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["aligned.png"]
    assert cv2.imread(str(output)) is not None
    found = json.loads(result.stdout)
    assert (found["views"], found["model"]) == (["flow", "rgb"], "cocon_flow+cocon_rgb")
    assert 0.9 < found["score"] <= 1.0
    assert set(found["spans"][0]) == {
        *("start_seconds_a", "end_seconds_a", "start_seconds_b", "end_seconds_b", "similarity"),
    }
    table = client("align", story[0], story[0], "--output", "aligned.png", "--overlap", "0.5").stdout
    assert "mean cosine along the path: 1.000" in table


def test_videos_of_one_clip_are_aligned(client: Client, tmp_path: Path) -> None:
    short = write_video(tmp_path / "short.mp4", seed=0, num_frames=2)
    single = write_video(tmp_path / "single.mp4", seed=1, num_frames=1)
    found = json.loads(client("align", short, single, "--output", "one.png", "--json").stdout)
    assert len(found["spans"]) == 1
    assert found["spans"][0]["end_seconds_a"] == pytest.approx(0.2, abs=0.01)


def test_what_cannot_be_aligned_is_said_in_one_line(client: Client, tmp_path: Path, videos: list[Path]) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    root = make_repository(tmp_path / "models", contract("rgb"), contract("mask"))
    partly = copy_with_unfit_view(videos[0], tmp_path, "mask")
    for arguments, code, words in (
        (("gone.mp4", videos[0], "--output", "a.png"), 2, "'gone.mp4' does not exist"),
        ((videos[0], videos[1], "--output", "a.jpg"), 2, "must end in .png"),
        ((videos[0], videos[1], "--output", "broken.mp4/a.png"), 2, "cannot be written"),
        ((videos[0], broken, "--output", "a.png"), 3, "broken.mp4"),
        ((partly, videos[1], "--output", "a.png", "--view", "all", "--url", f"local:{root}"), 3, "lacks view mask"),
        ((videos[0], videos[1], "--output", "a.png", "--url", "127.0.0.1:9"), 4, "no Triton server answers"),
    ):
        result = client("align", *arguments)
        assert (result.returncode, result.stdout) == (code, ""), words
        assert words in result.stderr
        assert result.stderr.splitlines()[-1].startswith("error: ")
    assert not (tmp_path / "a.png").exists()
