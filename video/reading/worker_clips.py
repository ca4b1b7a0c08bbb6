"""Clips of a video from a worker process: what decodes a user's file may hang or die, and harms nobody there.

    for clip in clips_in_worker(pool, source):
        ...                                     # as `source.clips()`

What the source knows afterwards comes back too.
"""

import time
from collections.abc import Iterator

from cocon.video.reading.reader import MultiViewClip, VideoSource
from cocon.video.workers.messages import Message
from cocon.video.workers.pool import Beat, WorkerPool, named

__all__ = ["clips_in_worker"]

_KNOWN_AFTERWARDS = (
    "missing",
    "made_by",
    "differences",
    "num_frames",
    "duration_seconds",
    "lost",
    "empty_views",
    "notes",
    "stage_seconds",
)


def clips_in_worker(pool: WorkerPool, source: VideoSource) -> Iterator[MultiViewClip]:
    """`source.clips()` made by a worker process; what `source` knows afterwards is the same.

    Raises:
        TimedOutError: the decoder hangs.
        VideoError: it died, or as `VideoSource.clips`.
        UsageError: the file does not exist.
        MismatchError: as `VideoSource.clips`.
    """
    source.find_store()  # here, where somebody reads the warnings
    for message in named(pool.run(_clip_job, source), source.path):
        if message.arrays:
            fields = {**message.fields, "blocks": tuple(message.fields["blocks"])}
            yield MultiViewClip(pixels=message.arrays, **fields)
        else:
            for name, value in message.fields.items():
                setattr(source, name, value)


def _clip_job(beat: Beat, source: VideoSource) -> Iterator[Message]:
    begin_s, pack_s = time.process_time(), 0.0
    for clip in source.clips(on_frame=beat):
        fields = {name: getattr(clip, name) for name in ("index", "start_seconds", "end_seconds", "blocks")}
        before_s = time.thread_time()
        yield Message(fields, clip.pixels)
        pack_s += time.thread_time() - before_s
    views_s = time.process_time() - begin_s - pack_s - source.stage_seconds["decode"]
    source.stage_seconds |= {"views": views_s, "pack": pack_s}
    yield Message({name: getattr(source, name) for name in _KNOWN_AFTERWARDS})
