import numpy as np
from numpy.typing import NDArray

from cocon.client.index.files.row_table import RowTable
from cocon.client.index.search.copies import MIN_COSINE, Copies, without_overlaps

DIM = 32


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def near(vectors: NDArray[np.float32], cosine: float, seed: int) -> NDArray[np.float32]:
    """Unit vectors at this cosine to others."""
    noise = np.random.default_rng(seed).normal(size=vectors.shape)
    noise -= (noise * vectors).sum(axis=1, keepdims=True) * vectors
    return unit(cosine * vectors + np.sqrt(1 - cosine**2) * unit(noise))


def copies_of(videos: list[NDArray[np.float32]], starts: list[float]) -> Copies:
    counts = np.array([len(clips) for clips in videos])
    table = RowTable(np.arange(1, len(videos) + 1), np.cumsum(counts) - counts, counts, int(counts.sum()))
    spans = [np.arange(len(clips))[:, None] + [start, start + 1.0] for clips, start in zip(videos, starts, strict=True)]
    return Copies(np.concatenate(videos), table, lambda position: spans[position])


def test_copies_have_nearly_equal_vectors_at_equal_times() -> None:
    rng = np.random.default_rng(0)
    first, other = unit(rng.normal(size=(3, DIM))), unit(rng.normal(size=(3, DIM)))
    one_clip_off = np.concatenate([near(first[:2], 0.999, 1), near(first[2:], 0.97, 2)])
    videos = [first, near(first, 0.9995, 3), other, near(first, MIN_COSINE - 0.002, 4), one_clip_off, first[:2]]
    copies = copies_of([*videos, first], [0.0, 0.01, 0.0, 0.0, 0.0, 0.0, 0.5])
    assert copies.are_first(np.arange(7)).tolist() == [True, False, True, True, True, True, True]
    assert copies.are_first(np.array([2, 1, 6, 0])).tolist() == [True, True, True, False], "the best one is kept"
    assert copies.are_first(np.array([], np.int64)).tolist() == []


def test_many_equal_videos_are_one_and_many_different_ones_are_many() -> None:
    rng = np.random.default_rng(1)
    equal, others = unit(rng.normal(size=(1, DIM))), unit(rng.normal(size=(700, 1, DIM)))
    copies = copies_of([*others, *[equal] * 700], [0.0] * 1400)
    order = rng.permutation(1400)
    kept = order[copies.are_first(order)]
    assert sorted(kept[kept < 700].tolist()) == list(range(700))
    assert kept[kept >= 700].tolist() == [next(each for each in order.tolist() if each >= 700)]


def test_an_encoder_to_which_all_is_alike_makes_no_copies() -> None:
    rng = np.random.default_rng(2)
    alike = unit(np.ones((20, 2, DIM)) + 0.02 * rng.normal(size=(20, 2, DIM)))
    assert (alike[0] @ alike[1].T).min() > MIN_COSINE
    assert copies_of([*alike], [0.0] * 20).are_first(np.arange(20)).all()


def test_where_all_is_alike_to_the_last_digits_only_equal_vectors_make_copies() -> None:
    rng = np.random.default_rng(4)
    alike = unit(np.ones((20, 2, DIM)) + 1e-4 * rng.normal(size=(20, 2, DIM)))
    assert np.round((alike[0].astype(np.float64) * alike[1]).sum(axis=1), 6).min() == 1
    copies = copies_of([*alike, alike[3]], [0.0] * 21)
    assert copies.are_first(np.arange(21)).tolist() == [True] * 20 + [False]


def test_of_moments_that_overlap_the_best_is_kept() -> None:
    videos = np.array([1, 1, 2, 1, 1, 1, 2])
    spans = np.array([[2, 4], [3, 5], [3, 5], [4, 6], [0, 2], [1, 3], [4.5, 7]], np.float64)
    assert without_overlaps(videos, spans).tolist() == [True, False, True, True, True, False, False]
    rng = np.random.default_rng(3)
    starts = rng.uniform(0, 30, 200)
    spans, videos = np.stack([starts, starts + rng.uniform(0.1, 3, 200)], axis=1), rng.integers(0, 3, 200)
    kept: list[int] = []
    for number, (start, end) in enumerate(spans.tolist()):
        if not any(videos[k] == videos[number] and start < spans[k, 1] and spans[k, 0] < end for k in kept):
            kept.append(number)
    assert np.flatnonzero(without_overlaps(videos, spans)).tolist() == kept
