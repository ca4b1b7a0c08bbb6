"""The mix is what an index's own labels say, each video left out in turn, and cosine where they say nothing."""

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.client.index.files.row_table import RowTable
from cocon.client.index.ranking.choice import RankingChoice, choose_ranking
from cocon.embedding.alignment import best_monotone_path, block_similarities, double_centred, path_score
from cocon.embedding.neighbours import unit_vectors
from cocon.embedding.ranking.mixing import MIXES

Floats = NDArray[np.float32]


class _Index:
    """Videos of 1 to 3 clips of 4 blocks, dead rows between them.

    Args:
        kinds: of each video; classes differ in the order of the same phases, or in the phases themselves.
    """

    def __init__(self, kinds: list[int], *, is_by_order: bool, noise: float = 0.25) -> None:
        rng = np.random.default_rng(len(kinds))
        counts = rng.integers(1, 4, len(kinds))
        firsts = np.cumsum(counts + 1) - counts
        total = int(firsts[-1] + counts[-1])
        self.rows = RowTable(np.arange(len(kinds)), firsts, counts, total)
        self.vectors = np.full((total, 16), np.nan, np.float32)
        precise = np.full((total, 4, 16), np.nan, np.float32)
        orders = [rng.permutation(4) for _ in range(max(kinds) + 1)]
        for kind, first, count in zip(kinds, firsts, counts, strict=True):
            for row in range(first, first + count):
                shown = orders[kind] if is_by_order else rng.permutation([4 + kind, 0, 1, 2])
                phases = np.eye(16)[shown]
                precise[row] = unit_vectors((phases + noise * rng.standard_normal((4, 16))).astype(np.float32))
                self.vectors[row] = unit_vectors(precise[row].mean(axis=0))
        self.blocks = precise.astype(np.float16)

    def choice(self, labels: list[str | None]) -> RankingChoice:
        return choose_ranking(self.vectors, self.blocks, self.rows, labels)


def _agreement(index: _Index, labels: list[str | None]) -> list[list[bool]]:
    """In the plainest way, of each video and mix: whether the best other labelled video has its label."""

    def rows_of(video: int) -> range:
        return range(index.rows.first_rows[video], index.rows.end_rows[video])

    agrees = []
    for video in (v for v, label in enumerate(labels) if label and labels.count(label) > 1):
        others = [v for v, label in enumerate(labels) if label and v != video]
        scores = []
        for other in others:
            pairs = [(a, b) for a in rows_of(video) for b in rows_of(other)]
            query, row = max(pairs, key=lambda pair: float(index.vectors[pair[0]] @ index.vectors[pair[1]]))
            similarities = block_similarities(*(index.blocks[r].astype(np.float32) for r in (query, row)))
            aligned = path_score(similarities, best_monotone_path(double_centred(similarities)))
            cosine = float(index.vectors[query] @ index.vectors[row])
            scores.append([(1 - mix) * cosine + mix * aligned for mix in MIXES])
        best = np.argmax(scores, axis=0)
        agrees.append([labels[others[at]] == labels[video] for at in best])
    return agrees


def test_classes_that_differ_in_order_only_are_ranked_by_order() -> None:
    kinds = [k % 5 for k in range(60)]
    choice = _Index(kinds, is_by_order=True).choice([f"class {kind}" for kind in kinds])
    assert choice.mix > 0
    assert choice.agreement[0] < 60 < 90 < max(choice.agreement)
    assert choice.num_videos == 60


def test_a_gain_that_may_be_chance_is_none() -> None:
    """Some videos of classes that differ in order alone: too few to tell what all of them would."""
    kinds = [k % 2 for k in range(60)]
    labels: list[str | None] = [f"class {kind}" for kind in kinds]
    index = _Index(kinds, is_by_order=True, noise=0.5)
    many, few = index.choice(labels), index.choice([*labels[:10], *[None] * 50])
    assert many.mix > 0 and max(many.agreement) > many.agreement[0] + 3 * many.standard_error
    assert few.mix == 0 and few.num_videos == 10 and max(few.agreement) > few.agreement[0]


def test_where_order_misleads_cosine_is_kept() -> None:
    kinds = [k % 4 for k in range(60)]
    choice = _Index(kinds, is_by_order=False, noise=0.05).choice([f"class {kind}" for kind in kinds])
    assert choice.mix == 0
    assert choice.agreement[0] > choice.agreement[-1]


@pytest.mark.parametrize("is_by_order", [True, False])
def test_the_mix_is_the_least_within_one_standard_error_of_the_best(is_by_order: bool) -> None:
    kinds = [k % 3 for k in range(30)]
    index = _Index(kinds, is_by_order=is_by_order, noise=0.5)
    labels: list[str | None] = [f"class {kind}" for kind in kinds]
    labels[3], labels[4], labels[10] = None, "", "alone in its class"
    found = index.choice(labels)
    agrees = np.array(_agreement(index, labels))
    shares = agrees.mean(axis=0).tolist()
    assert found.num_videos == 27
    assert found.agreement == pytest.approx([100 * share for share in shares], abs=0.01)
    error = (max(shares) * (1 - max(shares)) / 27) ** 0.5
    assert found.standard_error == pytest.approx(100 * error, abs=0.01)
    least = next(mix for mix, share in zip(MIXES, shares, strict=True) if share >= max(shares) - error)
    gains = [int(best) - int(plain) for best, plain in agrees[:, [int(np.argmax(shares)), 0]]]
    assert found.mix == (least if np.mean(gains) > 2.4 * np.std(gains) / 27**0.5 else 0)
    assert found == index.choice(labels)
    assert RankingChoice.of_fact(json.loads(json.dumps(found.as_dict()))) == found


@pytest.mark.parametrize(
    "labels", [[None] * 6, [""] * 6, ["same"] * 6, list("abcdef"), [None, "a", None, "a", None, None]]
)
def test_without_labels_that_tell_anything_cosine_is_kept(labels: list[str | None]) -> None:
    found = _Index([0, 1] * 3, is_by_order=True).choice(labels)
    assert (found.mix, found.num_videos, found.agreement) == (0, 0, ())


def test_of_very_many_videos_some_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cocon.embedding.ranking.mixing._MAX_VIDEOS", 25)
    kinds = [k % 5 for k in range(60)]
    index, labels = _Index(kinds, is_by_order=True), [f"class {kind}" for kind in kinds]
    choice = index.choice([*labels])
    assert choice.num_videos <= 25
    assert choice.mix > 0
    assert choice == index.choice([*labels])


WHOLE = RankingChoice(0.3, 480, MIXES, (49.0, 50.5, 52.0, 60.25, 60.0, 60.0, 59.0), 2.2, {"run": 240, "sit": 240})


@pytest.mark.parametrize("choice", [WHOLE, RankingChoice(), RankingChoice(label_counts={"run": 1})])
def test_a_choice_travels_as_json(choice: RankingChoice) -> None:
    assert RankingChoice.of_fact(json.loads(json.dumps(choice.as_dict()))) == choice


@pytest.mark.parametrize(
    "changed",
    [
        {"mix": 1.5},
        {"mix": -0.1},
        {"mix": float("nan")},
        {"mix": None},
        {"mix": "much"},
        {"num_videos": -1},
        {"num_videos": "all"},
        {"agreement": None},
        {"agreement": ["x"]},
        {"agreement": [50.0]},
        {"agreement": [101.0] * 7},
        {"label_counts": [3]},
        {"label_counts": {"run": -1}},
        {"form": "another"},
        {"unknown": 1},
    ],
)
def test_a_damaged_choice_is_none(changed: dict[str, Any]) -> None:
    assert RankingChoice.of_fact(WHOLE.as_dict() | changed) is None
    for nothing in (None, [], "x", 0.5):
        assert RankingChoice.of_fact(nothing) is None


def test_a_choice_fits_until_a_tenth_of_the_videos_has_changed() -> None:
    assert WHOLE.fits({"run": 240, "sit": 192})
    assert not WHOLE.fits({"run": 240, "sit": 191})
    assert not RankingChoice().fits({"run": 1})
