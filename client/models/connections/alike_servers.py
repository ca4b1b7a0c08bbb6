"""Servers that offer the same models: one is asked at a time, the next where it fails, the first when it is back."""

import time
from collections.abc import Callable, Sequence

from tritonclient.utils import InferenceServerException

from cocon.client.models.connections.server_connection import ServerConnection
from cocon.client.models.target import Target

__all__ = ["AlikeServers"]

# How often the first one is asked whether it is back, and how long it may take to say so.
_HOME_EVERY_S, _HOME_S = 5.0, 0.5


class AlikeServers:
    """Not safe for several threads, but that one may close them.

    Attributes:
        current: The connection to the one whose turn it is.

    Args:
        targets: At least one; the first is asked as long as it answers.
        connected: Opens a connection.
    """

    def __init__(self, targets: Sequence[Target], connected: Callable[[Target], ServerConnection]) -> None:
        self._targets, self._connected = tuple(targets), connected
        self._turn = 0
        self._left_at_s = 0.0
        self.current = connected(self._targets[0])
        self._opened = {0: self.current}

    @property
    def names(self) -> str:
        """All of them."""
        return ", ".join(target.name for target in self._targets)

    @property
    def number(self) -> int:
        """How many they are."""
        return len(self._targets)

    def turn_to_next(self) -> bool:
        """Ask the next one from now on; whether there is one."""
        if self.number > 1:
            self._left_at_s = time.monotonic()
            self._turn_to((self._turn + 1) % self.number)
        return self.number > 1

    def turn_home(self) -> bool:
        """Ask the first one again from now on, if it is back, which is looked at seldom; whether that is so."""
        if self._turn == 0 or time.monotonic() - self._left_at_s < _HOME_EVERY_S:
            return False
        self._left_at_s = time.monotonic()
        try:
            is_back = self._opened[0].client.is_server_live(client_timeout=_HOME_S)
        except InferenceServerException:
            return False
        if is_back:
            self._turn_to(0)
        return bool(is_back)

    def close(self) -> None:
        """Close all connections; who waits for an answer in another thread waits no longer."""
        for connection in tuple(self._opened.values()):
            connection.close()

    def _turn_to(self, turn: int) -> None:
        if turn not in self._opened:
            self._opened[turn] = self._connected(self._targets[turn])
        self._turn, self.current = turn, self._opened[turn]
