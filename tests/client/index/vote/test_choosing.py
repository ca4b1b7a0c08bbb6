"""The rule of a vote on generated galleries: calibrated, and knowing what it does not know."""

import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.client.index.files.row_table import RowTable
from cocon.client.index.vote.choosing import MAX_NEIGHBOURS, choose_rule
from cocon.client.index.vote.left_out import leave_out, nearest_videos
from cocon.client.index.vote.rule import VoteRule
from cocon.client.index.vote.similarity import video_similarities
from cocon.embedding.neighbours import label_vote

from .conftest import Gallery, clustered, gallery_of, unit


def asked(
    gallery: Gallery, videos: list[NDArray[np.float32]]
) -> tuple[NDArray[np.float32], NDArray[np.int64], list[str]]:
    """Similarity and class of each query's neighbours, and the classes."""
    classes = sorted({label for label in gallery.labels if label})
    positions = np.array([place for place, label in enumerate(gallery.labels) if label])
    codes = np.array([classes.index(label) for label in gallery.labels if label])
    counts = np.array([len(clips) for clips in videos])
    found = video_similarities(np.concatenate(videos), counts, gallery.vectors, gallery.rows, positions)
    cosines, nearest = nearest_videos(found, MAX_NEIGHBOURS)
    return cosines, codes[nearest], classes


def calibration_error(confidences: NDArray[np.float64], is_right: NDArray[np.bool_]) -> float:
    """Expected calibration error over ten bins (Guo et al., 2017)."""
    bins = np.minimum((confidences * 10).astype(int), 9)
    gaps = [
        (bins == b).mean() * abs(confidences[bins == b].mean() - is_right[bins == b].mean()) for b in np.unique(bins)
    ]
    return float(np.sum(gaps))


@pytest.mark.parametrize("noise", [0.5, 1.0, 1.5])
def test_probabilities_mean_what_they_say_and_strangers_are_told(noise: float) -> None:
    """On new videos: of those that are of the classes, and of as many strangers."""
    videos, labels = clustered(0, num_classes=16, per_class=30, noise=noise)
    known = [number for number, label in enumerate(labels) if label < "class 08"]
    gallery = gallery_of([videos[n] for n in known], [labels[n] for n in known])
    rule = choose_rule(gallery.vectors, gallery.rows, gallery.labels)

    new, of = clustered(1, num_classes=16, per_class=100, noise=noise)
    cosines, codes, classes = asked(gallery, new)
    is_class = np.array([label in classes for label in of])
    truth = np.array([classes.index(label) for label in of if label in classes])
    shares = rule.shares(cosines, codes, len(classes))
    of_classes = rule.class_shares(cosines[is_class], codes[is_class], len(classes))
    votes = label_vote(cosines[is_class, :20], codes[is_class, :20], range(len(classes)))
    is_right, was_right = of_classes.argmax(axis=1) == truth, votes.argmax(axis=1) == truth
    before, after = calibration_error(votes.max(axis=1), was_right), calibration_error(of_classes.max(axis=1), is_right)
    assert after < 0.06 and (noise != 1.0 or before > 0.08), "what is mended"
    assert is_right.mean() >= was_right.mean() - 0.02 and rule.accuracy == pytest.approx(is_right.mean(), abs=0.06)

    is_told = shares.argmax(axis=1) == len(classes)
    balanced = (is_told[~is_class].mean() + (~is_told)[is_class].mean()) / 2
    assert balanced > 0.6 and rule.balanced_accuracy == pytest.approx(balanced, abs=0.1)
    assert shares[is_told, -1].mean() == pytest.approx((~is_class)[is_told].mean(), abs=0.2)
    np.testing.assert_allclose(shares[~is_told & is_class, :-1], of_classes[~is_told[is_class]])


def test_leaving_out_equals_asking_an_index_without_the_video() -> None:
    videos, labels = clustered(0, num_classes=4, per_class=5, noise=0.8)
    gallery = gallery_of(videos, labels)
    codes = np.repeat(np.arange(4), 5)
    found = leave_out(gallery.vectors, gallery.rows, np.arange(20), codes, 7)
    for number in range(20):
        for neighbours, others in (
            (found.known, [n for n in range(20) if n != number]),
            (found.strange, [n for n in range(20) if codes[n] != codes[number]]),
        ):
            rest = gallery_of([videos[n] for n in others], [labels[n] for n in others])
            expected, expected_codes, names = asked(rest, [videos[number]])
            np.testing.assert_allclose(neighbours.cosines[number], expected[0, :7], atol=1e-6)
            assert [f"class {code:02d}" for code in neighbours.codes[number]] == [
                names[c] for c in expected_codes[0, :7]
            ]
    assert found.known.own.tolist() == codes.tolist() and found.num_videos == 20


def test_copies_of_a_video_do_not_vote_for_it() -> None:
    rng = np.random.default_rng(0)
    middle = rng.normal(size=16)
    original = unit(middle + 0.3 * rng.normal(size=(3, 16)))
    copy = unit(original + 1e-4 * rng.normal(size=(3, 16)))
    other = unit(rng.normal(size=(3, 16)))
    gallery = gallery_of([original, copy, other], ["a", "a", "b"])
    found = leave_out(gallery.vectors, gallery.rows, np.arange(3), np.array([0, 0, 1]), 5)
    assert not len(found.known.own) and found.strange.own.tolist() == [0, 0, 1]
    assert np.isfinite(found.strange.cosines).sum(axis=1).tolist() == [1, 1, 2]


def test_unlabelled_and_dead_rows_have_no_part_in_the_rule() -> None:
    videos, labels = clustered(0, num_classes=3, per_class=4, noise=0.8)
    plain = gallery_of(videos, labels)
    noise = unit(np.random.default_rng(1).normal(size=(5, 16)))
    mixed = gallery_of([noise, *videos[:5], noise, *videos[5:]], [None, *labels[:5], "", *labels[5:]])
    dead = RowTable(mixed.rows.video_ids[1:], mixed.rows.first_rows[1:], mixed.rows.num_rows[1:], len(mixed.vectors))
    expected = choose_rule(plain.vectors, plain.rows, plain.labels)
    assert choose_rule(mixed.vectors, mixed.rows, mixed.labels) == expected
    assert choose_rule(mixed.vectors, dead, mixed.labels[1:]) == expected
    assert VoteRule.from_dict(expected.as_dict()) == expected


def test_many_videos_are_sampled_and_the_rule_is_the_same_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    videos, labels = clustered(0, num_classes=6, per_class=20, noise=0.8)
    gallery = gallery_of(videos, labels)
    whole = choose_rule(gallery.vectors, gallery.rows, gallery.labels)
    monkeypatch.setattr("cocon.client.index.vote.left_out._MAX_VIDEOS", 60)
    some = [choose_rule(gallery.vectors, gallery.rows, gallery.labels) for _ in range(2)]
    assert some[0] == some[1] and (whole.num_videos, some[0].num_videos) == (120, 60)
    assert some[0].accuracy == pytest.approx(whole.accuracy, abs=0.15)


def test_galleries_that_teach_little_have_a_rule_that_says_little() -> None:
    videos, labels = clustered(0, num_classes=5, per_class=3, noise=0.3)
    single = gallery_of(videos[:1], labels[:1])
    rule = choose_rule(single.vectors, single.rows, single.labels)
    assert (rule.min_similarity, rule.accuracy, rule.balanced_accuracy, rule.num_videos) == (None, None, None, 1)
    assert rule.shares(np.full((1, 1), 0.5, np.float32), np.zeros((1, 1), np.int64), 1).tolist() == [[1.0, 0.0]]

    one_class = gallery_of(videos[:3], labels[:3])
    rule = choose_rule(one_class.vectors, one_class.rows, one_class.labels)
    assert rule.accuracy == 1.0 and rule.min_similarity is not None
    cosines, codes, _ = asked(one_class, videos)
    assert rule.shares(cosines, codes, 1)[3:].argmax(axis=1).tolist() == [1] * 12  # all others are strangers

    one_each = gallery_of(videos[::3], labels[::3])
    rule = choose_rule(one_each.vectors, one_each.rows, one_each.labels)
    assert rule.accuracy is None and rule.min_similarity is not None
    cosines, codes, _ = asked(one_each, videos[1::3])
    assert rule.shares(cosines, codes, 5).argmax(axis=1).tolist() == [0, 1, 2, 3, 4]

    with pytest.raises(ValueError, match="no video has a label"):
        choose_rule(single.vectors, single.rows, [None])


def test_classes_that_cannot_be_told_apart_are_never_certain() -> None:
    rng = np.random.default_rng(0)
    videos = [unit(rng.normal(size=(2, 16))) for _ in range(60)]
    gallery = gallery_of(videos, [f"class {n % 3}" for n in range(60)])
    rule = choose_rule(gallery.vectors, gallery.rows, gallery.labels)
    cosines, codes, _ = asked(gallery, [unit(rng.normal(size=(2, 16))) for _ in range(20)])
    assert rule.shares(cosines, codes, 3)[:, :3].max() < 0.6
