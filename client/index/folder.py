"""A folder of searchable videos: the catalogue, and FAISS over it.

index = VideoIndex("index")
index.add(["a.mp4", "b.mp4"], embedder)
hits = index.search(embedder.embed("query.mp4"), top=10)

index/catalog.sqlite        the truth
index/index.faiss           a cache, built anew whenever it is missing, damaged or out of step
index/index.json            what the cache was built from, and its sha256
"""

import os
from collections.abc import Callable, Iterable, Sequence
from os import PathLike
from pathlib import Path

from cocon.client.index.addition import Addition, AddReport, Outcome, absolute
from cocon.client.index.catalog import Catalog
from cocon.client.index.faiss_cache import FaissCache
from cocon.client.index.records import IndexedVideo, IndexFacts, check_vectors
from cocon.client.index.search.hits import Grouping, Hit
from cocon.client.index.search.nearest import nearest
from cocon.client.models.defaults import DEFAULT_INDEX
from cocon.client.models.fused_model import FusedModel
from cocon.client.pipeline.video_embedder import VideoEmbedder
from cocon.client.pipeline.video_embedding import VideoEmbedding
from cocon.core.errors import MismatchError, UsageError
from cocon.core.folder_lock import folder_lock
from cocon.core.printable import escaped, printable, unescaped

__all__ = ["AddReport", "VideoIndex"]


class VideoIndex:
    """An index folder. Nothing is opened until it is used; searching is safe for several threads.

    Args:
        folder: Where it is, or where `add` makes it.
    """

    def __init__(self, folder: str | PathLike[str] = DEFAULT_INDEX) -> None:
        self.folder = Path(folder)
        self._cache = FaissCache(self.folder)

    def __str__(self) -> str:
        return printable(self.folder)

    @property
    def exists(self) -> bool:
        """Whether it has been made."""
        return self._catalog_path.is_file()

    @property
    def facts(self) -> IndexFacts:
        """What it is made for.

        Raises:
            UsageError: It does not exist.
            MismatchError: Its catalogue is damaged.
        """
        with self._open() as catalog:
            return catalog.facts

    @property
    def made_by(self) -> dict[str, tuple[str, ...]]:
        """View → who made those of its videos, see `identity.identity_of`; raises like `facts`."""
        with self._open() as catalog:
            return catalog.made_by()

    def videos(self) -> list[IndexedVideo]:
        """All videos, by path; raises like `facts`."""
        with self._open() as catalog:
            return catalog.videos()

    def check_model(self, model: FusedModel) -> None:
        """Raise `MismatchError` unless a model gives vectors that this index understands."""
        if self.exists:
            self._check_fingerprint(self.facts, model.view, model.fingerprint)

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
        with folder_lock(self.folder, "index"), Catalog(self._catalog_path, facts) as catalog:
            self._check_fingerprint(catalog.facts, model.view, model.fingerprint)
            embedder.refer_to(catalog.made_by())
            addition = Addition(catalog, embedder.overlap, folders, on_outcome)
            for result in embedder.embed_many(addition.outdated(paths)):
                addition.store(result)
            self._cache.renew(catalog)
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
        with self._open() as catalog, folder_lock(self.folder, "index"):
            known = [video.video for video in catalog.videos()]
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
            catalog.remove(chosen)
            self._cache.renew(catalog)
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
        query.check_complete()
        with self._open() as catalog, catalog.snapshot():
            self._check_fingerprint(catalog.facts, query.view, query.fingerprint)
            check_vectors(query.embedding, catalog.facts.embedding_dim, source=f"'{printable(query.video)}'")
            return nearest(self._cache.current(catalog), query.embedding, catalog.moments, top=top, grouping=grouping)

    @property
    def _catalog_path(self) -> Path:
        return self.folder / "catalog.sqlite"

    def _open(self) -> Catalog:
        if not self.exists:
            raise UsageError(f"index '{self}' does not exist; make one with 'client index add'")
        return Catalog(self._catalog_path)

    def _make_folder(self) -> None:
        present = [path.name for path in self.folder.iterdir()] if self.folder.is_dir() else []
        # A run that was killed at once leaves its lock and a hidden catalogue.
        if not self.exists and any(name[0] != "." and name != "writer.lock" for name in present):
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
