"""Vectors and logits of clips out of those of their blocks, and that parts in order say what the mean forgets."""

from dataclasses import replace

import numpy as np
import pytest

from cocon.embedding.contract import EncoderSpec
from cocon.embedding.embedder import Outputs
from cocon.embedding.neighbours import unit_vectors
from cocon.embedding.videos.block_rows import BlockVectors
from cocon.embedding.videos.clip_vectors import clip_logits, clip_vectors, part_bounds
from cocon.training.evaluation.recognition.features import ordered_feature

THIRDS = EncoderSpec("resnet2d3d", (1, 1, 1, 1), 16, "mean", "thirds")


@pytest.mark.parametrize(
    ("num_blocks", "bounds"),
    [
        (1, [(0, 1), (0, 1), (0, 1)]),
        (2, [(0, 1), (0, 2), (1, 2)]),
        (3, [(0, 1), (1, 2), (2, 3)]),
        (4, [(0, 1), (1, 3), (3, 4)]),
        (6, [(0, 2), (2, 4), (4, 6)]),
        (8, [(0, 3), (3, 5), (5, 8)]),
    ],
)
def test_a_block_is_of_the_third_that_its_middle_lies_in(num_blocks: int, bounds: list[tuple[int, int]]) -> None:
    assert list(part_bounds(num_blocks, 3)) == bounds
    assert part_bounds(num_blocks, 1) == ((0, num_blocks),)


def _blocks(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return unit_vectors(np.random.default_rng(0).standard_normal(shape).astype(np.float32))


@pytest.mark.parametrize("num_blocks", [1, 2, 3, 5, 6, 8])
def test_thirds_of_a_clip_are_those_of_a_video_that_is_as_long(num_blocks: int) -> None:
    blocks = _blocks(2, num_blocks, 5)
    middles = np.arange(num_blocks) + 0.5
    expected = [ordered_feature(clip, middles, float(num_blocks)) for clip in blocks]
    np.testing.assert_allclose(clip_vectors(blocks, 3), np.stack(expected), atol=1e-6)


def test_the_mean_forgets_an_order_that_thirds_tell() -> None:
    forth = _blocks(1, 6, 5)
    back = forth[:, ::-1]
    np.testing.assert_allclose(clip_vectors(back, 1), clip_vectors(forth, 1), atol=1e-6)
    assert (clip_vectors(back, 3) * clip_vectors(forth, 3)).sum() < 0.9
    np.testing.assert_allclose(np.linalg.norm(clip_vectors(forth, 3), axis=1), 1, atol=1e-6)


def test_logits_of_a_clip_are_what_its_blocks_say_as_members_of_their_parts() -> None:
    said = np.arange(24, dtype=np.float32).reshape(1, 4, 6)  # four blocks, three parts, two labels
    expected = said[0, 0, :2] + said[0, 1:3, 2:4].mean(axis=0) + said[0, 3, 4:]
    np.testing.assert_allclose(clip_logits(said, 3)[0], expected)
    np.testing.assert_allclose(clip_logits(said, 1)[0], said[0].mean(axis=0))


def test_blocks_that_clips_share_become_thirds_of_each() -> None:
    blocks, said = _blocks(6, 5), _blocks(6, 6)
    rows = Outputs(
        clip_vectors(blocks.reshape(2, 3, 5), 3), blocks.reshape(2, 3, 5), _blocks(2, 2), said.reshape(2, 3, 6)
    )
    parts = BlockVectors.of_rows(rows, are_clips=False, encoder=THIRDS).split([2, 4])
    numbers = np.array([[0, 1, 2], [2, 3, 4]])
    clips = BlockVectors.joined(parts).clips(numbers)
    np.testing.assert_array_equal(clips.embedding, clip_vectors(blocks[numbers], 3))
    assert clips.logits is not None
    np.testing.assert_allclose(clips.logits, clip_logits(said[numbers], 3))


def test_a_vector_that_only_the_encoder_makes_is_that_of_the_row() -> None:
    learned = replace(THIRDS, pooling="learned")
    rows = Outputs(_blocks(3, 5), _blocks(3, 2, 5), None)
    parts = BlockVectors.of_rows(rows, are_clips=True, encoder=learned).split([2, 4])
    clips = BlockVectors.joined(parts).clips(np.arange(6).reshape(3, 2))
    np.testing.assert_array_equal(clips.embedding, rows.embedding)


def test_logits_of_a_row_that_is_a_clip_stay_what_they_are() -> None:
    logits = _blocks(2, 2)
    rows = Outputs(_blocks(2, 15), _blocks(2, 3, 5), logits)
    clips = BlockVectors.of_rows(rows, are_clips=True, encoder=THIRDS).clips(np.arange(6).reshape(2, 3))
    assert clips.logits is not None
    np.testing.assert_array_equal(clips.logits, logits)
