"""How a search answers."""

import math
from dataclasses import dataclass
from typing import Literal, TypedDict, get_args

from cocon.client.index.query.filters import NO_FILTERS, Filters
from cocon.client.index.search.hits import Grouping, check_grouping
from cocon.core.errors import UsageError
from cocon.core.printable import printable
from cocon.embedding.ranking.order import Rank, check_rank

__all__ = ["DEFAULT_OPTIONS", "Match", "SearchKeywords", "SearchOptions"]

Match = Literal["best", "mean"]


class SearchKeywords(TypedDict, total=False):
    """The fields of `SearchOptions`, as the keywords of a call."""

    top: int
    offset: int
    grouping: Grouping
    match: Match
    rank: Rank
    filters: Filters
    min_score: float | None
    exclude_self: bool
    keep_duplicates: bool
    is_exact: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOptions:
    """How a search answers.

    Attributes:
        top: Most hits to return.
        offset: Hits left out before them: pages of 10 begin at 0, 10, 20.
        grouping: `video` for the best moment of each video, `moment` for the best moments wherever they are.
        match: `best`: a video is as similar as its most similar clip. `mean`: as its mean vector is to that of the
            query, the moment being the whole video.
        rank: `aligned`: the first 200 hits are ranked by what they show first, then and last as well, as far as the
            labels of the index say that it helps, see `RankingChoice`. `cosine`: they are not.
        filters: What a hit must meet.
        min_score: Lower ones are no hits.
        exclude_self: Leave out what asks: its content, and what is stored of its path.
        keep_duplicates: Show all copies of a video, see `copies`, and all moments that overlap.
        is_exact: Compare every vector, also where lists would be quicker.

    Raises:
        UsageError: One is out of range.
    """

    top: int = 10
    offset: int = 0
    grouping: Grouping = "video"
    match: Match = "best"
    rank: Rank = "aligned"
    filters: Filters = NO_FILTERS
    min_score: float | None = None
    exclude_self: bool = False
    keep_duplicates: bool = False
    is_exact: bool = False

    def __post_init__(self) -> None:
        if self.top < 1:
            raise UsageError(f"top ({self.top}) must be positive")
        if self.offset < 0:
            raise UsageError(f"offset ({self.offset}) must be at least 0")
        if self.min_score is not None and math.isnan(self.min_score):
            raise UsageError("min_score must be a number")
        check_grouping(self.grouping)
        check_rank(self.rank)
        if self.match not in get_args(Match):
            raise UsageError(f"match ('{printable(self.match)}') must be one of {', '.join(get_args(Match))}")
        if self.match == "mean" and self.grouping == "moment":
            raise UsageError("the mean of a video has no moments; leave out --match mean, or --all-moments")


DEFAULT_OPTIONS = SearchOptions()
"""The ten most similar videos, each by its best moment."""
