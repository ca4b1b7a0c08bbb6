"""Times of decoded frames, increasing whatever the container says."""

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import av

__all__ = ["Clock"]

# A pause beyond what the header declares is believed up to here; one damaged time must not become hours of stills.
_MAX_PAUSE_S = 300.0
# Times that go back farther than reordering does begin anew: streams were joined, or a damaged time was believed.
_MAX_REORDERING_S = 1.0
# Of reordered frames; FFmpeg's names.
_WITHOUT_PRESENTATION_TIMES = frozenset(("asf", "avi", "mxf"))


@dataclass(slots=True)
class Clock:
    """Times of frames in presentation order.

    Some containers have no presentation times; what the demuxer makes up for reordered frames then goes back and forth,
    while the decoding times of the packets that brought the frames out increase, one interval apart. There decoding
    times are taken from the beginning, and elsewhere as soon as presentation times have gone back more often. A frame
    without a later time by either comes one frame interval after the one before. So does one that would come after a
    long pause and behind the end that the header declares; what follows it, or a step far back, keeps its distances.

    Attributes:
        format: FFmpeg's name of the container.
        rate: frames per second.
        declared_seconds: of the video, by its header; 0 where that does not say.
        damaged: takes a line for every time that is not believed.
        is_plain: whether every time so far was what the container says of that frame.
        is_elsewhere: whether the next frame is from another place of the file, see `leap`.
    """

    format: str
    rate: float
    declared_seconds: float
    damaged: list[str]
    is_plain: bool = True
    is_elsewhere: bool = False
    _first: float | None = None
    _previous: float = -math.inf
    _shift: float = 0.0
    _last_of: dict[str, float] = field(default_factory=lambda: {"pts": -math.inf, "dts": -math.inf})
    _num_faults: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self._num_faults = {"pts": int(not self.has_presentation_times), "dts": 0}

    @property
    def has_presentation_times(self) -> bool:
        """Whether the container has times of frames, or of packets alone."""
        return self.format not in _WITHOUT_PRESENTATION_TIMES

    def leap(self) -> None:
        """Take the next frame from another place of the file: its time is believed as it stands."""
        self.is_elsewhere = True
        self._last_of = {"pts": -math.inf, "dts": -math.inf}

    def seconds_of(self, frame: "av.VideoFrame") -> float:
        """Seconds after the first frame."""
        times: dict[str, float] = {}
        base = frame.time_base
        for kind, ticks in (("pts", frame.pts), ("dts", frame.dts)):
            known = ticks is not None and bool(base)
            # As exact as fractions are, and ten times as fast.
            times[kind] = ticks * base.numerator / base.denominator if ticks is not None and base else -math.inf
            # Frames that come out behind the last packet have no decoding time, which says nothing against the others.
            self._num_faults[kind] += times[kind] <= self._last_of[kind] and (known or self._last_of[kind] == -math.inf)
            self._last_of[kind] = times[kind] if known else self._last_of[kind]
        kind = "pts" if self._num_faults["pts"] <= self._num_faults["dts"] else "dts"
        seconds = times[kind] - self._shift
        self.is_plain &= math.isfinite(seconds) and (kind == "pts") == self.has_presentation_times
        if self._first is None:
            self._first = self._previous = seconds if math.isfinite(seconds) else 0.0
        else:
            self._previous = self._believable(seconds, self._first)
        return self._previous - self._first

    def _believable(self, seconds: float, first: float) -> float:
        """The time itself, or one frame interval after the frame before."""
        if self.is_elsewhere and math.isfinite(seconds):
            self.is_elsewhere = False
            return seconds
        following = self._previous + 1 / self.rate
        end = max(self._previous + _MAX_PAUSE_S, first + self.declared_seconds + 1 / self.rate)
        if self._previous < seconds <= end:
            return seconds
        if seconds > end:
            self.damaged.append(f"a frame claims to come {seconds - self._previous:.6g} s after the one before")
        if seconds > end or -math.inf < seconds < self._previous - _MAX_REORDERING_S:
            self._shift += seconds - following
        self.is_plain = False
        return following
