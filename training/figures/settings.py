"""The parameters of generated sets; light to import, so that `--help` stays quick."""

from dataclasses import dataclass
from typing import ClassVar

from cocon.core.errors import UsageError

__all__ = ["DEFAULT_CLUTTER", "FRAMES_PER_SECOND", "FigureSettings", "StreetSettings", "UntrimmedSettings"]

FRAMES_PER_SECOND = 30
# A calm place: smooth texture of about 15 grey levels, a slow drift and three muted things. Chosen for how it looks,
# before any network was trained on it, and not to be tuned by results.
DEFAULT_CLUTTER = 0.25


@dataclass(frozen=True, slots=True)
class FigureSettings:
    """What a set of videos is made from; equal settings make equal bytes.

    Attributes:
        num_videos: Half of them (rounded up) are for training.
        seconds: Length of each.
        size_px: Side of the RGB frames, even.
        view_size_px: Side of the stored flow and mask.
        clutter: 0 is a plain unmoving background, 1 a saturated, drifting, detailed one with a dozen distractors. The
            default was fixed before any training result was looked at.
        seed: Of all random numbers.
    """

    generator: ClassVar[str] = "figures"

    num_videos: int = 960
    seconds: float = 3.0
    size_px: int = 112
    view_size_px: int = 64
    clutter: float = DEFAULT_CLUTTER
    seed: int = 0

    def __post_init__(self) -> None:
        rules = (
            ("num_videos", self.num_videos >= 2, "at least 2"),
            ("seconds", 0.1 <= self.seconds <= 600, "between 0.1 and 600"),
            ("size_px", 32 <= self.size_px <= 512 and self.size_px % 2 == 0, "an even number between 32 and 512"),
            ("view_size_px", 16 <= self.view_size_px <= 512, "between 16 and 512"),
            ("clutter", 0 <= self.clutter <= 1, "between 0 and 1"),
            ("seed", self.seed >= 0, "0 or more"),
        )
        for name, holds, rule in rules:
            if not holds:
                raise UsageError(f"{name} ({getattr(self, name)}) must be {rule}")

    @property
    def num_frames(self) -> int:
        """Frames of each video."""
        return round(self.seconds * FRAMES_PER_SECOND)

    @property
    def num_train(self) -> int:
        """Videos of the training split; they come first."""
        return (self.num_videos + 1) // 2


@dataclass(frozen=True, slots=True)
class UntrimmedSettings(FigureSettings):
    """What a set of untrimmed videos, of several actions each, is made from.

    Attributes:
        num_videos: Half of them (rounded up) are for training, the others for validation.
        seconds: The longest that a video may be; the shortest is 8 s, or this if it is less.
        seed: The people are others than those that `FigureSettings` makes of the same seed.
    """

    generator: ClassVar[str] = "untrimmed figures"

    num_videos: int = 60
    seconds: float = 25.0

    def __post_init__(self) -> None:
        if not 4 <= self.seconds <= 32:
            raise UsageError(f"seconds ({self.seconds}) must be between 4 and 32")
        FigureSettings.__post_init__(self)


@dataclass(frozen=True, slots=True)
class StreetSettings(FigureSettings):
    """What the street set is made from: videos as strangers film them, for encoders that are to be of use there.

    Attributes:
        num_videos: a tenth of them (rounded down) is for testing.
        seconds: the longest that a video may be; most are nearer to 2 s.
        size_px: short side of the RGB frames, even.
        view_size_px: short side of stored flow and mask; flow is estimated at that size.
        clutter: the most that a place may have.
    """

    generator: ClassVar[str] = "street"

    num_videos: int = 3000
    seconds: float = 6.0
    size_px: int = 128
    clutter: float = 1.0

    def __post_init__(self) -> None:
        if not 1 <= self.seconds <= 60:
            raise UsageError(f"seconds ({self.seconds}) must be between 1 and 60")
        FigureSettings.__post_init__(self)

    @property
    def num_train(self) -> int:
        """Videos of the training split; they come first."""
        return self.num_videos - max(1, self.num_videos // 10)
