"""Decoded frames as RGB of a standard screen.

Matrix and range are those that the frame is tagged with, BT.601 and the limited range where it is not, or by a number
that says nothing. High dynamic range (PQ, HLG) and the wide colours of BT.2020 are brought to BT.709 by one rule: what
is as bright as reference white (203 cd/m², ITU-R BT.2408) becomes white, what is darker and less saturated keeps its
look, all beyond is clipped.
"""

import threading
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import av

__all__ = ["RgbConversion", "tags_of"]

# Numbers of ISO 23091-2.
_TRANSFERS = {16: "PQ", 18: "HLG"}
_BT2020, _UNSPECIFIED = 9, 2  # primaries and matrix
_MAX_GRAPHS = 8
_OF_THREAD = threading.local()
_TO_BT709 = "out_transfer=bt709:out_primaries=bt709:intent=relative_colorimetric:flags=bilinear"


class RgbConversion:
    """Makes RGB of the frames of one stream; what it set up for one frame serves the next."""

    def __init__(self) -> None:
        from av.video.reformatter import VideoReformatter

        self._reformatter = VideoReformatter()
        self.converted_from = ""
        """What the last frame was brought to BT.709 from; empty for a standard one."""

    def pixels(self, frame: "av.VideoFrame") -> NDArray[np.uint8]:
        """A frame as RGB `uint8 [H, W, 3]`.

        Raises:
            av.FFmpegError: it cannot be converted.
            ValueError: likewise.
        """
        import av

        try:
            return self._rgb(frame)
        except av.FFmpegError:  # numbers that are reserved, or that the scaler does not know, such as ICtCp
            _leave_odd_tags(frame)
            return self._rgb(frame)

    def _rgb(self, frame: "av.VideoFrame") -> NDArray[np.uint8]:
        self.converted_from = _wide_colours(frame)
        if self.converted_from:
            frame = self._to_bt709(frame)
        # One thread: a worker process has a core to itself.
        rgb = self._reformatter.reformat(frame, format="rgb24", interpolation="BILINEAR", threads=1)
        return rgb.to_ndarray().astype(np.uint8, copy=False)

    def _to_bt709(self, frame: "av.VideoFrame") -> "av.VideoFrame":
        """The frame as RGB of BT.709, by the colour management of FFmpeg's scaler."""
        kind = (frame.format.name, frame.height, frame.width, *tags_of(frame))
        graphs = _graphs_of_this_thread()
        graph = graphs.pop(kind, None) or _graph_to_bt709(frame)
        graph.vpush(frame)
        converted = graph.vpull()
        if len(graphs) >= _MAX_GRAPHS:
            graphs.clear()
        graphs[kind] = graph  # one that has failed is not kept
        return converted


def tags_of(frame: "av.VideoFrame") -> tuple[int, int, int, int]:
    """What a frame says of its colours, in numbers of ISO 23091-2: transfer, primaries, matrix and range."""
    return frame.color_trc, frame.color_primaries, frame.colorspace, frame.color_range


def _graphs_of_this_thread() -> dict[tuple[Any, ...], "av.filter.Graph"]:
    """They take seconds to make: a worker process makes one for all videos of a size, not one for each."""
    graphs: dict[tuple[Any, ...], av.filter.Graph] = vars(_OF_THREAD).setdefault("graphs", {})
    return graphs


def _wide_colours(frame: "av.VideoFrame") -> str:
    if frame.color_trc in _TRANSFERS:
        return f"high dynamic range ({_TRANSFERS[frame.color_trc]})"
    return "the wide gamut of BT.2020" if frame.color_primaries == _BT2020 else ""


def _leave_odd_tags(frame: "av.VideoFrame") -> None:
    """Tag a frame as its range and transfer are seen most often; its lightness is right, whatever the colours are."""
    is_wide = bool(_wide_colours(frame))
    frame.colorspace = frame.color_primaries = _BT2020 if is_wide else _UNSPECIFIED
    if frame.color_trc not in _TRANSFERS:
        frame.color_trc = _UNSPECIFIED


def _graph_to_bt709(frame: "av.VideoFrame") -> "av.filter.Graph":
    import av

    graph = av.filter.Graph()
    graph.threads = 1
    graph.link_nodes(
        graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 1000)),
        graph.add("scale", _TO_BT709),
        graph.add("format", "pix_fmts=rgb24"),
        graph.add("buffersink"),
    ).configure()
    return graph
