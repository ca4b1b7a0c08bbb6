"""Packets of an opened video and the frames that come out of them; what is damaged is said and passed over."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeAlias

from cocon.video.decoding.container import reason

if TYPE_CHECKING:
    import av

    VideoPacket: TypeAlias = av.Packet[av.VideoStream]

__all__ = ["decoded_frames", "frames_of_packet", "frames_per_second", "sound_packets"]

_ASSUMED_RATE = 25.0
_NO_TIMES = 0x80  # AVFMT_NOTIMESTAMPS, of formats that are a codec's bytes and nothing more
# These mark the pictures whose errors they concealed, and say much about sound files; the others only say something.
_MARKING_CODECS = frozenset(("h264", "mpeg1video", "mpeg2video", "mpeg4", "prores", "flv", "h263", "msmpeg4v3"))


def frames_per_second(container: "av.container.InputContainer", stream: "av.VideoStream") -> float:
    """As the file says, or else its codec, or else 25."""
    rates = [stream.average_rate, stream.guessed_rate]
    if container.format.flags & _NO_TIMES:
        rates.reverse()  # the average is FFmpeg's assumption there, while the other knows what the codec says
    return float(rates[0] or rates[1] or _ASSUMED_RATE)


def decoded_frames(
    container: "av.container.InputContainer", stream: "av.VideoStream", damaged: list[str]
) -> Iterator["av.VideoFrame"]:
    """All frames from where the container stands to its end, in presentation order.

    Args:
        container: opened.
        stream: of its pictures.
        damaged: takes one line for every packet that does not decode, or not without concealed errors.
    """
    for packet in sound_packets(container, stream, damaged):
        yield from frames_of_packet(stream, packet, damaged)


def sound_packets(
    container: "av.container.InputContainer", stream: "av.VideoStream", damaged: list[str]
) -> Iterator["VideoPacket | None"]:
    """Packets that may be decoded, from where the container stands; arguments as of `decoded_frames`.

    The last one, empty or None, takes out what the decoder still holds.
    """
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
            yield None
            return
        if not packet.size and (packet.buffer_ptr or packet.pts is not None):
            continue  # the picture before it goes on, which is no damage; the end has no times
        if packet.has_sidedata("encryption_info"):
            damaged.append("its pictures are encrypted")  # some decoders make noise of them
            continue
        if said or packet.is_corrupt:
            damaged.append(_first(said) or "bytes are missing")
        yield packet


def frames_of_packet(
    stream: "av.VideoStream", packet: "VideoPacket | None", damaged: list[str]
) -> list["av.VideoFrame"]:
    """Frames that come out when a packet of `sound_packets` goes in; arguments as of `decoded_frames`."""
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
