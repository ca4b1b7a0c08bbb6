"""Names of what asks as examples: files, parts of files, stored videos and clips, and vectors.

Nothing is decoded, and no server asked, for what the index holds already and for vectors.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypedDict, TypeVar

from cocon.client.index.changes.observation import absolute
from cocon.client.index.files.snapshot import Snapshot
from cocon.client.index.query.queries import Example
from cocon.client.index.query.spans import TimeSpan, named_part
from cocon.client.index.query.stored import example_of_id, example_of_path, parse_id, part_of
from cocon.client.index.query.vectors_files import is_vectors_file, read_queries
from cocon.client.pipeline.video_embedder import VideoEmbedder
from cocon.client.pipeline.video_embedding import FailedVideo, VideoEmbedding
from cocon.core.errors import MismatchError, UsageError, VideoError
from cocon.core.paths import why_no_file
from cocon.core.printable import escaped, printable
from cocon.core.texts.text_files import named_path

__all__ = ["ExampleReader", "ReadingKeywords", "names_no_file"]

Found = TypeVar("Found")


class ReadingKeywords(TypedDict, total=False):
    """How an `ExampleReader` reads, as the keywords of a call."""

    overlap: float | None
    takes_stored: bool


@dataclass(frozen=True, slots=True)
class _ToEmbed:
    """A video, or a part of it, that is not stored."""

    name: str
    path: Path
    span: TimeSpan | None


@dataclass(frozen=True, slots=True)
class ExampleReader:
    """Reads examples for one state of an index.

    Attributes:
        snapshot: Of the index.
        open_embedder: Called when there is a video that must be embedded: of the model of the index.
        overlap: Share of a clip that the next one repeats where a video is embedded; a stored video that was cut
            otherwise is not taken in its place. None takes every one.
        takes_stored: Whether a stored video may stand for its file at all.
    """

    snapshot: Snapshot
    open_embedder: Callable[[], VideoEmbedder]
    overlap: float | None = None
    takes_stored: bool = True

    def read(self, names: Sequence[str]) -> Iterator[list[Example] | FailedVideo]:
        """The examples of each name, in order: several for a file with vectors of several videos.

        Args:
            names: `q.mp4`, `q.mp4#12.5-18`, `id:12`, `id:12/3`, `rows.npz`; what exists by a name is meant by it.

        Yields:
            For each name its examples, or why there are none.

        Raises:
            ServerError: The server does not answer.
            MismatchError: It has another model than that of the index.
        """
        found = [_tried(name, partial(self._at_hand, name)) for name in names]
        paths = [each.path for each in found if isinstance(each, _ToEmbed)]
        embedded = self.open_embedder().embed_many(paths) if paths else iter(())
        for each in found:
            if isinstance(each, _ToEmbed):
                yield self._part(each, next(embedded))
            else:
                yield each

    def _at_hand(self, name: str) -> list[Example] | _ToEmbed:
        whole, span = named_part(name)
        path = named_path(whole)
        if (stored := parse_id(whole)) and not path.exists():
            return [part_of(example_of_id(self.snapshot, *stored, name), span)]
        if is_vectors_file(path):
            facts = self.snapshot.facts
            queries = read_queries(path, embedding_dim=facts.embedding_dim, fingerprint=facts.fingerprint)
            return [part_of(Example.of_vectors(query), span) for query in queries]
        self._check_there(path, whole)
        shown = str(path) + name.removeprefix(whole)
        if self.takes_stored and (known := example_of_path(self.snapshot, path, shown, overlap=self.overlap)):
            return [part_of(known, span)]
        return _ToEmbed(shown, path, span)

    def _check_there(self, path: Path, name: str) -> None:
        if not (reason := why_no_file(path)):
            return
        found = self.snapshot.select("SELECT video_id FROM places WHERE path = ?", [escaped(absolute(path))])
        remedy = f"; ask with what the index holds of it: id:{found[0][0]}" if found else ""
        raise UsageError(f"video '{printable(name)}' {reason}{remedy}")

    def _part(self, asked: _ToEmbed, embedded: VideoEmbedding | FailedVideo) -> list[Example] | FailedVideo:
        if isinstance(embedded, FailedVideo):
            return FailedVideo(asked.name, embedded.error)
        return _tried(asked.name, lambda: [part_of(Example.of(embedded, asked.name), asked.span)])


def names_no_file(name: str) -> bool:
    """Whether a name that no file has is still one of an example: of a stored video, or of a part of something.

    Raises:
        UsageError: It is a part that is wrongly written.
    """
    whole, span = named_part(name)
    return span is not None or parse_id(whole) is not None


def _tried(name: str, read: Callable[[], Found]) -> Found | FailedVideo:
    try:
        return read()
    except (UsageError, MismatchError, VideoError, OSError) as error:
        return FailedVideo(name, error)
