"""Bringing the clips of files into an index: all of them are looked at before anything is written.

Videos go in by the thousand, each thousand in one commit: what was committed stays when an import is killed, and the
same command goes on from there.
"""

from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.catalogue.file_stamp import FileStamp
from cocon.client.index.exchange.clip_file import ClipFile
from cocon.client.index.exchange.clips_read import VideoClips, videos_of
from cocon.client.index.exchange.incoming import Incoming, incoming_of
from cocon.client.index.exchange.storing import BulkStore
from cocon.client.index.files.writing import CatalogueWriter, Store
from cocon.client.index.ranking.keeping import keep_ranking
from cocon.client.index.records import IndexFacts
from cocon.client.index.vote.keeping import keep_rule
from cocon.core.errors import MismatchError, UsageError
from cocon.core.printable import printable
from cocon.core.progress import OnProgress

__all__ = ["ImportReport", "import_clips"]


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of the videos of a file, or of several.

    Attributes:
        added: Contents that were not in the index.
        updated: Videos whose place, label, metadata or overlap were.
        unchanged: Videos that were there already.
        num_clips: Rows that were added.
    """

    added: int
    updated: int
    unchanged: int
    num_clips: int


@dataclass(frozen=True, slots=True)
class _Looked:
    """What the first look at a file has found: what it is for, N, and which file it was."""

    facts: IndexFacts | None
    num_blocks: int
    stamp: FileStamp | None = None


def import_clips(store: Store, path: Path, on_progress: OnProgress, *, wait_s: float = 0.0) -> ImportReport:
    """Bring the clips of a file into an index, or of all files of a folder; it is made when it does not exist.

    Args:
        store: The index.
        path: The file; or a folder of `.parquet`, such as the shards of a corpus.
        on_progress: Called with clips done, of how many; each is looked at before it is stored. Anew for the lists.
        wait_s: How long to wait for another writer.

    Raises:
        UsageError: A file is damaged, the folder has none, or somebody else is writing.
        MismatchError: A file fits no index, or not this one or the others; nothing is written.
        StorageError: The disk takes no more; the same import goes on from there.
    """
    files = _files_of(path)
    steps = _Steps(on_progress, 2 * sum(map(_num_rows, files)))
    looked = {file: found for file, found in _looked_at(files, store.known_facts(), steps) if found.facts is not None}
    if not looked:
        raise MismatchError(f"'{printable(path)}' holds no clips")
    first = next(iter(looked.values()))
    assert first.facts is not None
    num_blocks = max(found.num_blocks for found in looked.values())
    stored = []
    with store.writer(new=(first.facts, num_blocks), wait_s=wait_s) as writer:
        for file, found in looked.items():
            _check_belongs(file, found, writer)
        for file, found in looked.items():
            stored.append(_stored(file, found, writer, steps))
        # Also where nothing is new: an import that was killed may not have come so far.
        keep_rule(writer)
        keep_ranking(writer)
        store.keep_lists(writer, on_progress)
    return ImportReport(*(sum(counts) for counts in zip(*map(astuple, stored), strict=True)))


def _files_of(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    if not (files := sorted(path.glob("*.parquet"))):
        raise UsageError(f"folder '{printable(path)}' holds no .parquet; name a file, or a folder of them")
    return files


def _num_rows(path: Path) -> int:
    with ClipFile.open(path) as file:
        return file.total_rows


def _looked_at(paths: Iterable[Path], facts: IndexFacts | None, steps: "_Steps") -> Iterator[tuple[Path, _Looked]]:
    """Each file, and what it is for; all are for the same."""
    for path in paths:
        stamp = FileStamp.of(str(path))
        with ClipFile.open(path) as file:
            found = _look(file, facts, steps)
        facts = found.facts
        yield path, replace(found, stamp=stamp) if file.total_rows else _Looked(None, 0)


def _stored(path: Path, looked: _Looked, writer: CatalogueWriter, steps: "_Steps") -> ImportReport:
    with ClipFile.open(path) as file:
        if FileStamp.of(str(path)) != looked.stamp:  # nobody has looked at this one
            raise UsageError(f"'{printable(path)}' has changed since it was looked at; import it again")
        bulk = BulkStore(writer, file.index)
        for clips in videos_of(file, writer.facts):
            bulk.put(incoming_of(clips), clips)
            steps.add(int(clips.counts.sum()))
    return ImportReport(bulk.added, bulk.updated, bulk.unchanged, bulk.num_clips)


class _Steps:
    def __init__(self, on_progress: OnProgress, total: int) -> None:
        self._on_progress = on_progress
        self._total = total
        self._done = 0

    def add(self, count: int) -> None:
        self._done += count
        self._on_progress(self._done, self._total)


def _look(file: ClipFile, facts: IndexFacts | None, steps: _Steps) -> _Looked:
    """Read and check all of a file."""
    expected = file.fingerprint if facts is None else facts.fingerprint
    if file.fingerprint not in (None, expected):
        raise MismatchError(
            f"'{printable(file.path)}' was made by another model (fingerprint {printable(str(file.fingerprint))[:12]}) "
            f"than the index ({str(expected)[:12]}); embed the videos with the model of the index"
        )
    seen: dict[str, bytes] = {}
    lengths: dict[bytes, int] = {}
    num_blocks = int(file.index.get("num_blocks", 0)) if isinstance(file.index.get("num_blocks", 0), int) else 0
    for clips in videos_of(file, facts):
        if facts is None:
            facts = _facts_of(file, clips)
        if clips.blocks is not None:
            num_blocks = _num_blocks(file, clips, facts, num_blocks)
        _check_twice(file, incoming_of(clips), clips.counts, seen, lengths)
        steps.add(int(clips.counts.sum()))
    return _Looked(facts, num_blocks)


def _facts_of(file: ClipFile, clips: VideoClips) -> IndexFacts:
    """What an index is made for that begins with these videos."""
    view, model, fingerprint = (str(clips.texts[name][0]) for name in ("view", "model", "fingerprint"))
    if file.fingerprint not in (None, fingerprint):
        raise MismatchError(
            f"'{printable(file.path)}' says two things of its model: fingerprint {printable(fingerprint)[:12]} of its "
            f"clips, {printable(str(file.fingerprint))[:12]} of all"
        )
    made_for, views, dim = file.index.get("model"), tuple(view.split("+")), clips.vectors.shape[1]
    are_of_it = (len(file.view_dims), sum(file.view_dims)) == (len(views), dim)
    return IndexFacts(
        views,
        fingerprint,
        dim,
        made_for if isinstance(made_for, str) else model,
        file.block_dim,
        file.view_dims if are_of_it else (),
    )


def _num_blocks(file: ClipFile, clips: VideoClips, facts: IndexFacts, known: int) -> int:
    assert clips.blocks is not None
    found = clips.blocks.shape[1] // facts.block_dim
    if known not in (0, found):
        raise MismatchError(f"'{printable(file.path)}' has clips of {known} blocks and of {found}")
    return found


def _check_twice(
    file: ClipFile,
    incoming: list[Incoming],
    counts: NDArray[np.int64],
    seen: dict[str, bytes],
    lengths: dict[bytes, int],
) -> None:
    """Refuse a path with two videos, and a content with two lengths. Copies of a video are none of them."""
    for video, count in zip(incoming, counts.tolist(), strict=True):
        digest = bytes.fromhex(video.content_sha256)
        for place in video.places:
            if place.path in seen:
                raise MismatchError(f"'{printable(file.path)}' has video '{printable(place.path)}' twice")
            seen[place.path] = digest
        if lengths.setdefault(digest, count) != count:
            raise MismatchError(
                f"'{printable(file.path)}' has the content of '{printable(video.places[0].path)}' twice, with "
                f"{lengths[digest]} and with {count} clips"
            )


def _check_belongs(path: Path, looked: _Looked, writer: CatalogueWriter) -> None:
    """Another writer may have made another index meanwhile; and blocks must be as many."""
    assert looked.facts is not None
    made, found = ((facts.fingerprint, facts.embedding_dim, facts.views) for facts in (writer.facts, looked.facts))
    if made != found:
        raise MismatchError(
            f"'{printable(path)}' was made for another index (view {'+'.join(found[2])}, fingerprint {found[0][:12]}, "
            f"{found[1]} dimensions) than this one ({'+'.join(made[2])}, {made[0][:12]}, {made[1]})"
        )
    held = writer.row_facts.num_blocks
    if held and looked.num_blocks not in (0, held):
        raise MismatchError(f"'{printable(path)}' has clips of {looked.num_blocks} blocks, the index of {held}")
