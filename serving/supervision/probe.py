"""Ask the models of a server, and tell from what comes back whether each still works.

with InferenceServerClient(address.url) as connection:
    probe = Probe(connection, timeout_s=30.0)
    probe.ask("cocon_rgb")
    for answer in probe.answers():
        print(answer.model, answer.verdict)
"""

import enum
from collections import Counter
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue

from tritonclient.grpc import InferenceServerClient, InferResult
from tritonclient.utils import InferenceServerException

from cocon.core.errors import ServerError
from cocon.embedding.repository import ENSEMBLE_PLATFORM
from cocon.serving.supervision.questions import instance_count, patience_s, question
from cocon.serving.supervision.settings import QUESTION_ID

__all__ = ["ModelAnswer", "Probe", "Verdict"]

_CALL_TIMEOUT_S = 5.0


class Verdict(enum.Enum):
    """What a question has shown."""

    WORKS = "works"
    BUSY = "busy"
    """It had no time for the question, and finishes others."""
    DEAD = "its worker has ended or does not respond"
    HANGS = "it answers nothing"
    FAILS = "it answers with an error"
    AWAY = "it is not loaded, or the server is ending"


# From the worst: of several instances of a model, the worst counts.
_WORST_FIRST = (Verdict.DEAD, Verdict.HANGS, Verdict.FAILS, Verdict.AWAY, Verdict.BUSY, Verdict.WORKS)


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """A question that is over.

    Attributes:
        model: Who was asked.
        verdict: What it has shown.
        why: The server's words where it is no good one, on one line.
    """

    model: str
    verdict: Verdict
    why: str = ""


@dataclass(slots=True)
class _Asked:
    """A question under way: how many answers are due, what came, and what the model had finished before."""

    due: int
    finished: int
    timeout_s: float
    came: list[tuple[Verdict, str]]


class Probe:
    """Asks models, each at most once at a time, and never waits for an answer.

    Args:
        connection: To the server.
        timeout_s: How long a model may take for an answer while it finishes nothing else, in seconds.
    """

    def __init__(self, connection: InferenceServerClient, *, timeout_s: float) -> None:
        self._connection = connection
        self._timeout_s = timeout_s
        self._asked: dict[str, _Asked] = {}
        self._done: dict[str, tuple[int, int]] = {}
        self._incoming: SimpleQueue[tuple[str, _Asked, InferenceServerException | None]] = SimpleQueue()

    def has_answered_others(self, model: str) -> bool:
        """Whether the model has answered requests of others since the last time, and failed none: it need not be asked.

        Raises:
            ServerError: The server does not answer.
        """
        before, now = self._done.get(model), self._counts(model)
        self._done[model] = now
        return before is not None and now[0] > before[0] and now[1] == before[1]

    def ask(self, model: str) -> None:
        """Send a question to every instance of a model, if none is under way. An ensemble is as well as its parts.

        Raises:
            ServerError: The server does not answer.
        """
        if model in self._asked:
            return
        try:
            config = self._connection.get_model_config(model, client_timeout=_CALL_TIMEOUT_S).config
        except InferenceServerException as error:
            if _status(error) not in ("NOT_FOUND", "INVALID_ARGUMENT"):
                raise ServerError(f"the server does not answer: {error.message()}") from error
            return  # it has just been unloaded
        if config.platform == ENSEMBLE_PLATFORM:
            return
        timeout_s = patience_s(config, self._timeout_s)
        asked = _Asked(instance_count(config), sum(self._counts(model)), timeout_s, [])
        self._asked[model] = asked
        for _ in range(asked.due):
            answered = partial(self._came, model, asked)
            self._connection.async_infer(
                model, question(config), answered, request_id=QUESTION_ID, client_timeout=timeout_s
            )

    def forget(self, model: str) -> None:
        """Take no notice of what comes to a question that is under way."""
        self._asked.pop(model, None)

    def answers(self) -> list[ModelAnswer]:
        """What has been answered since the last call.

        Raises:
            ServerError: The server does not answer.
        """
        over = []
        while (arrived := self._next()) is not None:
            model, asked, error = arrived
            if self._asked.get(model) is not asked:
                continue  # forgotten
            asked.came.append(self._judge(model, asked, error))
            if len(asked.came) == asked.due:
                del self._asked[model]
                self._done[model] = self._counts(model)  # the question itself proves nothing the next time
                verdict, why = min(asked.came, key=lambda came: _WORST_FIRST.index(came[0]))
                over.append(ModelAnswer(model, verdict, why))
        return over

    def _came(
        self, model: str, asked: _Asked, result: InferResult | None, error: InferenceServerException | None
    ) -> None:
        """Called by gRPC, in a thread of its own."""
        self._incoming.put((model, asked, error))

    def _next(self) -> tuple[str, _Asked, InferenceServerException | None] | None:
        try:
            return self._incoming.get_nowait()
        except Empty:
            return None

    def _judge(self, model: str, asked: _Asked, error: InferenceServerException | None) -> tuple[Verdict, str]:
        if error is None:
            return Verdict.WORKS, ""
        verdict = _verdict(error)
        if verdict is Verdict.HANGS and sum(self._counts(model)) > asked.finished:
            return Verdict.BUSY, ""
        if verdict is Verdict.HANGS:
            return verdict, f"no answer within {asked.timeout_s:g} s"
        return verdict, " ".join(str(error.message()).split())

    def _counts(self, model: str) -> tuple[int, int]:
        """How many requests a model has answered, and how many it has failed, over all versions."""
        try:
            statistics = self._connection.get_inference_statistics(model, client_timeout=_CALL_TIMEOUT_S)
        except InferenceServerException as error:
            if _status(error) in ("NOT_FOUND", "INVALID_ARGUMENT"):
                return 0, 0  # it is not loaded
            raise ServerError(f"the server does not answer: {error.message()}") from error
        counts = Counter[str]()
        for version in statistics.model_stats:
            counts["success"] += version.inference_stats.success.count
            counts["fail"] += version.inference_stats.fail.count
        return counts["success"], counts["fail"]


def _verdict(error: InferenceServerException) -> Verdict:
    status, said = _status(error), str(error.message())
    if "is not healthy" in said:
        return Verdict.DEAD
    if status == "DEADLINE_EXCEEDED":
        return Verdict.HANGS
    if status in ("INVALID_ARGUMENT", "UNIMPLEMENTED"):
        return Verdict.WORKS  # it has understood that zeros are no question for it
    if status == "RESOURCE_EXHAUSTED" or "queue size" in said or "timeout expired" in said:
        return Verdict.BUSY
    return Verdict.AWAY if status in ("NOT_FOUND", "UNAVAILABLE", "CANCELLED") else Verdict.FAILS


def _status(error: InferenceServerException) -> str:
    """As gRPC calls it: `NOT_FOUND`."""
    return str(error.status() or "").removeprefix("StatusCode.")
