import json
from dataclasses import replace

import numpy as np
import pytest

from cocon.client.index.vote.rule import VoteRule

RULE = VoteRule(5, 0.07, 1.0, 0.1, 0.6, 0.02, 0.9, None, 20, {"bow": 10, "jump": 20})
COSINES, CODES = np.array([[0.9, 0.8, 0.7]], np.float32), np.array([[1, 0, 1]])


def test_a_rule_travels_as_json() -> None:
    assert VoteRule.from_dict(json.loads(json.dumps(RULE.as_dict()))) == RULE
    free = replace(RULE, min_similarity=None)
    assert VoteRule.from_dict(json.loads(json.dumps(free.as_dict()))) == free


@pytest.mark.parametrize(
    "change",
    [
        {"num_neighbours": 0},
        {"num_neighbours": 2.5},
        {"sharpness": 0.0},
        {"num_neighbours": "5"},
        {"temperature": 0},
        {"temperature": None},
        {"doubt": 2},
        {"min_similarity": "a"},
        {"min_similarity": float("nan")},
        {"unknown_temperature": float("inf")},
        {"label_counts": {"bow": "many"}},
        {"label_counts": ["bow"]},
        {"label_counts": None},
        {"new": 1},
    ],
)
def test_what_is_no_rule_is_told(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="rule of a vote"):
        VoteRule.from_dict(RULE.as_dict() | change)


def test_a_rule_fits_until_a_tenth_of_the_videos_are_others() -> None:
    for counts in ({"bow": 10, "jump": 20}, {"bow": 11, "jump": 22}, {"bow": 10, "jump": 20, "run": 3}):
        assert RULE.fits(counts)
    for counts in ({"bow": 10, "jump": 24}, {"bow": 8, "jump": 22}, {"bow": 10}, {"bends": 10, "jump": 20}, {}):
        assert not RULE.fits(counts)


def test_an_index_that_keeps_no_rule_or_one_of_another_version_has_none() -> None:
    assert VoteRule.of_fact(RULE.as_dict()) == RULE
    for value in (None, 5, [], {}, RULE.as_dict() | {"later": 1}):
        assert VoteRule.of_fact(value) is None


def test_where_nobody_votes_all_is_unknown() -> None:
    nobody = np.full((1, 3), -np.inf, np.float32)
    for rule in (RULE, replace(RULE, min_similarity=None)):
        assert rule.shares(nobody, CODES, 2).tolist() == [[0.0, 0.0, 1.0]]


def test_shares_sum_to_one_and_are_ranked_by_the_border() -> None:
    for border in (None, 0.5, 2.0):
        rule = replace(RULE, min_similarity=border)
        (shares,) = rule.shares(COSINES, CODES, 2)
        assert shares.sum() == pytest.approx(1.0)
        assert shares.argmax() == (2 if border == 2.0 else 1)
    assert replace(RULE, min_similarity=None).shares(COSINES, CODES, 2)[0, 2] == 0.0


def test_only_so_many_neighbours_vote() -> None:
    one, three = (
        replace(RULE, num_neighbours=k, doubt=0.0, min_similarity=None).shares(COSINES, CODES, 2) for k in (1, 3)
    )
    assert one.tolist() == [[pytest.approx(0.005), pytest.approx(0.995), 0.0]]
    assert three[0, 0] > 0.1
