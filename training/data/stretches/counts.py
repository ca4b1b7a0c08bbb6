"""How many clips of each video an epoch has (`training.clips_per_video`): more of longer ones, so all footage counts.

counts = clip_counts(frames, config)
EpochPlan(len(frames), batch_size=16, seed=0, counts=counts)
"""

from cocon.training.config.run import Config
from cocon.training.data.frames import VideoFrames
from cocon.training.data.stretches.cutting import EntryLength
from cocon.training.data.stretches.pool import PooledFrames
from cocon.video.clips import ClipSpec

__all__ = ["clip_counts", "clip_seconds", "clips_within"]


# What a length in seconds is off by, in clips.
_ROUNDING = 1e-3


def clip_counts(frames: VideoFrames, config: Config) -> tuple[int, ...]:
    """Clips of each video in an epoch; empty where that is one of each, as of stretches, which are of like length.

    Reads the headers of the videos where their lengths decide.
    """
    wanted = config.training.clips_per_video
    if isinstance(frames, PooledFrames) or wanted == 1:
        return ()
    if wanted != "auto":
        return (wanted,) * len(frames)
    counts = clips_within(frames.lengths, config.clip.spec())
    return counts if max(counts, default=1) > 1 else ()


def clips_within(lengths: tuple[EntryLength | None, ...], clip: ClipSpec) -> tuple[int, ...]:
    """How many clips each video holds side by side, at least one, also where its length is not known."""
    sides = (0.0 if one is None else one.seconds / clip_seconds(clip, one.rate) for one in lengths)
    return tuple(max(1, int(number + _ROUNDING)) for number in sides)


def clip_seconds(clip: ClipSpec, rate: float) -> float:
    """How much of a video of so many frames a second a clip covers, its last frame included."""
    return clip.num_frames * (clip.step_seconds or (clip.step_frames or 1) / rate)
