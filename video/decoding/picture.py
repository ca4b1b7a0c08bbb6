"""A picture that is made only if somebody looks at it: of most frames of a video, a clip takes the time alone."""

from collections.abc import Callable
from typing import Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Picture"]

Pixels = NDArray[np.uint8]


class Picture:
    """The pixels of one frame, made when they are first asked for and kept from then on.

    Args:
        make: gives RGB `uint8 [H, W, 3]`; called once at most, and let go of then, with the frame that it holds.
    """

    __slots__ = ("__weakref__", "_make", "_pixels")

    def __init__(self, make: Callable[[], Pixels]) -> None:
        self._make: Callable[[], Pixels] | None = make
        self._pixels: Pixels | None = None

    @classmethod
    def of(cls, pixels: Pixels) -> Self:
        """One that is made already."""
        picture = cls(lambda: pixels)
        picture._pixels, picture._make = pixels, None
        return picture

    @property
    def pixels(self) -> Pixels:
        """RGB `uint8 [H, W, 3]`; raises what making them raised."""
        if self._pixels is None:
            assert self._make is not None
            self._pixels, self._make = self._make(), None
        return self._pixels

    def changed(self, change: Callable[[Pixels], Pixels]) -> "Picture":
        """Another picture, made of this one's pixels: now where they are there, else when it is asked for."""
        return Picture(lambda: change(self.pixels)) if self._pixels is None else Picture.of(change(self._pixels))
