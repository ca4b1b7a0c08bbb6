"""Searches of real indexes of made-up blocks, whose labels say that order helps, or say nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cocon.client import VideoIndex
from cocon.client.index.query.queries import Example, Query
from cocon.client.index.ranking import order_ranking
from cocon.client.index.ranking.choice import RANKING_FACT, RankingChoice
from cocon.client.index.search.hits import Hit
from cocon.core.errors import UsageError
from cocon.embedding.alignment import best_monotone_path, block_similarities, double_centred, path_score
from cocon.embedding.ranking.order import Rank

from .conftest import make_index, video_in_order

NAMES = [f"{letter}{number}" for letter in "ud" for number in range(12)]
QUERY = video_in_order("u that asks")
RANKS: tuple[Rank, Rank] = ("cosine", "aligned")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> VideoIndex:
    return make_index(tmp_path_factory.mktemp("index"), NAMES)


def _expected(index: VideoIndex, video: str) -> float:
    """The score written out: of the clips that are most alike, cosine and alignment in the index's mixture."""
    choice = RankingChoice.of_fact(index.snapshot().fact(RANKING_FACT))
    assert choice is not None and choice.mix > 0
    stored = video_in_order(Path(video).name)
    cosines = QUERY.embedding.astype(np.float64) @ stored.embedding.T
    asking, found = np.unravel_index(cosines.argmax(), cosines.shape)
    similarities = block_similarities(QUERY.blocks[asking], stored.blocks[found])
    aligned = path_score(similarities, best_monotone_path(double_centred(similarities)))
    return float((1 - choice.mix) * cosines.max() + choice.mix * aligned)


def _as_pairs(hits: list[Hit]) -> list[tuple[str, float]]:
    return [(hit.video, hit.score) for hit in hits]


def test_hits_are_ranked_by_the_mixture_and_their_order_by_cosine_is_there_for_the_asking(index: VideoIndex) -> None:
    hits = index.search(QUERY, top=24)
    assert [hit.score for hit in hits] == pytest.approx([_expected(index, hit.video) for hit in hits], abs=1e-3)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert [hit.label for hit in hits[:12]] == ["label u"] * 12
    plain = index.search(QUERY, top=24, rank="cosine")
    assert {hit.label for hit in plain[:12]} == {"label u", "label d"}
    assert plain[0].score == pytest.approx(
        max(float((QUERY.embedding @ video_in_order(Path(hit.video).name).embedding.T).max()) for hit in plain),
        abs=1e-5,
    )


def test_pages_and_the_least_score_are_those_of_the_new_order(index: VideoIndex) -> None:
    whole = _as_pairs(index.search(QUERY, top=24))
    for keep_duplicates in (False, True):
        pages = [
            _as_pairs(index.search(QUERY, top=5, offset=offset, keep_duplicates=keep_duplicates))
            for offset in range(0, 25, 5)
        ]
        assert [pair for page in pages for pair in page] == whole
    least = whole[9][1]
    assert _as_pairs(index.search(QUERY, top=24, min_score=least)) == whole[:10]
    assert index.search(QUERY, min_score=0.9999) == []


def test_only_the_first_hits_are_ranked_again(index: VideoIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_ranking, "NUM_RERANKED", 10)
    plain, hits = (_as_pairs(index.search(QUERY, top=24, rank=rank)) for rank in RANKS)
    assert {video for video, _ in hits[:10]} == {video for video, _ in plain[:10]}
    assert hits[:10] != plain[:10]
    assert hits[10:] == plain[10:]


def test_moments_are_ranked_one_by_one(index: VideoIndex) -> None:
    plain, hits = (index.search(QUERY, top=100, grouping="moment", keep_duplicates=True, rank=rank) for rank in RANKS)
    assert len(hits) == len(plain) == 24 * len(QUERY)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    right_before, right_now = (sum(hit.label == "label u" for hit in found[:36]) for found in (plain, hits))
    assert right_before < 30 < right_now


def test_what_has_no_one_order_is_ranked_by_cosine(index: VideoIndex) -> None:
    example = Example.of(QUERY)
    for query in (
        Query.of(replace(example, blocks=None)),
        Query.of_examples([QUERY], [video_in_order("d that is not wanted")]),
    ):
        assert _as_pairs(index.search(query)) == _as_pairs(index.search(query, rank="cosine"))
    assert index.search(QUERY, match="mean") == index.search(QUERY, match="mean", rank="cosine")


@pytest.mark.parametrize("spoilt", ["no labels", "no choice of this version", "no blocks"])
def test_an_index_without_a_choice_or_blocks_is_searched_by_cosine(tmp_path: Path, spoilt: str) -> None:
    index = make_index(tmp_path, NAMES, has_labels=spoilt != "no labels", form="another" if "version" in spoilt else "")
    if spoilt == "no blocks":
        (file,) = tmp_path.glob("blocks-*")
        file.unlink()
    assert _as_pairs(index.search(QUERY)) == _as_pairs(index.search(QUERY, rank="cosine"))


def test_a_moment_whose_blocks_are_damaged_keeps_its_cosine(tmp_path: Path) -> None:
    index = make_index(tmp_path, NAMES)
    sound = dict(_as_pairs(index.search(QUERY, top=24)))
    (file,) = tmp_path.glob("blocks-*")
    content = bytearray(file.read_bytes())
    num_rows = len(NAMES) * len(QUERY)
    content[0 : len(content) // num_rows * len(QUERY)] = b"\xff" * (len(content) // num_rows * len(QUERY))  # NaN
    file.write_bytes(content)
    found, plain = (dict(_as_pairs(VideoIndex(tmp_path).search(QUERY, top=24, rank=r))) for r in ("aligned", "cosine"))
    damaged = f"/videos/{NAMES[0]}"
    assert found[damaged] == plain[damaged] != sound[damaged]
    assert {video: score for video, score in found.items() if video != damaged} == {
        video: score for video, score in sound.items() if video != damaged
    }


def test_another_rank_is_refused(index: VideoIndex) -> None:
    with pytest.raises(UsageError, match=r"rank \('order'\) must be one of cosine, aligned"):
        index.search(QUERY, rank="order")  # type: ignore[arg-type]
