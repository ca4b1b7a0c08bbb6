"""Pictures of an opened video in one sequential pass, which goes on behind damage and says what was damaged."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cocon.video.decoding.clock import Clock
from cocon.video.decoding.colour import RgbConversion
from cocon.video.decoding.container import Header, open_video, reason
from cocon.video.decoding.display import display_shape, upright
from cocon.video.geometry import resize

if TYPE_CHECKING:
    import av

    _Packet = av.Packet[av.VideoStream]

__all__ = ["decoded_pictures"]

_ASSUMED_RATE = 25.0
_NO_TIMES = 0x80  # AVFMT_NOTIMESTAMPS, of formats that are a codec's bytes and nothing more
# These mark the pictures whose errors they concealed, and say much about sound files; the others only say something.
_MARKING_CODECS = frozenset(("h264", "mpeg1video", "mpeg2video", "mpeg4", "prores", "flv", "h263", "msmpeg4v3"))


def decoded_pictures(
    path: Path, header: Header, check_shape: Callable[[int, int], None], damaged: list[str], notes: list[str]
) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Decode a video as a viewer sees it: (seconds after the first frame, RGB `uint8 [H, W, 3]`), in order.

    Args:
        path: the file.
        header: of it.
        check_shape: refuses heights and widths; asked before a picture is made, since headers lie and sizes change.
        damaged: takes one line for every packet that does not decode, or not without concealed errors.
        notes: takes what else a user should know, once.
    """
    import av

    with open_video(path) as (container, stream):
        stream.codec_context.thread_count = 1  # with frame threads, a damaged packet takes sound neighbours with it
        rate = _frames_per_second(container, stream)
        clock = Clock(container.format.name, rate, header.duration_seconds or 0.0, damaged)
        aspect = stream.sample_aspect_ratio
        rgb = RgbConversion()
        matrix: bytes | None = None
        for frame in _frames(container, stream, damaged):
            seconds = clock.seconds_of(frame)
            shape = display_shape(frame.height, frame.width, aspect)
            check_shape(frame.height, frame.width)
            check_shape(*shape)
            try:
                pixels = rgb.pixels(frame)
            except (av.FFmpegError, ValueError) as error:
                damaged.append(reason(error))
                continue
            if rgb.converted_from and not notes:
                notes.append(f"{rgb.converted_from} was brought to BT.709; brighter than reference white is clipped")
            matrix = _display_matrix(frame) or matrix  # H.264 and HEVC may say it with key frames only
            yield seconds, upright(resize(pixels, *shape), matrix)


def _frames_per_second(container: "av.container.InputContainer", stream: "av.VideoStream") -> float:
    rates = [stream.average_rate, stream.guessed_rate]
    if container.format.flags & _NO_TIMES:
        rates.reverse()  # the average is FFmpeg's assumption there, while the other knows what the codec says
    return float(rates[0] or rates[1] or _ASSUMED_RATE)


def _display_matrix(frame: "av.VideoFrame") -> bytes | None:
    from av.sidedata.sidedata import SideData

    matrix = frame.side_data.get("DISPLAYMATRIX")
    return bytes(matrix) if isinstance(matrix, SideData) else None


def _frames(
    container: "av.container.InputContainer", stream: "av.VideoStream", damaged: list[str]
) -> Iterator["av.VideoFrame"]:
    import av

    packets = container.demux(stream)
    while True:
        try:
            with av.logging.Capture() as said:
                packet = next(packets)
        except StopIteration:
            return
        except IndexError:  # a packet of a stream that the file did not have when it was opened
            packets = container.demux(stream)
            continue
        except (av.FFmpegError, OSError, ValueError) as error:
            damaged.append(reason(error))
            break
        if not packet.size and (packet.buffer_ptr or packet.pts is not None):
            continue  # the picture before it goes on, which is no damage; the end has no times
        if packet.has_sidedata("encryption_info"):
            damaged.append("its pictures are encrypted")  # some decoders make noise of them
            continue
        if said or packet.is_corrupt:
            damaged.append(_first(said) or "bytes are missing")
        yield from _frames_of(stream, packet, damaged)
    yield from _frames_of(stream, None, damaged)  # what the decoder still holds


def _frames_of(stream: "av.VideoStream", packet: "_Packet | None", damaged: list[str]) -> list["av.VideoFrame"]:
    import av

    try:
        with av.logging.Capture() as said:
            frames = stream.codec_context.decode(packet)
    except (av.FFmpegError, OSError, ValueError) as error:
        damaged.append(reason(error))
        return []
    if stream.codec_context.name in _MARKING_CODECS:
        damaged.extend(_first(said) or "errors in a picture were concealed" for frame in frames if frame.is_corrupt)
    elif said:
        damaged.append(_first(said))
    return frames


def _first(said: list[tuple[int, str, str]]) -> str:
    return " ".join(said[0][2].split()) if said else ""
