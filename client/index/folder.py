"""A folder of searchable videos.

index = VideoIndex("index")
index.add(["a.mp4", "b.mp4"], embedder)
hits = index.search(embedder.embed("query.mp4"), top=10)

index/catalog.sqlite        the truth about videos, places and clips
index/vectors-*.f32         a row per clip
index/blocks-*.f16          its blocks
index/index.json            the seal: which catalogue is the right one
"""

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from os import PathLike
from pathlib import Path
from threading import Lock

from cocon.client.index.addition import Addition, AddReport, Outcome, absolute
from cocon.client.index.files.contents import Contents
from cocon.client.index.files.leftovers import is_ours
from cocon.client.index.files.proven import CATALOG_FILE
from cocon.client.index.files.reading import open_snapshot, state_of
from cocon.client.index.files.seal import SEAL_FILE
from cocon.client.index.files.snapshot import Snapshot
from cocon.client.index.files.writer import IndexWriter
from cocon.client.index.records import IndexedVideo, IndexFacts, check_vectors
from cocon.client.index.search.hits import Grouping, Hit
from cocon.client.index.search.nearest import nearest
from cocon.client.index.upkeep.kept_folder import KeptFolder
from cocon.client.index.vote.keeping import keep_rule
from cocon.client.index.vote.voters import Voters
from cocon.client.models.defaults import DEFAULT_INDEX
from cocon.client.models.fused_model import FusedModel
from cocon.client.pipeline.video_embedder import VideoEmbedder
from cocon.client.pipeline.video_embedding import VideoEmbedding
from cocon.core.errors import MismatchError, UsageError
from cocon.core.folder_lock import LOCK_FILE
from cocon.core.printable import escaped, printable, unescaped

__all__ = ["AddReport", "VideoIndex"]

_logger = logging.getLogger(__name__)


class VideoIndex(KeptFolder):
    """An index folder. Nothing is opened until it is used; searching is safe for several threads.

    Args:
        folder: Where it is, or where `add` makes it.
    """

    def __init__(self, folder: str | PathLike[str] = DEFAULT_INDEX) -> None:
        super().__init__(folder)
        self._lock = Lock()
        self._loaded: tuple[tuple[object, ...], Snapshot] | None = None
        self._voters: Voters | None = None

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

    def videos(self) -> list[IndexedVideo]:
        """All videos, by path; raises like `facts`."""
        return self.snapshot().videos()

    def snapshot(self) -> Snapshot:
        """The index as it is now; the same as before while nothing has changed. Raises like `facts`."""
        if not self.exists:
            if (self.folder / SEAL_FILE).exists():
                raise MismatchError(f"index '{self}' has lost its '{CATALOG_FILE}'; restore a backup, or index anew")
            raise UsageError(f"index '{self}' does not exist; make one with 'client index add'")
        with self._lock:
            state, before = state_of(self.folder), self._loaded
            if before is None or before[0] != state:
                found = open_snapshot(self.folder, before[1] if before else None)
                for sentence in found.bad:
                    _logger.warning("index '%s': %s; see 'client index verify'", self, sentence)
                self._loaded = (state, found)
            assert self._loaded is not None
            return self._loaded[1]

    def check_model(self, model: FusedModel) -> None:
        """Raise `MismatchError` unless a model gives vectors that this index understands."""
        if self.exists:
            self._check_fingerprint(self.facts, model.view, model.fingerprint)

    def check_query(self, query: VideoEmbedding) -> None:
        """Raise as `search` does unless an embedded video can be compared with those of the index."""
        query.check_complete()
        facts = self.facts
        self._check_fingerprint(facts, query.view, query.fingerprint)
        check_vectors(query.embedding, facts.embedding_dim, source=f"'{printable(query.video)}'")

    def voters(self) -> Voters:
        """Its labelled videos, to be asked what a query shows; raises like `facts`, and like `Voters` without any."""
        snapshot, before = self.snapshot(), self._voters
        if before is None or before.snapshot is not snapshot:
            self._voters = before = Voters(snapshot)
        return before

    def add(
        self,
        paths: Iterable[str | PathLike[str]],
        embedder: VideoEmbedder,
        *,
        folders: Iterable[Path] = (),
        on_outcome: Callable[[Outcome], None] = lambda outcome: None,
    ) -> AddReport:
        """Embed videos and add them; the index is made when it does not exist.

        Each video is stored as it is done: what an interrupted call has added stays, and the next call goes on from
        there. A file that is there with the same content is not embedded again.

        Args:
            paths: Videos.
            embedder: With the model the index was made for.
            folders: Of videos whose sub-folders are labels; those that have a store or a manifest are known.
            on_outcome: Called when it is known what became of a video.

        Raises:
            UsageError: The folder holds something else, or another process is writing.
            MismatchError: The index was made for another model.
            ServerError: The server does not answer.
        """
        model = embedder.model
        facts = IndexFacts(tuple(model.models), model.fingerprint, model.embedding_dim, model.name)
        self._make_folder()
        with IndexWriter(self.folder, new=(facts, model.clip.num_blocks)) as writer:
            self._check_fingerprint(writer.facts, model.view, model.fingerprint)
            embedder.refer_to(writer.fact("made_by") or {})
            contents = Contents(writer)
            addition = Addition(contents, embedder.overlap, folders, on_outcome)
            for result in embedder.embed_many(addition.outdated(paths)):
                addition.store(result)
            contents.drop_orphans()
            keep_rule(writer)
        return addition.report()

    def remove(self, paths: Sequence[str | PathLike[str]]) -> list[str]:
        """Forget videos; the files themselves are not touched and need not exist any more.

        Args:
            paths: Videos, or folders of videos; a written form (`printable.escaped`) is taken as well.

        Returns:
            Absolute paths of the videos removed.

        Raises:
            UsageError: The index does not exist, has none of a path, or another process is writing; nothing is removed.
        """
        self.snapshot()  # it exists
        with IndexWriter(self.folder) as writer:
            known = [unescaped(path) for (path,) in writer.select("SELECT path FROM places ORDER BY path")]
            chosen: dict[str, None] = {}
            for path in paths:
                written = absolute(unescaped(os.fspath(path)))
                found, meant = _below(known, absolute(path)), _below(known, written)
                if found and meant and found != meant:
                    raise UsageError(
                        f"'{printable(path)}' names two videos of index '{self}': one by its path, the other as it is "
                        f"printed; name the first as '{printable(escaped(path))}', the other by its path"
                    )
                found = found or meant
                if not found:
                    named = printable(absolute(path))
                    raise UsageError(f"index '{self}' has no video '{named}'; see 'client index list'")
                chosen.update(dict.fromkeys(found))
            Contents(writer).forget(chosen)
        return list(chosen)

    def search(self, query: VideoEmbedding, *, top: int = 10, grouping: Grouping = "video") -> list[Hit]:
        """Moments like those of a query.

        Args:
            query: An embedded video; every one of its clips asks.
            top: Most hits to return.
            grouping: `video` for the best moment of each video, `moment` for the best moments wherever they are.

        Returns:
            The best first.

        Raises:
            UsageError: The index does not exist, or `top` is not positive.
            MissingViewError: The query lacks a view of the index.
            MismatchError: The query was embedded by another model, or its vectors are unsound.
        """
        if top < 1:
            raise UsageError(f"top ({top}) must be positive")
        self.check_query(query)
        return _interim(self.snapshot(), query, top, grouping)

    def _make_folder(self) -> None:
        present = [path.name for path in self.folder.iterdir()] if self.folder.is_dir() else []
        # A run that was killed at once leaves its lock, empty files of rows and a hidden catalogue.
        if not self.exists and any(name[0] != "." and name != LOCK_FILE and not is_ours(name) for name in present):
            raise UsageError(f"folder '{self}' holds something else than an index; choose another with --index")
        self.folder.mkdir(parents=True, exist_ok=True)

    def _check_fingerprint(self, facts: IndexFacts, view: str, fingerprint: str) -> None:
        if facts.fingerprint != fingerprint:
            raise MismatchError(
                f"index '{self}' was made by another model (view {'+'.join(facts.views)}, {facts.model}, "
                f"fingerprint {facts.fingerprint[:12]}) than this one (view {view}, {fingerprint[:12]}); "
                "re-embed: client index add --index NEW ..."
            )


def _below(videos: Sequence[str], path: str) -> list[str]:
    """Which of the videos are a path, or lie in it."""
    return [video for video in videos if video == path or video.startswith(path.rstrip(os.sep) + os.sep)]


def _interim(snapshot: Snapshot, query: VideoEmbedding, top: int, grouping: Grouping) -> list[Hit]:
    import faiss
    import numpy as np

    live = np.flatnonzero(snapshot.rows.live)
    index = faiss.IndexIDMap2(faiss.IndexFlatIP(snapshot.facts.embedding_dim))
    index.add_with_ids(snapshot.vectors[live], live)
    return nearest(
        index,
        query.embedding,
        lambda rows: dict(zip(rows, snapshot.moments(np.array(rows)), strict=True)),
        top=top,
        grouping=grouping,
    )
