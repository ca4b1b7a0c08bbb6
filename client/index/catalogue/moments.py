"""Labels of parts of a video. They are kept among the metadata of its place, and go wherever those go.

painted(moments_of({}), LabelledMoment(12.5, 18.0, "jump"))     # one moment, a jump
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "HAS_MOMENTS",
    "MOMENTS_KEY",
    "PARTS",
    "PART_LABEL",
    "LabelledMoment",
    "clip_labels",
    "moments_of",
    "painted",
    "with_moments",
]

MOMENTS_KEY = "moments"
"""Of the metadata; reserved: it can neither be set nor be asked for like others."""

HAS_MOMENTS = f"""instr(places.metadata, '"{MOMENTS_KEY}"') > 0"""
"""Of a place, as SQL: whether it may have labelled parts; most have none, and this is quick."""

PARTS = f"""
json_each(
    CASE WHEN {HAS_MOMENTS} AND json_type(places.metadata, '$.{MOMENTS_KEY}') = 'array'
    THEN json_extract(places.metadata, '$.{MOMENTS_KEY}') ELSE '[]' END
) AS part
"""
"""The labelled parts of a place, as SQL behind FROM."""

PART_LABEL = """
CASE part.type WHEN 'object' THEN
    CASE json_type(part.value, '$.label') WHEN 'text' THEN json_extract(part.value, '$.label') END
END
"""
"""The label of one of these, as SQL."""

# Of a clip that lies in a moment; as of one that lies in a span that asks, see `query/spans.py`.
_MIN_SHARE = 0.5
_TOLERANCE_S = 1e-6


@dataclass(frozen=True, slots=True, order=True)
class LabelledMoment:
    """A part of a video, and what it shows.

    Attributes:
        start_seconds: After the first frame, from 0.
        end_seconds: Greater, finite.
        label: Not empty, except of a moment that is to be painted over.
    """

    start_seconds: float
    end_seconds: float
    label: str


def moments_of(metadata: Mapping[str, object]) -> tuple[LabelledMoment, ...]:
    """The labelled parts that metadata hold, by time; what is none, as in a file of somebody else, is left out."""
    held = metadata.get(MOMENTS_KEY)
    return tuple(sorted(filter(None, map(_moment, held)))) if isinstance(held, list) else ()


def with_moments(metadata: Mapping[str, object], moments: Iterable[LabelledMoment]) -> dict[str, object]:
    """Metadata that hold these parts, and no others."""
    kept = {key: value for key, value in metadata.items() if key != MOMENTS_KEY}
    held = [asdict(moment) for moment in moments]
    return {**kept, MOMENTS_KEY: held} if held else kept


def painted(moments: Sequence[LabelledMoment], new: LabelledMoment) -> tuple[LabelledMoment, ...]:
    """Moments with a new one over them: no two overlap, and what touches and has one label is one.

    Args:
        moments: By time, none over another.
        new: Where its label is empty, that part has no label of its own any more.
    """
    first = bisect_left(moments, new.start_seconds, key=lambda moment: moment.end_seconds)
    last = bisect_right(moments, new.end_seconds, key=lambda moment: moment.start_seconds)
    return (*moments[:first], *_painted(moments[first:last], new), *moments[last:])


def _painted(touched: Sequence[LabelledMoment], new: LabelledMoment) -> Iterator[LabelledMoment]:
    kept = [replace(moment, end_seconds=min(moment.end_seconds, new.start_seconds)) for moment in touched]
    kept += [replace(moment, start_seconds=max(moment.start_seconds, new.end_seconds)) for moment in touched]
    parts = {moment for moment in [*kept, new] if moment.label and moment.start_seconds < moment.end_seconds}
    joined: list[LabelledMoment] = []
    for moment in sorted(parts):
        last = joined[-1] if joined else None
        if last and last.label == moment.label and moment.start_seconds <= last.end_seconds:
            joined[-1] = replace(last, end_seconds=max(last.end_seconds, moment.end_seconds))
        else:
            joined.append(moment)
    yield from joined


def clip_labels(spans: NDArray[np.float64], moments: Sequence[LabelledMoment], label: str | None) -> list[str | None]:
    """The label of each clip of a video: of the moment that it mostly lies in, else of the video.

    A moment that is so short that no clip lies mostly in it names the one that overlaps it most.

    Args:
        spans: Start and end of the clips in seconds, `float64 [K, 2]`.
        moments: No two of which overlap.
        label: Of the video.
    """
    labels = [label] * len(spans)
    if not moments or not len(spans):
        return labels
    bounds = np.array([(moment.start_seconds, moment.end_seconds) for moment in moments])  # [M, 2]
    overlaps = np.minimum(spans[:, 1:], bounds[:, 1]) - np.maximum(spans[:, :1], bounds[:, 0])  # [K, M]
    is_within = overlaps >= _MIN_SHARE * (spans[:, 1] - spans[:, 0])[:, None] - _TOLERANCE_S
    for number in np.flatnonzero(~is_within.any(axis=0) & (overlaps.max(axis=0) > 0)).tolist():
        labels[int(overlaps[:, number].argmax())] = moments[number].label
    for clip in np.flatnonzero(is_within.any(axis=1)).tolist():
        labels[clip] = moments[int(np.where(is_within[clip], overlaps[clip], 0).argmax())].label
    return labels


def _moment(held: object) -> LabelledMoment | None:
    if not isinstance(held, Mapping):
        return None
    start, end, label = (held.get(name) for name in ("start_seconds", "end_seconds", "label"))
    if not isinstance(start, int | float) or not isinstance(end, int | float) or not isinstance(label, str):
        return None
    is_sound = label and math.isfinite(end) and 0 <= start < end
    return LabelledMoment(float(start), float(end), label) if is_sound else None
