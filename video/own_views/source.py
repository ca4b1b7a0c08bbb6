"""A user's own view of a video: where it lies, what it must fit, and what is read of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cocon.video.decoding.limits import MediaLimits
from cocon.video.estimation.flow import FlowSpec
from cocon.video.store.stored_view import Attributes

__all__ = ["OwnSource", "OwnVideo", "OwnView"]


@dataclass(frozen=True, slots=True)
class OwnSource:
    """Where the user's own view of a video lies, and what they say of it.

    Attributes:
        path: file or folder.
        said: what `own_attributes` names, by those names.
    """

    path: Path
    said: Attributes = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OwnVideo:
    """The video that a user's own view must fit, and how it is read.

    Attributes:
        num_frames: F, of the video.
        height: of its frames.
        width: likewise.
        flow_size_px: short side of flow that is to be stored.
        limits: how much of a file is read before it is refused.
        on_frame: called for every frame of the view, as a sign of life.
    """

    num_frames: int
    height: int
    width: int
    flow_size_px: int = FlowSpec().size_px
    limits: MediaLimits = field(default_factory=MediaLimits)
    on_frame: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True)
class OwnView:
    """A user's own view of a video as it is stored.

    Attributes:
        rows: frames `uint8 [F, h, w, C]`, or key points `float16 [F, P, 17, 3]`.
        height: of the frames, or of the picture that key points refer to.
        width: likewise.
        num_with_person: frames that show a person; None where that cannot be told.
    """

    rows: NDArray[Any]
    height: int
    width: int
    num_with_person: int | None = None

    @classmethod
    def of_frames(cls, frames: NDArray[np.uint8], num_with_person: int | None = None) -> Self:
        """A view whose frames are `uint8 [F, h, w, C]`."""
        return cls(frames, frames.shape[1], frames.shape[2], num_with_person)
