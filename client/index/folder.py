"""A folder of searchable videos.

index = VideoIndex("index")
index.add(["a.mp4", "b.mp4"], embedder)
hits = index.search(embedder.embed("query.mp4"), top=10)

index/catalog.sqlite        the truth about videos, places and clips
index/vectors-*.f32         a row per clip
index/blocks-*.f16          its blocks
index/index.json            the seal: which catalogue is the right one
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path

from cocon.client.index.changes.failed_files import failed_files
from cocon.client.index.changes.observation import Elsewhere
from cocon.client.index.changes.outcomes import AddReport, Outcome
from cocon.client.index.changes.removal import gone_videos
from cocon.client.index.changes.videos import add_videos, describe_videos, prune_videos, remove_videos
from cocon.client.index.labelling.label_changes import label_videos
from cocon.client.index.query.conditions import checked_values
from cocon.client.index.query.filters import NO_FILTERS, Filters
from cocon.client.index.reader import IndexReader
from cocon.client.index.records import FailedFile
from cocon.client.pipeline.many_videos import ManyVideosSettings
from cocon.client.pipeline.video_embedder import VideoEmbedder
from cocon.core.progress import OnProgress, no_progress

__all__ = ["AddReport", "VideoIndex"]


class VideoIndex(IndexReader):
    """An index folder. Nothing is opened until it is used; reading and searching are safe for several threads.

    Args:
        folder: Where it is, or where `add` makes it.
    """

    def add(
        self,
        paths: Iterable[str | PathLike[str]],
        embedder: VideoEmbedder | ManyVideosSettings,
        *,
        folders: Iterable[Path] = (),
        retry_failed: bool = False,
        wait_s: float = 0.0,
        on_outcome: Callable[[Outcome], None] = lambda outcome: None,
        on_lists: OnProgress = no_progress,
        elsewhere: Elsewhere | None = None,
    ) -> AddReport:
        """Embed videos and add them; the index is made when it does not exist.

        Each video is stored as it is done: what an interrupted call has added stays, and the next call goes on from
        there. A file that is there with the same content is not embedded again, wherever it was before. A file whose
        content has changed to something that cannot be embedded is not in the index any more.

        Args:
            paths: Videos.
            embedder: With the model the index was made for. Settings are opened when there is something to embed.
            folders: Of videos whose sub-folders are labels; those that have a store or a manifest are known.
            retry_failed: Try again what failed before and has not changed since.
            wait_s: How long to wait for another writer.
            on_outcome: Called when what became of a video is committed.
            on_lists: Called while the lists of a large index are built at the end, with how many rows were seen, of
                how many.
            elsewhere: Where URLs among the paths are looked up, as by `RemoteFiles`; the embedder must fetch them too.

        Raises:
            UsageError: The folder holds something else, or another process is writing.
            MismatchError: The index was made for another model.
            ServerError: The server does not answer.
        """
        return add_videos(
            self,
            paths,
            embedder,
            folders=folders,
            retry_failed=retry_failed,
            wait_s=wait_s,
            on_outcome=on_outcome,
            on_lists=on_lists,
            elsewhere=elsewhere,
        )

    def remove(
        self, paths: Sequence[str | PathLike[str]] = (), *, filters: Filters = NO_FILTERS, wait_s: float = 0.0
    ) -> list[str]:
        """Forget videos; the files themselves are not touched and need not exist any more.

        Args:
            paths: Videos, or folders of videos, see `removal.named_videos`; failed files are forgotten as well.
            filters: What `videos` lists by them is forgotten, of these paths if there are any.
            wait_s: How long to wait for another writer.

        Returns:
            Absolute paths of the videos removed.

        Raises:
            UsageError: The index does not exist, has none of a path, nothing is chosen, or another process is writing;
                nothing is removed.
        """
        self.check_exists()
        return remove_videos(self, paths, filters, wait_s=wait_s)

    def describe(
        self,
        paths: Sequence[str | PathLike[str]],
        values: Mapping[str, str | float | None],
        *,
        label: str | None = None,
        wait_s: float = 0.0,
    ) -> list[str]:
        """Set metadata of videos, by which they can be filtered; what a manifest says is set by `add`.

        Args:
            paths: Videos, or folders of videos, as `remove` takes them.
            values: Key → value; None takes it away.
            label: Of the videos; empty takes it away, None leaves it. What folders or a manifest tell comes back with
                the next `add`.
            wait_s: How long to wait for another writer.

        Returns:
            Absolute paths of the videos.

        Raises:
            UsageError: As `remove`; or a number is not finite.
        """
        self.check_exists()
        return describe_videos(self, paths, label=label, values=checked_values(values), wait_s=wait_s)

    def label(
        self,
        videos: Sequence[str | PathLike[str]],
        label: str,
        *,
        filters: Filters = NO_FILTERS,
        wait_s: float = 0.0,
    ) -> list[str]:
        """Label videos, or parts of them, in one commit.

        index.label(["a.mp4", "id:12", "b.mp4#12.5-18"], "jump")

        Args:
            videos: As `remove` takes them; with `#START-END` behind it, in seconds, a part of a video is meant, whose
                label lies over that of the video and over those that other parts had there.
            label: Of them; empty takes it away. What folders or a manifest tell comes back with the next `add`.
            filters: What `videos` lists by them is labelled, of these videos if there are any.
            wait_s: How long to wait for another writer.

        Returns:
            Absolute paths of the videos.

        Raises:
            UsageError: As `remove`; the label is no line of text, or a part begins where its video has ended; nothing
                is labelled.
        """
        self.check_exists()
        return label_videos(self, videos, label, filters=filters, wait_s=wait_s)

    def prune(
        self, folders: Sequence[str | PathLike[str]] = (), *, even_unmounted: bool = False, wait_s: float = 0.0
    ) -> list[str]:
        """Forget videos, and failed files, that are not on the disk any more.

        Args:
            folders: Where to look; everywhere if there are none.
            even_unmounted: Also where a whole folder is gone or empty, as that of a disk which is not mounted.
            wait_s: How long to wait for another writer.

        Returns:
            Their absolute paths.

        Raises:
            UsageError: A disk may not be mounted, see `missing_files.doubtful_folders`; or as `remove`.
        """
        self.check_exists()
        return prune_videos(self, folders, even_unmounted=even_unmounted, wait_s=wait_s)

    def gone(self, folders: Sequence[str | PathLike[str]] = ()) -> tuple[list[str], list[str]]:
        """What `prune` would forget, and what it would refuse for, a sentence each; raises like `facts`."""
        return gone_videos(self._records().select, folders, str(self))

    def failures(self) -> list[FailedFile]:
        """Files that could not be embedded, by path; raises like `facts`."""
        return failed_files(self._records().select)
