"""Long videos cut into stretches, entries that are parts of them; by their headers, nothing is decoded.

    footage = cut(dataset.split("train"), config.data, requests, num_epochs=lambda number: 15)
    footage.entries, footage.is_pooled, footage.capacity(budget_bytes)

Stretches of a video are equally long, no longer than `data.stretch_seconds`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from hashlib import sha256
from itertools import pairwise

import numpy as np

from cocon.core.errors import UsageError, VideoError
from cocon.core.progress import OnProgress, no_progress
from cocon.training.config.input_sections import DataSection
from cocon.video.clips import ClipSpec
from cocon.video.decoding.duration import duration_seconds
from cocon.video.decoding.frames import checked_header
from cocon.video.decoding.limits import MediaLimits
from cocon.video.reading.live import ViewRequest
from cocon.video.store.dataset import VideoEntry, part_name
from cocon.video.views import VIEWS

__all__ = ["EntryLength", "Footage", "Stretch", "cut", "few_of_each", "is_large", "length_of", "name_of"]

# A file that would have fewer, were it long, is not looked into: a folder may have ten thousands of small ones.
_LEAST_BYTES_PER_S = 16 << 10
_RATE = 30.0  # frames a second, where a file does not say
_FASTEST = 120.0  # what is said beyond is a clock's, and not of frames
_KEY_POINT_BYTES = 4 * 17 * 3 * 2  # of a frame with four people, float16
# Of which decoding is a small part of the work of a large network.
_MOST_REUSE = 100
# What is decoded ahead has this share of the room.
_AHEAD_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Stretch(VideoEntry):
    """A part of a long video.

    Attributes:
        cut_from: id of the video, or of the part of one that a manifest names.
    """

    cut_from: str = ""


@dataclass(frozen=True, slots=True)
class EntryLength:
    """How much of an entry there is, as far as its file says: seconds, frames a second, height and width in pixels."""

    seconds: float
    rate: float
    shape: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Footage:
    """What is drawn from.

    Attributes:
        entries: videos, and stretches of long ones.
        num_videos: that they are of.
        reuse: how often each is drawn from while it is at hand; None for videos that are drawn in epochs.
        lengths: of each entry where `reuse` is not None; None of one whose header cannot be read.
        frame_bytes: of a frame of each of them in all views.
    """

    entries: tuple[VideoEntry, ...]
    num_videos: int
    reuse: int | None = None
    lengths: tuple[EntryLength | None, ...] = ()
    frame_bytes: tuple[int, ...] = ()

    @property
    def facts(self) -> dict[str, int | str]:
        """What a run that goes on must find again: how many entries, and a digest of where they begin and end."""
        places = "".join(f"{one.store_id}\0{one.start_seconds!r}\0{one.end_seconds!r}\n" for one in self.entries)
        return {"entries": len(self.entries), "digest": sha256(places.encode("utf-8", "surrogateescape")).hexdigest()}

    @property
    def mean_bytes(self) -> float:
        """Of an entry whose header can be read; infinite if none can."""
        sizes = [one.seconds * one.rate * size for one, size in zip(self.lengths, self.frame_bytes, strict=True) if one]
        return max(1.0, float(np.mean(sizes))) if sizes else math.inf

    def capacity(self, budget_bytes: int) -> int:
        """How many entries fit beside those that are decoded ahead; two at least."""
        return max(2, int((1 - _AHEAD_SHARE) * budget_bytes / self.mean_bytes))

    def needed_bytes(self, number: int) -> float:
        """Room in which so many entries fit, as `capacity` counts."""
        return number * self.mean_bytes / (1 - _AHEAD_SHARE)

    def fits(self, position: int, clip: ClipSpec) -> bool:
        """Whether a whole clip fits into an entry, as far as its file says."""
        length = self.lengths[position]
        if length is None:
            return False
        num_frames = round(length.seconds * length.rate)
        return clip.fits(num_frames, (num_frames - 1) / length.rate)

    def only(self, positions: Sequence[int]) -> "Footage":
        """The entries at these positions; as many videos as before."""
        return Footage(
            tuple(self.entries[position] for position in positions),
            self.num_videos,
            self.reuse,
            tuple(self.lengths[position] for position in positions),
            tuple(self.frame_bytes[position] for position in positions),
        )


def cut(
    entries: Sequence[VideoEntry],
    data: DataSection,
    requests: Mapping[str, ViewRequest],
    *,
    num_epochs: Callable[[int], int],
    on_progress: OnProgress = no_progress,
) -> Footage:
    """Cut long videos; where there are none, all stay as they are.

    Args:
        entries: of a dataset.
        data: what is long, how long a stretch is, and how often it is drawn from.
        requests: view → geometry.
        num_epochs: of a training on so many entries; by default none is drawn from more often, so that all footage is
            seen.
        on_progress: called with how many videos were looked at, of all.
    """
    looked_at: dict[VideoEntry, EntryLength | None] = {}

    def looked(entry: VideoEntry) -> EntryLength | None:
        if entry not in looked_at:
            looked_at[entry] = length_of(entry)
            on_progress(len(looked_at), len(entries))
        return looked_at[entry]

    large = [looked(entry) for entry in entries if is_large(entry, data)]
    has_long = any(length is not None and length.seconds > data.long_seconds for length in large)
    if not entries or (not has_long and data.reuse is None):
        return Footage(tuple(entries), len(entries))
    known: list[tuple[VideoEntry, EntryLength | None]] = []
    for entry in entries:
        length = looked(entry)
        if has_long and length is not None and length.seconds > data.stretch_seconds:
            known += _stretches(entry, length, data.stretch_seconds)
        else:
            known.append((entry, length))
    sizes = tuple(0 if length is None else _frame_bytes(length.shape, requests) for _, length in known)
    cut_entries, lengths = zip(*known, strict=True)
    reuse = data.reuse or max(1, min(_MOST_REUSE, num_epochs(len(known))))
    return Footage(cut_entries, len(entries), reuse, lengths, sizes)


def few_of_each(entries: Sequence[VideoEntry], number: int) -> list[int]:
    """Positions of all whole videos, and of so many stretches of each long one, evenly spread."""
    of_video: dict[str, list[int]] = {}
    for position, entry in enumerate(entries):
        of_video.setdefault(name_of(entry), []).append(position)
    chosen = []
    for positions in of_video.values():
        places = (np.arange(min(number, len(positions))) + 0.5) * len(positions) / min(number, len(positions))
        chosen += [positions[int(place)] for place in places]
    return sorted(chosen)


def name_of(entry: VideoEntry) -> str:
    """The id under which a failure of an entry is known: of a stretch, that of its video."""
    return entry.cut_from if isinstance(entry, Stretch) else entry.video_id


def is_large(entry: VideoEntry, data: DataSection) -> bool:
    """Whether a file has the size of a long video, so that its header is read."""
    try:
        return entry.path.stat().st_size >= data.long_seconds * _LEAST_BYTES_PER_S
    except OSError:
        return False


def length_of(entry: VideoEntry) -> EntryLength | None:
    """By its header; None where that cannot be read: what is wrong with such a file is said by who reads all of it."""
    try:
        header, _ = checked_header(entry.path, MediaLimits())
        whole_seconds = header.duration_seconds or duration_seconds(entry.path)
    except (VideoError, UsageError, OSError):
        return None
    seconds = min(entry.end_seconds, whole_seconds) - entry.start_seconds
    rate = min(header.frames_per_second or _RATE, _FASTEST)
    return EntryLength(max(0.0, seconds), rate, header.display_shape)


def _stretches(
    entry: VideoEntry, length: EntryLength, longest_seconds: float
) -> list[tuple[VideoEntry, EntryLength | None]]:
    number = math.ceil(length.seconds / longest_seconds)
    ends = [round(entry.start_seconds + length.seconds * place / number, 3) for place in range(number + 1)]
    ends[0] = entry.start_seconds
    facts = {one.name: getattr(entry, one.name) for one in fields(VideoEntry)}
    group = entry.group or entry.store_id
    found: list[tuple[VideoEntry, EntryLength | None]] = []
    for start, end in pairwise(ends):
        place = {"video_id": entry.store_id + part_name(start, end), "start_seconds": start, "end_seconds": end}
        stretch = Stretch(**(facts | place | {"group": group, "cut_from": entry.video_id}))
        found.append((stretch, EntryLength(end - start, length.rate, length.shape)))
    return found


def _frame_bytes(shape: tuple[int, int], requests: Mapping[str, ViewRequest]) -> int:
    """Of one frame in all views, at the size at which they are kept."""
    total = 0
    for view, request in requests.items():
        if VIEWS[view].content == "key points":
            total += _KEY_POINT_BYTES
        else:
            height, width = request.geometry.resized_shape(*shape)
            total += height * width * VIEWS[view].channels
    return total
