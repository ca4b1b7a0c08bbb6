"""One server is asked at a time: again while it is away or has no room, or the next where it does not answer."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import tritonclient.grpc as grpc_client
from tritonclient.utils import InferenceServerException

from cocon.client.models.connections.alike_servers import AlikeServers
from cocon.client.models.connections.credentials import Credentials
from cocon.client.models.connections.server_connection import ServerConnection
from cocon.client.models.failures import is_distrusted, is_interruption, is_late, translated
from cocon.client.models.retries import NoAnswerError, Retries
from cocon.client.models.shared_tensors import SharedTensors
from cocon.client.models.target import Target

__all__ = ["AskingInTurn"]

_Answer = TypeVar("_Answer")


class AskingInTurn:
    """The one place where tritonclient's errors become ours. Not safe for several threads, but that one may close it.

    Args:
        targets: The servers, at least one.
        timeout_s: Deadline of every request.
        deadline_s: Of a request and its repetitions; so long that each server may hang once, if None.
        awaits_start: Whether a server that has never answered is waited for as long.
        shares_memory: Whether large tensors go through memory that a server on this machine sees too, where it does.
        credentials: By which a server is known, and who asks it.
        on_turn: Called when the next answer may be another server's than the last.

    Raises:
        UsageError: The credentials are none, or not for these servers.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        *,
        timeout_s: float,
        deadline_s: float | None,
        awaits_start: bool,
        shares_memory: bool,
        credentials: Credentials,
        on_turn: Callable[[], None],
    ) -> None:
        self._credentials, self._on_turn = credentials, on_turn
        self._timeout_s, self._deadline_s = timeout_s, deadline_s
        connected = partial(ServerConnection.open, credentials=credentials, shares_memory=shares_memory)
        self._servers = AlikeServers(targets, connected)
        self._asked = self._servers.current
        self._retries = Retries(
            self._servers.names,
            self.check_live,
            timeout_s=timeout_s,
            deadline_s=timeout_s * len(targets) if deadline_s is None else deadline_s,
            awaits_start=awaits_start,
            num_servers=self._servers.number,
        )

    @property
    def target(self) -> Target:
        """The server whose turn it is."""
        return self._servers.current.target

    @property
    def client(self) -> grpc_client.InferenceServerClient:
        """Asks that server; its errors are not translated but in `ask`."""
        return self._servers.current.client

    @property
    def shared(self) -> SharedTensors:
        """Memory that it may see too."""
        return self._servers.current.shared

    @property
    def num_servers(self) -> int:
        """How many may be asked in turn."""
        return self._servers.number

    def ask(self, request: Callable[[float], _Answer]) -> _Answer:
        """The answer to a request, which takes the seconds it may last.

        Raises:
            ServerError: There is none in time.
            MismatchError: The server refuses it.
        """
        try:
            return self._retries.ask(partial(self._ask_in_turn, request))
        except NoAnswerError as error:
            told = translated(
                error.failure,
                self._asked.target,
                self._asked.proxy,
                self._credentials,
                timeout_s=self._timeout_s,
                deadline_s=self._deadline_s,
                has_answered=error.has_answered,
            )
            if self.num_servers > 1:
                told = type(told)(f"{told} (asked in turn: {self._servers.names})")
            raise told from error

    def check_live(self, left_s: float) -> None:
        """Raise what a server says that is about to end, an `InferenceServerException`."""
        try:
            if self.client.is_server_live(client_timeout=left_s):
                return
        except InferenceServerException as error:
            if not is_interruption(error):
                return
            raise
        raise InferenceServerException("it is not live", status="UNAVAILABLE")

    def close(self) -> None:
        """Close the connections; who waits for an answer in another thread waits no longer."""
        self._retries.close()
        self._servers.close()

    def _ask_in_turn(self, request: Callable[[float], _Answer], left_s: float) -> _Answer:
        """Ask the server whose turn it is; where it does not answer, the next request is for another."""
        if self._servers.turn_home():
            self._on_turn()
        self._asked = self._servers.current
        try:
            return request(left_s)
        except InferenceServerException as error:
            is_to_turn = is_interruption(error) or is_late(error) or is_distrusted(error)
            if is_to_turn and self._servers.turn_to_next():
                self._on_turn()
            raise
