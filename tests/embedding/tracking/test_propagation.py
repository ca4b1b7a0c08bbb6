"""Propagation: a label goes where the features that bear it go, by the definition written out cell by cell."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.embedding.tracking.propagation import Propagation, propagated_labels

Floats = NDArray[np.float32]


def _video(num_frames: int, shape: tuple[int, int], depth: int = 6, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal((num_frames, *shape, depth)).astype(np.float32)


def _labels(shape: tuple[int, int], num_labels: int, seed: int = 1) -> Floats:
    labels = np.random.default_rng(seed).uniform(size=(*shape, num_labels))
    return (labels / labels.sum(axis=-1, keepdims=True)).astype(np.float32)


def _literally_propagated(maps: Floats, first_labels: Floats, propagation: Propagation) -> list[Floats]:
    """Every cell of every frame against every cell of its context, one after another."""
    height, width = maps.shape[1:3]
    cells = [(row, column) for row in range(height) for column in range(width)]
    unit = maps / np.linalg.norm(maps, axis=-1, keepdims=True)
    if propagation.is_centred:
        apart = unit - unit[0].mean(axis=(0, 1))
        unit = apart / np.linalg.norm(apart, axis=-1, keepdims=True)
    labels = [first_labels]
    for frame in range(1, len(maps)):
        latest = range(max(1, frame - propagation.num_context), frame)
        result = np.zeros_like(first_labels)
        for row, column in cells:
            found = [(float(unit[frame, row, column] @ unit[0][cell]), labels[0][cell]) for cell in cells]
            for other in latest:
                for cell in cells:
                    if np.hypot(cell[0] - row, cell[1] - column) <= propagation.radius_cells:
                        found.append((float(unit[frame, row, column] @ unit[other][cell]), labels[other][cell]))
            best = sorted(found, key=lambda pair: -pair[0])[: propagation.num_neighbours]
            weights = [np.exp(cosine / propagation.temperature) for cosine, _ in best]
            result[row, column] = sum(w * label for w, (_, label) in zip(weights, best, strict=True)) / sum(weights)
        labels.append(result)
    return labels


@pytest.mark.parametrize(
    "propagation",
    [
        Propagation(2, 3, 1.5, 0.1),
        Propagation(2, 3, 1.5, 0.1, is_centred=True),
        Propagation(1, 5, 0.0, 0.05),
        Propagation(0, 4, 2.0, 0.2),
        Propagation(3, 1, 2.0, 0.05),
        Propagation(5, 1000, 100.0, 1.0),  # more neighbours than there are cells, all within reach
    ],
)
def test_labels_are_the_weighted_mean_of_the_most_similar_cells_within_reach(propagation: Propagation) -> None:
    maps, first = _video(5, (4, 3)), _labels((4, 3), 2)
    found = list(propagated_labels(3 * maps, first, propagation))  # lengths of features do not count
    assert [labels.dtype for labels in found] == [np.float32] * 5
    for labels, expected in zip(found, _literally_propagated(maps, first, propagation), strict=True):
        np.testing.assert_allclose(labels, expected, atol=2e-5)


def test_a_frame_like_the_first_has_its_labels() -> None:
    maps, first = _video(1, (7, 9)), _labels((7, 9), 3)
    *_, last = propagated_labels([maps[0]] * 4, first, Propagation(temperature=1e-3))
    np.testing.assert_allclose(last, first, atol=1e-5)


def test_labels_move_with_the_features() -> None:
    wide, first = _video(1, (6, 24), depth=16)[0], _labels((6, 12), 2)
    maps = [wide[:, 12 - shift : 24 - shift] for shift in range(4)]  # one column to the right per frame
    found = list(propagated_labels(maps, first, Propagation(2, 1, 2.0)))
    for shift, labels in enumerate(found):
        np.testing.assert_allclose(labels[:, shift:], first[:, : 12 - shift], atol=1e-6)


def test_shares_stay_shares() -> None:
    first = _labels((5, 6), 4)
    for labels in propagated_labels(_video(6, (5, 6)), first, Propagation(2, 4, 2.0)):
        np.testing.assert_allclose(labels.sum(axis=-1), 1.0, atol=1e-5)
        assert (labels >= 0).all()


def test_cells_without_features_do_no_harm() -> None:
    """Rectified features may be all zero."""
    maps, first = _video(3, (4, 4)), _labels((4, 4), 2)
    maps[:, :2] = 0
    for labels in propagated_labels(maps, first, Propagation(2, 3, 2.0)):
        assert np.isfinite(labels).all()


def test_frames_are_taken_as_their_labels_are_asked_for() -> None:
    taken = []

    def maps() -> Iterator[Floats]:
        for index, each in enumerate(_video(9, (3, 3))):
            taken.append(index)
            yield each

    labels = propagated_labels(maps(), _labels((3, 3), 1))
    next(labels), next(labels)
    assert taken == [0, 1]


@pytest.mark.parametrize(
    ("name", "value"), [("num_context", -1), ("num_neighbours", 0), ("radius_cells", -0.5), ("temperature", 0.0)]
)
def test_settings_that_make_no_sense_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"{name} \({value}\) must be"):
        Propagation(**{name: value})  # type: ignore[arg-type]  # the right type of each


def test_a_map_that_does_not_fit_is_refused_with_its_number() -> None:
    maps, first = list(_video(3, (4, 4))), _labels((4, 4), 1)
    for unfit in (maps[2][:3], maps[2][..., :5], np.full_like(maps[2], np.nan)):
        with pytest.raises(ValueError, match=r"feature map 2 .* must be finite and \[4, 4, 6\]"):
            list(propagated_labels([*maps[:2], unfit], first))
    with pytest.raises(ValueError, match=r"labels \[4, 4\] must be \[h, w, L\]"):
        list(propagated_labels(maps, first[..., 0]))
