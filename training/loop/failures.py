"""Videos that fail while others are trained on: how many may, and what is said of them."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice

from cocon.core.errors import VideoError
from cocon.core.printable import printable
from cocon.training.config.input_sections import DataSection
from cocon.training.data.frames import VideoFrames
from cocon.training.distributed import objects_of_all

__all__ = ["fail_too_often", "failures_of_all", "failures_said", "none_left_counted", "refuse_failures"]

_NUM_NAMED = 3


def fail_too_often(frames: VideoFrames, data: DataSection) -> bool:
    """Whether more of this process's videos failed than `data.max_failed_share` allows."""
    return _are_too_many(len(frames.failures), frames, data)


def failures_of_all(frames: VideoFrames) -> dict[str, str]:
    """Id → reason of the videos that failed in any process; by every process at once."""
    return {name: reason for found in objects_of_all(dict(frames.failures)) for name, reason in sorted(found.items())}


def refuse_failures(frames: VideoFrames, data: DataSection) -> None:
    """Raise `VideoError` if more videos failed than `data.max_failed_share` allows; by every process at once."""
    failures = failures_of_all(frames)
    if _are_too_many(len(failures), frames, data):
        raise VideoError(_refusal(failures, frames, data))


@contextmanager
def none_left_counted(frames: VideoFrames, data: DataSection) -> Iterator[None]:
    """Have the error of a video that ends the block, since no other is left, say how many failed."""
    try:
        yield
    except VideoError as error:
        if len(frames.failures) < min(len(frames), frames.num_videos):
            raise
        raise type(error)(_refusal(dict(frames.failures), frames, data)) from error


def failures_said(failures: Mapping[str, str]) -> str:
    """The first ones with their reasons, and how many more there are."""
    named = [f"'{printable(name)}' ({reason})" for name, reason in islice(failures.items(), _NUM_NAMED)]
    more = [f"{len(failures) - _NUM_NAMED} more"] if len(failures) > _NUM_NAMED else []
    return ", ".join([*named, *more])


def _are_too_many(count: int, frames: VideoFrames, data: DataSection) -> bool:
    return count > data.max_failed_share * frames.num_videos


def _refusal(failures: Mapping[str, str], frames: VideoFrames, data: DataSection) -> str:
    share = len(failures) / frames.num_videos
    return (
        f"{len(failures)} of {frames.num_videos} training videos failed ({share:.1%}), data.max_failed_share allows "
        f"{data.max_failed_share:.1%}: {failures_said(failures)}; mend them or take them out, or allow more: "
        f"--set data.max_failed_share={math.ceil(100 * share) / 100:g}"
    )
