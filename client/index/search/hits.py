"""What a search answers."""

from dataclasses import asdict, dataclass
from typing import Literal, get_args

from cocon.client.pipeline.video_embedding import Row
from cocon.core.errors import UsageError
from cocon.core.printable import escaped, printable

__all__ = ["Grouping", "Hit", "check_grouping"]

Grouping = Literal["video", "moment"]


@dataclass(frozen=True, slots=True)
class Hit:
    """One answer to a query.

    Attributes:
        rank: From 1, the best first.
        video: Absolute path.
        start_seconds: Of the moment, relative to the first frame.
        end_seconds: Likewise.
        score: Cosine of the moment and the most similar clip of the query; higher is better. Of several examples, the
            sum over them of their weight times that. Where order counts, mixed with how well both align.
        label: Of the moment, or else of the video, where it is known.
        video_id: Of its content in the index.
        clip: Number of the moment in its video, from 0.
        query_clip: Which clip of the query, or of its example, is most similar to the moment, from 0.
        also: Other paths that hold the same content.
        query: What the query is called.
        query_example: What the example is called that the clip is of: the query, unless it has several.
        query_start_seconds: Of the clip of the query; None where it is not known.
        query_end_seconds: Likewise.
        empty_views: Views in which neither the moment nor the clip of the query shows anybody, and which are as alike
            as can be for that alone.
    """

    rank: int
    video: str
    start_seconds: float
    end_seconds: float
    score: float
    label: str | None
    video_id: int = 0
    clip: int = 0
    query_clip: int = 0
    also: tuple[str, ...] = ()
    query: str = ""
    query_example: str = ""
    query_start_seconds: float | None = None
    query_end_seconds: float | None = None
    empty_views: tuple[str, ...] = ()

    def row(self) -> Row:
        """The fields by name; paths in their written form (`printable.escaped`)."""
        names = {name: escaped(getattr(self, name)) for name in ("video", "query", "query_example")}
        return asdict(self) | names | {"also": [escaped(path) for path in self.also]}


def check_grouping(grouping: str) -> None:
    """Raise `UsageError` unless it is a `Grouping`."""
    if grouping not in get_args(Grouping):
        raise UsageError(f"grouping ('{printable(grouping)}') must be one of {', '.join(get_args(Grouping))}")
