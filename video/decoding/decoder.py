"""Pictures of an opened video in one sequential pass, which goes on behind damage and says what was damaged."""

from collections.abc import Callable, Iterator
from pathlib import Path

from cocon.video.decoding.clock import Clock
from cocon.video.decoding.container import Header, open_video
from cocon.video.decoding.packets import decoded_frames, frames_per_second
from cocon.video.decoding.picture import Picture
from cocon.video.decoding.viewing import Viewing

__all__ = ["decoded_pictures"]


def decoded_pictures(
    path: Path, header: Header, check_shape: Callable[[int, int], None], damaged: list[str], notes: list[str]
) -> Iterator[tuple[float, Picture]]:
    """Decode a video as a viewer sees it: (seconds after the first frame, picture), in order.

    Args:
        path: the file.
        header: of it.
        check_shape: refuses heights and widths; asked before a picture is made, since headers lie and sizes change.
        damaged: takes one line for every packet that does not decode, or not without concealed errors.
        notes: takes what else a user should know, once.
    """
    with open_video(path) as (container, stream):
        stream.codec_context.thread_count = 1  # with frame threads, a damaged packet takes sound neighbours with it
        rate = frames_per_second(container, stream)
        clock = Clock(container.format.name, rate, header.duration_seconds or 0.0, damaged)
        viewing = Viewing(stream, check_shape, damaged, notes)
        for frame in decoded_frames(container, stream, damaged):
            seconds = clock.seconds_of(frame)
            picture = viewing.picture(frame)
            if picture is not None:
                yield seconds, picture
