import numpy as np
import pytest

from cocon.client.index.vote.shares import best_similarity, class_shares, sharpened, unknown_shares

COSINES = np.array([[0.9, 0.8, 0.5], [0.3, 0.2, -np.inf], [-np.inf] * 3], np.float32)
CODES = np.array([[1, 1, 0], [2, 0, 0], [0, 0, 0]])


def test_class_shares_are_softmax_weights_brought_closer_and_less_the_doubt() -> None:
    found = class_shares(COSINES, CODES, 4, temperature=0.1, sharpness=1.0, doubt=0.2)
    weights = np.exp([9.0, 8.0, 5.0])
    weights /= weights.sum()
    votes = 0.99 * np.array([weights[2], weights[0] + weights[1], 0, 0]) + 0.0025
    assert found[0] == pytest.approx(0.8 * votes + 0.05, abs=1e-6)
    assert found[2] == pytest.approx(0.25)
    assert found.sum(axis=1) == pytest.approx(1.0)
    sharper = class_shares(COSINES, CODES, 4, temperature=0.1, sharpness=2.0, doubt=0.0)
    assert sharper[0] == pytest.approx(votes**2 / (votes**2).sum(), abs=1e-6)


def test_classes_without_a_neighbour_need_not_be_named() -> None:
    votes = np.array([[0.7, 0.3, 0.0, 0.0, 0.0]])
    for sharpness in (0.25, 1.0, 4.0):
        all_named = sharpened(votes, 5, sharpness=sharpness)
        assert sharpened(votes[:, :2], 5, sharpness=sharpness)[0] == pytest.approx(all_named[0, :2])
        assert all_named.sum() == pytest.approx(1.0)


def test_what_is_of_no_class_is_ahead_exactly_below_the_border() -> None:
    shares = class_shares(COSINES, CODES, 4, temperature=0.1, sharpness=1.4, doubt=0.2)
    best = shares.max(axis=1)
    similarity = best_similarity(COSINES, best, temperature=0.1)
    # As one neighbour with the weight of all, less that of other classes.
    assert similarity[0] == pytest.approx(0.1 * np.log(np.exp([9.0, 8.0, 5.0]).sum() * best[0]), abs=1e-6)
    assert similarity[2] == -np.inf
    for border in (-0.5, 0.25, 0.6, similarity[0] - 1e-6, similarity[0] + 1e-6):
        for temperature in (0.001, 0.07, 1.0):
            unknown = unknown_shares(best, similarity, min_similarity=border, temperature=temperature)
            assert ((unknown > (1 - unknown) * best) == (similarity < border)).all()
            assert np.isfinite(unknown).all() and unknown[2] == 1.0
