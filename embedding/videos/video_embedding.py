"""What a video becomes once its blocks are embedded: its clips' vectors and all that is to be said of them.

video = Gathering(source)
with Batches(lanes) as batches:
for clip in clips_in_worker(workers, source):
batches.put(video, clip)
video.is_decoded = True
batches.finish()
VideoEmbedding.of("video.mp4", video, source, lanes[0]).embedding       # float32 [K, D]
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cocon.core.errors import MissingViewError
from cocon.core.printable import escaped, printable
from cocon.embedding.videos.batches import Gathering
from cocon.embedding.videos.fused_model import FusedModel
from cocon.video.reading.reader import VideoSource

__all__ = ["Row", "VideoEmbedding"]

Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class VideoEmbedding:
    """One video, embedded: K clips in order of time.

    Attributes:
        video: Path, as it was given.
        content_sha256: Of the file.
        view: Views that were fused, joined by `+` in alphabetical order.
        start_seconds: `float64 [K]`, relative to the first frame.
        end_seconds: `float64 [K]`.
        embedding: Unit length, `float32 [K, D]`.
        blocks: Likewise of each clip's N blocks, which follow one another, `float32 [K, N, D]`.
        probabilities: Of the classes, `float32 [K, L]`; None unless all models have the same labels.
        num_frames: Frames decoded.
        truncated: Whether the end of the file is known to be missing.
        model: Model names, joined like the views.
        version: Their versions, joined likewise.
        fingerprint: Identity of what the vectors mean.
        missing: View asked for → why the video lacks it.
        made_by: View → who made it, as far as that is known.
        empty_views: Those in which nobody is to be seen in any frame: there its vectors are those of all such videos.
    """

    video: str
    content_sha256: str
    view: str
    start_seconds: NDArray[np.float64]
    end_seconds: NDArray[np.float64]
    embedding: NDArray[np.float32]
    blocks: NDArray[np.float32]
    probabilities: NDArray[np.float32] | None
    num_frames: int
    truncated: bool
    model: str
    version: str
    fingerprint: str
    missing: Mapping[str, str] = field(default_factory=dict)
    made_by: Mapping[str, str] = field(default_factory=dict)
    empty_views: tuple[str, ...] = ()

    @classmethod
    def of(cls, video: str, gathered: Gathering[Any], source: VideoSource, model: FusedModel) -> Self:
        """Fuse what is known of all blocks of a video.

        Args:
            video: As it was named.
            gathered: All of its clips.
            source: Where they came from.
            model: What was asked; a view that the video lacks is left out.

        Raises:
            MismatchError: A clip's vector is not finite, or its blocks cancel each other out.
        """
        clips = gathered.clips()
        model = model.restricted(clips) if source.missing else model
        embedding, probabilities = model.fuse(clips)
        return cls(
            video=video,
            content_sha256=source.content_sha256 or "",
            view=model.view,
            start_seconds=np.array(gathered.start_seconds),
            end_seconds=np.array(gathered.end_seconds),
            embedding=embedding,
            blocks=model.fuse_blocks(clips),
            probabilities=probabilities,
            num_frames=source.num_frames,
            truncated=bool(source.lost),
            model=model.name,
            version=model.version,
            fingerprint=model.fingerprint,
            missing=dict(source.missing),
            made_by=source.made_by,
            empty_views=tuple(source.empty_views),
        )

    def __len__(self) -> int:
        return len(self.embedding)

    def __repr__(self) -> str:
        return f"VideoEmbedding({self.video!r}, view={self.view!r}, embedding={list(self.embedding.shape)})"

    def check_complete(self) -> None:
        """Raise `MissingViewError` if a view was left out: such vectors fit no others."""
        if self.missing:
            views, reasons = ", ".join(self.missing), "; ".join(self.missing.values())
            raise MissingViewError(f"video '{printable(self.video)}' lacks view {views}: {reasons}")

    def rows(self) -> Iterator[Row]:
        """One row per clip, the embedding as `float32 [D]`; the video in its written form (`printable.escaped`)."""
        for clip, vector in enumerate(self.embedding):
            yield {
                "video": escaped(self.video),
                "content_sha256": self.content_sha256,
                "view": self.view,
                "clip": clip,
                "start_seconds": round(float(self.start_seconds[clip]), 6),
                "end_seconds": round(float(self.end_seconds[clip]), 6),
                "num_frames": self.num_frames,
                "truncated": self.truncated,
                "model": self.model,
                "version": self.version,
                "fingerprint": self.fingerprint,
                "embedding": vector,
                "empty_views": list(self.empty_views),
            }
