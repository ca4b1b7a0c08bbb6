"""An index in Milvus, asked and kept as a folder is.

index = MilvusIndex("milvus://127.0.0.1:19530/videos")
index.add(["a.mp4", "b.mp4"], embedder)
hits = index.search(embedder.embed("query.mp4"), top=10)

Searches fetch what could be among the answers, and no more; what looks at all of an index (classifying by its labels,
groups, an export) fetches all of it, once until it changes.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from os import PathLike
from pathlib import Path
from threading import RLock
from typing import Any, NoReturn, Unpack

import numpy as np

from cocon.client.collection.candidates import fetched_rows
from cocon.client.collection.catalogue import (
    as_snapshot,
    fact_records,
    facts_of,
    filled_catalogue,
    records_of,
    videos_of_ids,
    whole_records,
    with_vectors,
)
from cocon.client.collection.expressions import any_of, places_expression, timely_expression
from cocon.client.collection.fetched_search import CollectionSearch, NotEnoughError
from cocon.client.collection.records_kept import record_key
from cocon.client.collection.stored_rows import StoredRows
from cocon.client.collection.urls import CollectionUrl
from cocon.client.collection.writer import CollectionWriter
from cocon.client.index.answers.overview import StoredFile, files_of
from cocon.client.index.answers.searching import SnapshotSearch
from cocon.client.index.changes.observation import absolute
from cocon.client.index.changes.removal import named_videos
from cocon.client.index.exchange.exporting import ExportReport, export_parquet
from cocon.client.index.files.snapshot import Snapshot
from cocon.client.index.files.writing import CatalogueWriter
from cocon.client.index.folder import VideoIndex
from cocon.client.index.projection.kept_map import KeptMap, map_cache
from cocon.client.index.query.filters import NO_FILTERS, Filters
from cocon.client.index.query.naming import ExampleReader, ReadingKeywords
from cocon.client.index.query.queries import Example, Query
from cocon.client.index.query.search_options import DEFAULT_OPTIONS, SearchOptions
from cocon.client.index.query.spans import named_part
from cocon.client.index.query.stored import parse_id
from cocon.client.index.records import IndexedVideo, IndexFacts
from cocon.client.index.search.hits import Hit
from cocon.client.index.upkeep.figures import IndexStatistics, statistics_of
from cocon.client.pipeline.video_embedder import VideoEmbedder
from cocon.client.pipeline.video_embedding import FailedVideo, VideoEmbedding
from cocon.core.errors import UsageError
from cocon.core.printable import escaped
from cocon.core.progress import OnProgress, no_progress
from cocon.core.texts.text_files import named_path
from cocon.video.output_file import output_file

__all__ = ["MilvusIndex"]

# Clips of an index that is fetched whole where its candidates decide nothing.
_MAX_WHOLE = 1_000_000
_IDS_ASKED = 8_000


class MilvusIndex(VideoIndex):
    """An index in Milvus. Nothing is opened until it is used; reading and searching are safe for several threads.

    Besides what the methods of `VideoIndex` raise, all raise `ServerError` where Milvus does not answer.

    Args:
        url: See `collection/urls.py`.

    Raises:
        UsageError: It is none.
    """

    def __init__(self, url: str) -> None:
        self.url = CollectionUrl.parse(url)
        super().__init__(url)
        self._map = KeptMap(map_cache(str(self.url)), self._damage.tell)
        self._stored = StoredRows(self.url)
        self._opening = RLock()
        self._catalogue: tuple[str, Snapshot] | None = None
        self._whole: tuple[str, bool, Snapshot, SnapshotSearch] | None = None

    def __str__(self) -> str:
        return str(self.url)

    def close(self) -> None:
        """Close the connection; another process may open the file of Milvus Lite then."""
        self._stored.close()

    @property
    def exists(self) -> bool:
        """Whether it has been made."""
        return self._stored.exist

    def check_exists(self) -> None:
        """Raise `UsageError` if it has not."""
        if not self.exists:
            raise UsageError(f"index '{self}' does not exist; make one with 'client index add'")

    def known_facts(self) -> IndexFacts | None:
        """What it is made for; None where it has not been made."""
        return self.facts if self.exists else None

    @property
    def facts(self) -> IndexFacts:
        """What it is made for; raises `UsageError` if it does not exist."""
        return IndexFacts.from_json(self._facts()["index"])

    @property
    def made_by(self) -> dict[str, tuple[str, ...]]:
        """View → who made those of its videos; raises like `facts`."""
        return {view: tuple(names) for view, names in (self._facts().get("made_by") or {}).items()}

    def videos(self, filters: Filters = NO_FILTERS, *, top: int | None = None, offset: int = 0) -> list[IndexedVideo]:
        """Videos by path; see `VideoIndex.videos`."""
        if offset < 0 or (top is not None and top < 0):
            raise UsageError(f"top ({top}) and offset ({offset}) must be at least 0")
        end = None if top is None else offset + top
        if filters == NO_FILTERS:
            return self._records().videos(top=-1 if top is None else top, offset=offset)
        facts = self._facts()
        places = self._places(filters)[offset:end]
        ids = sorted({video_id for _, video_id, *_ in places})
        records = {"facts": fact_records(facts), "videos": videos_of_ids(self._stored, ids), "places": places}
        found = as_snapshot(self.url, filled_catalogue(records | {"failures": [], "unplaced": []}))
        return found.videos()

    def num_videos(self, filters: Filters = NO_FILTERS) -> int:
        """How many `videos` there are in all."""
        return super().num_videos() if filters == NO_FILTERS else len(self._places(filters))

    def snapshot(self) -> Snapshot:
        """All of the index, its vectors included, which are fetched; the same as before while nothing has changed."""
        return self._fetched_whole(with_blocks=False).snapshot

    def part(self, video_ids: Sequence[int]) -> Snapshot:
        """A snapshot of these videos, blocks included, which are fetched."""
        facts, nothing = self._facts(), np.zeros(0, np.int64)
        with_blocks = bool(facts["rows"]["num_blocks"])
        wanted = np.array(sorted(video_ids), np.int64)
        return fetched_rows(self._stored, facts, nothing, with_blocks=with_blocks, whole=wanted).snapshot

    def files_of(self, video_id: int) -> list[StoredFile]:
        """Where the content of a video was found; see `VideoIndex.files_of`."""
        return files_of(self.part([video_id]), video_id)

    def search_many(
        self, queries: Sequence[VideoEmbedding | Query], options: SearchOptions = DEFAULT_OPTIONS
    ) -> list[list[Hit]]:
        """The answers to many queries; see `VideoIndex.search`."""
        asked = [query if isinstance(query, Query) else Query.of(query) for query in queries]
        facts = self._facts()
        for query in asked:
            self._check_examples(query, IndexFacts.from_json(facts["index"]))
        allowed = None
        if options.filters.are_of_places:
            allowed = sorted({video_id for _, video_id, *_ in self._places(options.filters, is_timely=False)})
        try:
            return CollectionSearch(self._stored, facts, allowed).hits(asked, options)
        except NotEnoughError:
            return self._searched_whole(asked, options)

    def examples(
        self, names: Sequence[str], open_embedder: Callable[[], VideoEmbedder], **how: Unpack[ReadingKeywords]
    ) -> Iterator[list[Example] | FailedVideo]:
        """What names stand for, to make queries of; see `VideoIndex.examples`."""

        def opened() -> VideoEmbedder:
            embedder = open_embedder()
            self.check_model(embedder.model)
            embedder.refer_to(self.made_by)
            return embedder

        return ExampleReader(self._named(names), opened, **how).read(names)

    def remove(
        self, paths: Sequence[str | PathLike[str]] = (), *, filters: Filters = NO_FILTERS, wait_s: float = 0.0
    ) -> list[str]:
        """Forget videos; see `VideoIndex.remove`."""
        if not filters.have_times:
            return super().remove(paths, filters=filters, wait_s=wait_s)
        chosen = [video.video for video in self.videos(filters)]
        if len(paths):
            named = set(named_videos(self._records().select, paths, str(self)))
            chosen = [path for path in chosen if path in named]
        return super().remove(chosen, wait_s=wait_s) if chosen else []

    def writer(
        self, *, new: tuple[IndexFacts, int] | None = None, wait_s: float = 0.0
    ) -> AbstractContextManager[CatalogueWriter]:
        """Open it for writing; see `Store.writer`."""
        return CollectionWriter(self._stored, new=new, wait_s=wait_s)

    def keep_lists(self, writer: object, on_progress: OnProgress) -> None:
        """Nothing: what makes searches quick is Milvus's own."""

    def statistics(self) -> IndexStatistics:
        """What it consists of; how large it is, Milvus knows."""
        snapshot = self._records()
        lists = {"why_none": "every vector is compared, by Milvus"}
        found = statistics_of(snapshot)
        return IndexStatistics(**{name: getattr(found, name) for name in found.__slots__} | {"lists": lists})

    def export(
        self, path: str | PathLike[str], filters: Filters = NO_FILTERS, *, on_progress: OnProgress = no_progress
    ) -> ExportReport:
        """Write the index as one Parquet file; see `VideoIndex.export`."""
        video_ids = None
        if filters != NO_FILTERS:
            video_ids = np.array(sorted({video_id for _, video_id, *_ in self._places(filters)}), np.int64)
        with output_file(Path(path), option="export") as partial:
            return export_parquet(self._fetched_whole(with_blocks=True).snapshot, partial, on_progress, video_ids)

    def verify(self, **_: object) -> NoReturn:
        """Milvus itself looks after its files: raises `UsageError`."""
        raise self._not_here("verify")

    def rebuild(self, **_: object) -> NoReturn:
        """Likewise."""
        raise self._not_here("rebuild")

    def compact(self, **_: object) -> NoReturn:
        """Likewise."""
        raise self._not_here("compact")

    def backup(self, *_: object, **__: object) -> NoReturn:
        """Likewise."""
        raise self._not_here("backup", "; 'client index copy' makes a folder of it, 'client index export' a file")

    def _not_here(self, verb: str, remedy: str = "") -> UsageError:
        return UsageError(
            f"index '{self}' is kept by Milvus, which looks after its own files: there is no '{verb}' for it{remedy}"
        )

    def _facts(self) -> dict[str, Any]:
        self.check_exists()
        return facts_of(self._stored)

    def _records(self) -> Snapshot:
        """The whole catalogue, without vectors, as it is now."""
        epoch = self._facts()["epoch"]
        with self._opening:
            if self._catalogue is None or self._catalogue[0] != epoch:
                self._catalogue = (epoch, as_snapshot(self.url, filled_catalogue(whole_records(self._stored))))
            return self._catalogue[1]

    def _fetched_whole(self, *, with_blocks: bool) -> SnapshotSearch:
        epoch = self._facts()["epoch"]
        with self._opening:
            known = self._whole
            if known is None or known[0] != epoch or (with_blocks and not known[1]):
                found = with_vectors(
                    self._stored, filled_catalogue(whole_records(self._stored)), with_blocks=with_blocks
                )
                known = self._whole = (epoch, with_blocks, found, SnapshotSearch(found, self._damage.note_unsound))
            return known[3]

    def _searched_whole(self, queries: Sequence[Query], options: SearchOptions) -> list[list[Hit]]:
        num_clips = self._records().rows.num_live
        if num_clips > _MAX_WHOLE:
            raise UsageError(
                f"index '{self}' has {num_clips} clips, too many for this search; ask for fewer answers (--top, "
                "--offset), or by fewer examples"
            )
        return self._fetched_whole(with_blocks=True).hits(queries, options)

    def _places(self, filters: Filters, *, is_timely: bool = True) -> list[list[Any]]:
        """Records of the places that meet filters, by path."""
        rows = self._stored.where("catalogue", places_expression(filters), ["key", "kind", "record"])
        found = records_of(rows)["places"]
        catalogue = filled_catalogue({"facts": [], "videos": [], "places": [], "failures": [], "unplaced": []})
        catalogue.executemany("INSERT INTO places VALUES (?, ?, ?, ?, ?, 0)", found)
        meant = {path for path, _ in filters.places(lambda sql, values: catalogue.execute(sql, values).fetchall())}
        catalogue.close()
        chosen = sorted((place for place in found if place[0] in meant), key=lambda place: place[0].encode())
        if not is_timely or not filters.have_times:
            return chosen
        timely = self._timely(filters, sorted({place[1] for place in chosen}))
        return [place for place in chosen if place[1] in timely]

    def _timely(self, filters: Filters, video_ids: Sequence[int]) -> set[int]:
        """Those of the videos that have a clip of the time that is asked for."""
        timely, found = timely_expression(filters), set[int]()
        for begin in range(0, len(video_ids), _IDS_ASKED):
            expression = f"{any_of(video_ids[begin : begin + _IDS_ASKED])} and {timely or 'clip >= 0'}"
            found |= {row["video_id"] for row in self._stored.where("clips", expression, ["key", "video_id"])}
        return found

    def _named(self, names: Sequence[str]) -> Snapshot:
        """The videos that names may stand for, whole, and nothing else."""
        ids, paths = set(), set()
        for name in names:
            try:
                whole, _ = named_part(name)
            except UsageError:
                continue
            if (stored := parse_id(whole)) is not None:
                ids.add(stored[0])
            paths.add(escaped(absolute(named_path(whole))))
        ids |= {place[1] for place in self._places_at(sorted(paths))}
        return self.part(sorted(ids))

    def _places_at(self, paths: Sequence[str]) -> list[list[Any]]:
        keys = [record_key("places", path) for path in paths]
        return records_of(self._stored.of_keys("catalogue", keys, ["kind", "record"]))["places"]
