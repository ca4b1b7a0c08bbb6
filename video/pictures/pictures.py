"""All pictures of a video from a moment on, decoded in a worker process.

    with WorkerPool(limits) as pool:
        pictures = pictures_of_video(pool, Path("video.mp4"), limits, start_seconds=2.0)
        for seconds, pixels in pictures: ...    # RGB uint8 [H, W, 3], all of one size
        pictures.lost                           # afterwards: why some are missing

A folder of picture files is one too: `pictures_of_files`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cocon.core.errors import UsageError
from cocon.video.decoding.frames import Frame, of_one_size, read_frames
from cocon.video.decoding.limits import MediaLimits
from cocon.video.workers.messages import Message
from cocon.video.workers.pool import Beat, WorkerPool, named

__all__ = ["Pictures", "files_job", "pictures_job", "pictures_of_files", "pictures_of_video"]

# Containers round times.
_SAME_MOMENT_S = 1e-3


@dataclass(slots=True)
class Pictures:
    """The pictures of a video, an iterator. Made by `pictures_of_video` and `pictures_of_files`.

    Attributes:
        lost: after the last one: why some of the file's pictures are missing; empty if none is known to be.
    """

    _messages: Iterator[Message] = field(repr=False)
    lost: str = ""

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        for message in self._messages:
            if message.arrays:
                return message.fields["seconds"], message.arrays["pixels"]
            self.lost = message.fields["lost"]
        raise StopIteration


def pictures_of_video(pool: WorkerPool, video: Path, limits: MediaLimits, *, start_seconds: float = 0.0) -> Pictures:
    """The pictures of a video file from a moment on.

    Args:
        pool: runs the decoder.
        video: the file.
        limits: how much of it is read before it is refused.
        start_seconds: after the first frame; the first frame that is not earlier is the first one given.

    Returns:
        (presentation time in seconds, RGB `uint8 [H, W, 3]`) of each, all of the first one's size. Taking them raises
        UsageError if there is no such file or it ends before `start_seconds`, and VideoError if it does not decode.
    """
    return Pictures(named(pool.run(pictures_job, video, limits, start_seconds), video))


def pictures_of_files(pool: WorkerPool, files: Sequence[Path], limits: MediaLimits) -> Pictures:
    """Picture files in the order given as a video of one picture per second; raises as `pictures_of_video`."""
    return Pictures(pool.run(files_job, list(files), limits))


def pictures_job(beat: Beat, video: Path, limits: MediaLimits, start_seconds: float) -> Iterator[Message]:
    """Read a video.

    Yields:
        `seconds` and the array `pixels` of each picture, last `lost`.
    """
    frames = read_frames(video, limits, on_frame=beat)
    later = (frame for frame in frames if frame[0] >= start_seconds - _SAME_MOMENT_S)
    is_any = False
    for seconds, pixels in of_one_size(later):
        is_any = True
        yield Message({"seconds": seconds}, {"pixels": pixels})
    if not is_any:
        end = f"{frames.duration_seconds:.3f} s"
        raise UsageError(f"start ({start_seconds:g} s) is behind the end of video '{video}' at {end}; begin earlier")
    yield Message({"lost": frames.lost})


def files_job(beat: Beat, files: Sequence[Path], limits: MediaLimits) -> Iterator[Message]:
    """Read picture files; yields as `pictures_job`."""
    pictures = ((float(number), next(read_frames(path, limits, on_frame=beat))[1]) for number, path in enumerate(files))
    for seconds, pixels in of_one_size(pictures):
        yield Message({"seconds": seconds}, {"pixels": pixels})
