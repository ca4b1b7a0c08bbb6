"""The options of `client search` that say how it answers."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cocon.core.options import takes_options

if TYPE_CHECKING:
    from cocon.client.index.query.filters import Filters
    from cocon.client.index.query.search_options import SearchOptions

__all__ = ["AnswerOptions", "takes_answer_options"]


@dataclass(frozen=True, slots=True)
class AnswerOptions:
    """How a search answers. A command that `takes_answer_options` has them as its own."""

    top: Annotated[int, typer.Option("--top", min=1, help="Hits of each query.")] = 10
    offset: Annotated[int, typer.Option("--offset", min=0, help="Hits left out before them.")] = 0
    all_moments: Annotated[
        bool, typer.Option("--all-moments", help="The best moments wherever they are, not one per video.")
    ] = False
    match: Annotated[
        Literal["best", "mean"], typer.Option("--match", help="By the best clip of a video, or the mean of all.")
    ] = "best"
    rank: Annotated[
        Literal["cosine", "aligned"],
        typer.Option("--rank", help="By cosine alone, or by order as well where the index's labels say that it helps."),
    ] = "aligned"
    min_score: Annotated[
        float | None, typer.Option("--min-score", help="Leave out lower ones.", show_default=False)
    ] = None
    exclude_self: Annotated[bool, typer.Option("--exclude-self", help="Leave out the query itself.")] = False
    keep_duplicates: Annotated[
        bool, typer.Option("--keep-duplicates", help="Also copies of a hit, and moments that overlap one.")
    ] = False
    exact: Annotated[bool, typer.Option("--exact", help="Compare every vector, however many there are.")] = False

    def search_options(self, filters: "Filters") -> "SearchOptions":
        """The same for `VideoIndex.search_many`, with what a hit must meet."""
        from cocon.client.index.query.search_options import SearchOptions

        return SearchOptions(
            top=self.top,
            offset=self.offset,
            grouping="moment" if self.all_moments else "video",
            match=self.match,
            rank=self.rank,
            filters=filters,
            min_score=self.min_score,
            exclude_self=self.exclude_self,
            keep_duplicates=self.keep_duplicates,
            is_exact=self.exact,
        )


takes_answer_options = takes_options(AnswerOptions)
