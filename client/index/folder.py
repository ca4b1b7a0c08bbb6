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

from cocon.client.index.addition import Addition, AddReport, Outcome, absolute
from cocon.client.index.files.contents import Contents
from cocon.client.index.files.leftovers import is_ours
from cocon.client.index.files.writer import IndexWriter
from cocon.client.index.reader import IndexReader
from cocon.client.index.records import IndexFacts
from cocon.client.index.vote.keeping import keep_rule
from cocon.client.pipeline.video_embedder import VideoEmbedder
from cocon.core.errors import UsageError
from cocon.core.folder_lock import LOCK_FILE
from cocon.core.printable import escaped, printable, unescaped

__all__ = ["AddReport", "VideoIndex"]

_logger = logging.getLogger(__name__)


class VideoIndex(IndexReader):
    """An index folder. Nothing is opened until it is used; reading and searching are safe for several threads.

    Args:
        folder: Where it is, or where `add` makes it.
    """

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

    def _make_folder(self) -> None:
        present = [path.name for path in self.folder.iterdir()] if self.folder.is_dir() else []
        # A run that was killed at once leaves its lock, empty files of rows and a hidden catalogue.
        if not self.exists and any(name[0] != "." and name != LOCK_FILE and not is_ours(name) for name in present):
            raise UsageError(f"folder '{self}' holds something else than an index; choose another with --index")
        self.folder.mkdir(parents=True, exist_ok=True)


def _below(videos: Sequence[str], path: str) -> list[str]:
    """Which of the videos are a path, or lie in it."""
    return [video for video in videos if video == path or video.startswith(path.rstrip(os.sep) + os.sep)]
