"""Locating actions: regular blocks out of overlapping clips, names for segments, and what the command refuses."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cocon.client import VideoEmbedder, VideoIndex, connect
from cocon.client.locate import dense_hop, locate_actions, name_by_classifier, name_by_index
from cocon.client.pipeline.block_order import ordered_blocks
from cocon.embedding.locating.boundary_model import BOUNDARY_MODEL, BoundaryContract, half_block_frames
from cocon.embedding.locating.detection import find_segments, label_segments, segment_embeddings
from cocon.embedding.locating.proposals import Segment, segment_bounds, temporal_iou
from cocon.export.models.boundaries import write_boundaries
from cocon.training.boundary_head.network import BoundaryHead
from cocon.video.clips import ClipSpec

from .conftest import CLIP, DIM, LABELS, Client, contract, make_repository, write_video


def with_boundaries(root: Path, *, fingerprint: str, labels: tuple[str, ...] = LABELS, pooling: str = "mean") -> Path:
    """A repository with an encoder of rgb, and a boundary model with random weights."""
    make_repository(root, contract("rgb", labels=labels, pooling=pooling))
    folder = root / "cocon_rgb_boundaries" / "1"
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    write_boundaries(BoundaryHead(DIM), folder / "model.onnx")
    boundaries = BoundaryContract(
        "rgb", fingerprint, DIM, hop_frames=1, min_seconds=0.3, max_seconds=3.0, weights_sha256="0" * 64
    )
    (folder / BOUNDARY_MODEL.contract_file).write_text(boundaries.to_json())
    return root


@pytest.fixture(scope="module")
def located(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("located") / "repository"
    return f"local:{with_boundaries(root, fingerprint=contract('rgb').fingerprint)}"


@pytest.mark.parametrize("num_blocks", [1, 2, 3, 6, 8])
@pytest.mark.parametrize("frames_per_block", [1, 2, 3, 4, 5, 7, 8])
def test_clips_of_the_dense_hop_have_a_block_at_every_hop(num_blocks: int, frames_per_block: int) -> None:
    spec, hop_frames = ClipSpec(num_blocks, frames_per_block), half_block_frames(frames_per_block)
    hop = dense_hop(spec, hop_frames)
    clips = hop * np.arange(400 // hop)
    begins = set((clips[:, None] + frames_per_block * np.arange(num_blocks)).ravel().tolist())
    assert set(range(120, 200, hop_frames)) <= begins
    if frames_per_block % 2 == 0:  # neighbouring clips share no block
        assert hop >= spec.num_frames / 2 - frames_per_block / 2


def test_blocks_at_a_regular_hop_are_those_of_the_video(embedder: VideoEmbedder, videos: list[Path]) -> None:
    embedder.hop_frames = dense_hop(CLIP, hop_frames=1)
    video = embedder.embed(videos[0])
    begins, vectors = ordered_blocks(video, CLIP).at_hop(1)
    np.testing.assert_allclose(begins, 0.1 * np.arange(19), atol=1e-6)  # 20 frames, blocks of two
    for begin, vector in zip(begins, vectors, strict=True):
        clip, block = np.argwhere(np.abs(video.start_seconds[:, None] + [0, 0.2] - begin) < 1e-6)[0]
        np.testing.assert_allclose(vector, video.blocks[clip, block], atol=1e-6)


def test_a_block_that_no_clip_has_lies_between_its_neighbours(embedder: VideoEmbedder, videos: list[Path]) -> None:
    blocks = ordered_blocks(embedder.embed(videos[0]), CLIP)  # clips one after the other: blocks every 0.2 s
    begins, vectors = blocks.at_hop(1)
    assert len(begins) == 2 * len(blocks.begins) - 1
    np.testing.assert_allclose(vectors[::2], blocks.vectors, atol=1e-6)
    sums = blocks.vectors[:-1] + blocks.vectors[1:]
    np.testing.assert_allclose(vectors[1::2], sums / np.linalg.norm(sums, axis=1, keepdims=True), atol=1e-5)


def test_blocks_of_a_shrunk_video_are_where_its_frames_are(embedder: VideoEmbedder, videos: list[Path]) -> None:
    """A clip of 0.4 s that was made of a video of 0.2 s: frames 0.05 s apart."""
    video = embedder.embed(videos[0])
    short = replace(
        video,
        start_seconds=np.zeros(1),
        end_seconds=np.array([0.2]),
        embedding=video.embedding[:1],
        blocks=video.blocks[:1],
    )
    blocks = ordered_blocks(short, replace(CLIP, short_video="shrink"))
    assert blocks.step_seconds == pytest.approx(0.05)
    np.testing.assert_allclose(blocks.begins, [0.0, 0.1])
    np.testing.assert_allclose(blocks.ends, [0.1, 0.2])
    np.testing.assert_allclose(blocks.at_hop(1)[0], [0.0, 0.05, 0.1])


def test_segments_at_the_first_and_last_moment_reach_the_ends_of_the_video() -> None:
    times = np.arange(10) + 0.5
    probabilities = np.full((10, 3), 0.05)
    probabilities[[0, 5], 0] = probabilities[[3, 9], 1] = 0.9
    probabilities[:, 2] = [1, 1, 1, 1, 0, 1, 1, 1, 1, 1]
    best = find_segments(probabilities, times, duration_seconds=10.2, max_seconds=6.0)
    bounds = [(segment.start_seconds, segment.end_seconds) for segment in best]
    assert set(bounds[:2]) == {(0.0, 3.5), (5.5, 10.2)}
    assert find_segments(probabilities[:1], times[:1], duration_seconds=1.0) == []


def test_as_many_segments_are_found_as_are_asked_for_however_alike_they_are() -> None:
    best = find_segments(np.full((40, 3), 0.2), np.arange(40.0), duration_seconds=40.0, max_segments=100)
    assert len(best) == 100 and 0 < best[-1].score < 0.001


def test_segments_are_found_between_peaks_and_shown_by_their_blocks() -> None:
    times = np.arange(10.0)
    probabilities = np.full((10, 3), 0.05)
    probabilities[2, 0] = probabilities[6, 1] = 0.9
    probabilities[2:7, 2] = 1.0
    best = find_segments(probabilities, times, duration_seconds=10.0, max_segments=1)
    (found,) = best
    assert (found.start_seconds, found.end_seconds) == (2.0, 6.0) and found.score == pytest.approx(0.81)
    blocks = np.eye(10, dtype=np.float32)
    (vector,) = segment_embeddings(blocks, times, best)
    np.testing.assert_allclose(vector[2:7], 1 / np.sqrt(5), atol=1e-6)
    assert segment_embeddings(blocks, times, [Segment(3.3, 3.4)])[0].argmax() == 3  # the nearest of none inside
    named = label_segments(best, np.array([[0.2, 0.7, 0.1]]), ("a", "b", "c"), top=2)
    assert [(s.label, round(s.score, 4)) for s in named] == [("b", 0.567), ("a", 0.162)]


def test_a_classifier_names_a_segment_by_the_clips_within(embedder: VideoEmbedder, videos: list[Path]) -> None:
    video = embedder.embed(videos[0])  # clips of 0.4 s, one after the other
    assert video.probabilities is not None
    segments = [Segment(0.1, 0.7, score=0.5), Segment(1.2, 1.3, score=0.25)]
    named = name_by_classifier(embedder.model)(video, segments, np.zeros((2, DIM), np.float32))
    for segment, clips in zip(segments, ([0, 1], [3]), strict=True):
        shares = video.probabilities[clips].mean(axis=0)
        (found,) = (n for n in named if n.start_seconds == segment.start_seconds)
        assert found.label == LABELS[shares.argmax()]
        assert found.score == pytest.approx(segment.score * shares.max())


def test_an_index_names_a_segment_by_its_neighbours_but_not_by_itself(embedder: VideoEmbedder, tmp_path: Path) -> None:
    known = [write_video(tmp_path / "known" / f"{label}.mp4", seed=seed) for seed, label in enumerate(("red", "blue"))]
    (tmp_path / "known" / "manifest.csv").write_text("path,label\nred.mp4,red\nblue.mp4,blue\n")
    index = VideoIndex(tmp_path / "index")
    index.add(known, embedder)
    video = embedder.embed(known[1])
    segments = [Segment(0.0, 1.0, score=0.5)]
    copy = replace(video, video=str(tmp_path / "copy.mp4"))  # the same content elsewhere
    for own in (video, copy):
        (other,) = name_by_index(index, embedder.model)(own, segments, video.embedding[:1])
        assert other.label == "red"
    alike = replace(copy, content_sha256="0" * 64)
    (named,) = name_by_index(index, embedder.model)(alike, segments, video.embedding[:1])
    assert named.label == "blue" and 0.25 < named.score <= 0.5


def test_segments_are_named_by_an_index_of_vectors_that_keep_thirds(tmp_path: Path) -> None:
    fingerprint = contract("rgb", labels=(), pooling="thirds").fingerprint
    root = with_boundaries(tmp_path / "models", fingerprint=fingerprint, labels=(), pooling="thirds")
    known = [write_video(tmp_path / "known" / f"{label}.mp4", seed=seed) for seed, label in enumerate(("red", "blue"))]
    (tmp_path / "known" / "manifest.csv").write_text("path,label\nred.mp4,red\nblue.mp4,blue\n")
    index = VideoIndex(tmp_path / "index")
    with VideoEmbedder(f"local:{root}") as embedder:
        index.add(known, embedder)
        embedder.hop_frames = dense_hop(CLIP, hop_frames=1)
        boundaries = connect(f"local:{root}").open(BOUNDARY_MODEL, "rgb")
        found = locate_actions(embedder, boundaries, known[0], name_by_index(index, embedder.model))
    assert (index.facts.embedding_dim, boundaries.contract.embedding_dim) == (3 * DIM, DIM)
    assert found and {action.label for action in found} == {"blue"}  # its own video does not count


def test_located_actions_do_not_repeat_each_other(located: str, videos: list[Path]) -> None:
    with VideoEmbedder(located) as embedder:
        embedder.hop_frames = dense_hop(CLIP, hop_frames=1)
        found = locate_actions(embedder, connect(located).open(BOUNDARY_MODEL, "rgb"), videos[0], top=100)
    bounds = segment_bounds([Segment(action.start_seconds, action.end_seconds) for action in found])
    overlap = temporal_iou(bounds, bounds) - np.eye(len(bounds))
    assert len(found) > 1 and overlap.max() <= 0.51  # times are rounded


def test_the_command_names_actions_by_the_classifier(client: Client, located: str, videos: list[Path]) -> None:
    ended = client("locate", videos[0], "--url", located, "--classifier", "--json", "--top", 4)
    assert ended.returncode == 0
    found = json.loads(ended.stdout)
    assert 1 <= len(found["actions"]) <= 4 and {a["label"] for a in found["actions"]} <= set(LABELS)
    table = client("locate", videos[0], "--url", located, "--classifier").stdout
    assert found["actions"][0]["label"] in table and "start_seconds" in table


def test_what_cannot_be_answered_is_refused_in_one_line(
    client: Client, located: str, videos: list[Path], tmp_path: Path
) -> None:
    stranger = with_boundaries(tmp_path / "stranger", fingerprint="1" * 64)
    plain = with_boundaries(tmp_path / "plain", fingerprint=contract("rgb", labels=()).fingerprint, labels=())
    damaged = with_boundaries(tmp_path / "damaged", fingerprint=contract("rgb").fingerprint)
    (damaged / "cocon_rgb_boundaries/1" / BOUNDARY_MODEL.contract_file).write_text("{}")
    assert client("index", "add", videos[1], "--index", "unlabelled").returncode == 0
    cases = [
        (["--view", "flow"], 2, "cocon_flow_boundaries"),
        (["--url", located, "--classifier", "--index", "any"], 2, "one of them"),
        (["--url", located, "--index", "nowhere"], 2, "does not exist"),
        (["--url", located, "--index", "unlabelled"], 2, "no labelled videos"),
        (["--url", f"local:{stranger}"], 5, "another encoder"),
        (["--url", f"local:{plain}", "--classifier"], 5, "no classifier"),
        (["--url", f"local:{damaged}"], 5, "export again"),
    ]
    for arguments, code, reason in cases:
        ended = client("locate", videos[0], *arguments)
        assert (ended.returncode, ended.stdout) == (code, ""), arguments
        assert reason in ended.stderr and len(ended.stderr.strip().splitlines()) == 1
    missing = client("locate", tmp_path / "none.mp4", "--url", located)
    assert missing.returncode == 2 and "does not exist" in missing.stderr
