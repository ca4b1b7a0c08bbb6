"""Where the network waits for the decoder: shown beside the progress, and said once where it is much of the time."""

import logging
import math
import time
from collections.abc import Callable
from typing import TypeVar

from cocon.core.telling.waits import waiting_for

__all__ = ["DecoderWaits"]

Item = TypeVar("Item")

_logger = logging.getLogger(__name__)

# Long enough for what is at hand to have grown, and short enough for somebody who looks on.
_JUDGED_AFTER_S = 120.0
_MUCH = 0.1


class DecoderWaits:
    """Takes what is waited for, and counts how long that took; the first is not counted.

    Args:
        reuse: how often a stretch is drawn from.
    """

    def __init__(self, reuse: int) -> None:
        self._reuse = reuse
        self._since_s: float | None = None
        self._waited_s = 0.0
        self._is_judged = False

    def take(self, wait: Callable[[], Item]) -> Item:
        """What `wait` returns."""
        begin_s = time.monotonic()
        with waiting_for("the decoder"):
            item = wait()
        now_s = time.monotonic()
        if self._since_s is None:
            self._since_s = now_s
        else:
            self._waited_s += now_s - begin_s
            self._judge(now_s - self._since_s)
        return item

    def _judge(self, seconds: float) -> None:
        if self._is_judged or seconds < _JUDGED_AFTER_S:
            return
        self._is_judged = True
        if (share := self._waited_s / seconds) > _MUCH:
            enough = math.ceil(self._reuse / max(1 - share, 0.01))
            _logger.warning(
                "decoding is slower than the networks, which wait for it %.0f %% of the time; drawing more often from "
                "each stretch makes up for that, in a new run (one that goes on keeps its own): "
                "--set data.reuse=%d", 100 * share, enough
            )  # fmt: skip
