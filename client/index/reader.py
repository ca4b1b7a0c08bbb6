"""The read side of an index: what it holds, and search in it. It takes no lock and writes nothing."""

import logging
from collections.abc import Callable, Iterator, Sequence
from os import PathLike
from threading import Lock
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.answers.all_vectors import StoredClips, StoredMeans, clip_vectors, video_vectors
from cocon.client.index.answers.listing import listed, listed_by_id
from cocon.client.index.answers.overview import IndexOverview, StoredFile, files_of, num_listed, overview_of
from cocon.client.index.answers.searching import SnapshotSearch
from cocon.client.index.files.reading import open_snapshot, state_of
from cocon.client.index.files.row_table import RowTable
from cocon.client.index.files.snapshot import Snapshot
from cocon.client.index.projection.kept_map import KeptMap
from cocon.client.index.projection.stored_map import StoredMap
from cocon.client.index.query.filters import NO_FILTERS, Filters
from cocon.client.index.query.naming import ExampleReader, ReadingKeywords
from cocon.client.index.query.queries import Example, Query
from cocon.client.index.query.search_options import DEFAULT_OPTIONS, SearchKeywords, SearchOptions
from cocon.client.index.query.spans import TimeSpan
from cocon.client.index.query.stored import example_of_id, part_of
from cocon.client.index.records import IndexedVideo, IndexFacts, check_fingerprint, check_vectors
from cocon.client.index.search.hits import Hit
from cocon.client.index.upkeep.kept_folder import KeptFolder
from cocon.client.index.vote.labels import labels_at
from cocon.client.index.vote.voters import Voters
from cocon.client.models.defaults import DEFAULT_INDEX
from cocon.client.pipeline.video_embedder import VideoEmbedder
from cocon.client.pipeline.video_embedding import FailedVideo, VideoEmbedding
from cocon.core.errors import UsageError
from cocon.core.printable import printable
from cocon.core.progress import OnProgress, no_progress
from cocon.embedding.videos.fused_model import FusedModel

__all__ = ["IndexReader"]

_logger = logging.getLogger(__name__)


class IndexReader(KeptFolder):
    """An index folder, for reading. Nothing is opened until it is used; safe for several threads.

    Args:
        folder: Where it is.
    """

    def __init__(self, folder: str | PathLike[str] = DEFAULT_INDEX) -> None:
        super().__init__(folder)
        self._lock = Lock()
        self._loaded: tuple[tuple[object, ...], SnapshotSearch] | None = None
        self._damage = _Damage(str(self))
        self._voters: Voters | None = None
        self._map = KeptMap(self.folder, self._damage.tell)

    @property
    def facts(self) -> IndexFacts:
        """What it is made for.

        Raises:
            UsageError: It does not exist.
            MismatchError: Its catalogue is damaged.
        """
        return self.snapshot().facts

    @property
    def made_by(self) -> dict[str, tuple[str, ...]]:
        """View → who made those of its videos, see `identity.identity_of`; raises like `facts`."""
        return {view: tuple(names) for view, names in (self.snapshot().fact("made_by") or {}).items()}

    def videos(self, filters: Filters = NO_FILTERS, *, top: int | None = None, offset: int = 0) -> list[IndexedVideo]:
        """Videos by path.

        Args:
            filters: What they must meet; of a time, with one of their moments.
            top: Most to return; None for all.
            offset: Videos left out before them.

        Raises:
            UsageError: The index does not exist, or `top` or `offset` is negative.
            MismatchError: Its catalogue is damaged.
        """
        if offset < 0 or (top is not None and top < 0):
            raise UsageError(f"top ({top}) and offset ({offset}) must be at least 0")
        return listed(self._records(), filters, top=top, offset=offset)

    def videos_of(self, video_ids: Sequence[int]) -> list[IndexedVideo]:
        """Videos of contents, in that order, each at its first place; unknown ids are left out. Raises like `facts`."""
        return listed_by_id(self._records(), video_ids)

    def num_videos(self, filters: Filters = NO_FILTERS) -> int:
        """How many `videos` there are in all; raises like `facts`."""
        return num_listed(self._records(), filters)

    def overview(self) -> IndexOverview:
        """What it holds as a whole; raises like `facts`."""
        return overview_of(self._records())

    def labels_at(self, video_ids: NDArray[np.int64], clips: NDArray[np.int64]) -> list[str | None]:
        """What clips show, `int64 [M]` each; None without a label. Raises like `facts`."""
        return labels_at(self._records(), video_ids, clips)

    def files_of(self, video_id: int) -> list[StoredFile]:
        """Where the content of a video was found, by path; none if it has no such video. Raises like `facts`."""
        return files_of(self._records(), video_id)

    def example(self, video_id: int, span: TimeSpan | None = None, *, name: str | None = None) -> Example:
        """A stored video, or a part of it, as an example.

        Args:
            video_id: Of it.
            span: The part; None for all of it.
            name: What it is called in answers: `id:12` unless given.

        Raises:
            UsageError: The index does not exist, or has no such video, or that no such part.
            MismatchError: Its vectors are damaged.
        """
        return part_of(example_of_id(self.part([video_id]), video_id, None, name or f"id:{video_id}"), span)

    def video_vectors(self, filters: Filters = NO_FILTERS) -> StoredMeans:
        """The mean vector of every content that has a place which meets filters; raises like `facts`."""
        return video_vectors(self.snapshot(), filters)

    def clip_vectors(self, *, max_clips: int) -> StoredClips:
        """Clips: all, or always the same `max_clips` of them; raises like `facts`."""
        return clip_vectors(self.snapshot(), max_clips)

    def map(self) -> StoredMap | None:
        """Its map, if `compute_map` has made one; raises like `facts`.

        Clips that are gone are left out, and later ones are placed beside their neighbours; a map of which most is gone
        or would be such is stale. Of a damaged file there is none, and that is said.
        """
        self.check_exists()
        return self._map.read(self.snapshot()) if self._map.exists else None

    def compute_map(
        self, *, max_clips: int | None = None, is_anew: bool = False, on_progress: OnProgress = no_progress
    ) -> tuple[StoredMap, bool]:
        """Lay out the clips in a plane by what they show, and keep it; a minute or two for 100,000.

        Where there is a map that is not stale, what came later is placed in it and nothing is moved.

        Args:
            max_clips: Most points, so many of the clips by chance; None for as many as before, or 100,000.
            is_anew: Lay out all of them in any case.
            on_progress: Called with steps done, of how many; what it raises ends the work, and the old map stays.

        Returns:
            The map, and whether it was laid out anew.

        Raises:
            UsageError: As `facts`; or the folder cannot be written.
            MismatchError: As `facts`.
            StorageError: The disk takes no more.
        """
        return self._map.make(self.snapshot(), max_clips, is_anew=is_anew, on_progress=on_progress)

    def snapshot(self) -> Snapshot:
        """The index as it is now; the same as before while nothing has changed. Raises like `facts`."""
        return self._search().snapshot

    def table(self) -> RowTable:
        """Its videos, and how many clips each has; raises like `facts`."""
        return self._records().rows

    def part(self, video_ids: Sequence[int]) -> Snapshot:  # a folder is read where it lies
        """A snapshot that has these videos, blocks included, and maybe others; raises like `facts`."""
        return self.snapshot()

    def _records(self) -> Snapshot:
        """The catalogue as it is now; of it, nobody asks for vectors. Raises like `facts`."""
        return self.snapshot()

    def check_model(self, model: FusedModel) -> None:
        """Raise `MismatchError` unless a model gives vectors that this index understands."""
        if self.exists:
            check_fingerprint(self.facts, model.view, model.fingerprint, index=str(self), model=model.name)

    def check_query(self, query: VideoEmbedding | Query) -> None:
        """Raise as `search` does unless a query can be compared with the videos of the index."""
        self._check_examples(query if isinstance(query, Query) else Query.of(query), self.facts)

    def voters(self) -> Voters:
        """Its labelled videos, to be asked what a query shows; raises like `facts`, and like `Voters` without any."""
        snapshot, before = self.snapshot(), self._voters
        if before is None or before.snapshot is not snapshot:
            self._voters = before = Voters(snapshot)
        return before

    def search(self, query: VideoEmbedding | Query, **options: Unpack[SearchKeywords]) -> list[Hit]:
        """Moments like those of a query.

        Args:
            query: An embedded video, of which every clip asks; or a `Query`, which may have several examples.
            options: See `SearchOptions`: `top=10, grouping="moment", filters=Filters(labels=("jump",))`.

        Returns:
            The best first.

        Raises:
            UsageError: The index does not exist, or an option is out of range.
            MissingViewError: The query lacks a view of the index.
            MismatchError: The query was embedded by another model, or its vectors are unsound.
        """
        return self.search_many([query], SearchOptions(**options))[0]

    def search_many(
        self, queries: Sequence[VideoEmbedding | Query], options: SearchOptions = DEFAULT_OPTIONS
    ) -> list[list[Hit]]:
        """The answers to many queries, which takes less time than one after the other; raises like `search`."""
        asked = [query if isinstance(query, Query) else Query.of(query) for query in queries]
        search = self._search()
        for query in asked:
            self._check_examples(query, search.snapshot.facts)
        return search.hits(asked, options)

    def examples(
        self, names: Sequence[str], open_embedder: Callable[[], VideoEmbedder], **how: Unpack[ReadingKeywords]
    ) -> Iterator[list[Example] | FailedVideo]:
        """What names of files, parts of files, stored videos and vectors stand for, to make queries of.

        Args:
            names: See `ExampleReader.read`.
            open_embedder: Called when there is a video that must be embedded.
            how: See `ExampleReader`.

        Yields:
            For each name its examples, or why there are none.

        Raises:
            UsageError: The index does not exist.
            MismatchError: The embedder has another model than the index.
            ServerError: The server does not answer.
        """

        def opened() -> VideoEmbedder:
            embedder = open_embedder()
            self.check_model(embedder.model)
            embedder.refer_to(self.made_by)
            return embedder

        return ExampleReader(self.snapshot(), opened, **how).read(names)

    def _search(self) -> SnapshotSearch:
        """Of the index as it is now; nobody waits for a writer, and of several threads one opens it."""
        with self._lock:
            state, before = state_of(self.folder), self._loaded
            if before is None or before[0] != state:
                self.check_exists()
                found = open_snapshot(self.folder, before[1].snapshot if before else None)
                for sentence in found.bad:
                    self._damage.tell(sentence)
                is_later = before is not None and found.is_later_than(before[1].snapshot)
                known = before[1] if before is not None and is_later else None
                self._loaded = (state, SnapshotSearch(found, self._damage.note_unsound, known))
            assert self._loaded is not None
            return self._loaded[1]

    def _check_examples(self, query: Query, facts: IndexFacts) -> None:
        for example in query.examples:
            if example.fingerprint is not None:
                check_fingerprint(facts, example.view, example.fingerprint, index=str(self))
            check_vectors(example.vectors, facts.embedding_dim, source=f"'{printable(example.name)}'")


class _Damage:
    """Tells of damage, once. What searches refer to it, and not to the reader, lest their memory stay for long."""

    def __init__(self, index: str) -> None:
        self._index = index
        self._told: set[str] = set()

    def note_unsound(self, count: int) -> None:
        self.tell(f"{count} damaged vector{'s are' if count > 1 else ' is'} left out")

    def tell(self, sentence: str) -> None:
        if sentence not in self._told:
            self._told.add(sentence)
            _logger.warning("index '%s': %s; see 'client index verify'", self._index, sentence)
