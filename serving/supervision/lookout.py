"""Everything that can be seen of one server from outside: its workers, and what its models answer.

with Lookout(address, server.identity, WatchSettings()) as lookout:
    for answer in lookout.look():
        print(answer.model, answer.verdict)
"""

import logging
import signal
import time
from collections.abc import Mapping
from typing import Any, Self

from cocon.serving.address import Address
from cocon.serving.operator_client import OperatorClient
from cocon.serving.processes import ProcessIdentity
from cocon.serving.supervision.probe import ModelAnswer, Probe, Verdict
from cocon.serving.supervision.repair import (
    configurations_of,
    restart_model,
    restore_versions,
    served_versions,
)
from cocon.serving.supervision.settings import WatchSettings
from cocon.serving.supervision.workers import ServerWorker, WorkerWatch

__all__ = ["Lookout"]

_logger = logging.getLogger(__name__)

_DISCOVERY_INTERVAL_S = 5.0


class Lookout:
    """Looks at one server, from its start to its end: a context manager.

    Its methods raise ServerError where the server does not answer.

    Args:
        address: Where the server listens.
        server: The server process.
        settings: How closely to look.

    Attributes:
        configurations: Of all models, as `repair.configurations_of` gives them, at the last round of questions.
    """

    def __init__(self, address: Address, server: ProcessIdentity, settings: WatchSettings) -> None:
        self._operator = OperatorClient(address)
        self._probe = Probe(self._operator.connection, timeout_s=settings.timeout_s)
        self._workers = WorkerWatch(server)
        self._settings = settings
        self._next_round = self._next_discovery = time.monotonic()
        self.configurations: Mapping[str, Mapping[str, Any]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Look no more."""
        self._operator.close()

    def look(self) -> list[ModelAnswer]:
        """What is known now that was not at the last look; questions that are due are sent, and not waited for."""
        now = time.monotonic()
        if now >= self._next_discovery:
            self._workers.discover()
            self._next_discovery = now + _DISCOVERY_INTERVAL_S
        dead = self._look_at_workers()
        gone = {answer.model for answer in dead}  # what was asked before says no more of them
        seen = [*dead, *(answer for answer in self._probe.answers() if answer.model not in gone)]
        if now >= self._next_round:
            seen += self._ask_all()
            self._next_round = now + self._settings.interval_s
        return seen

    def restart(self, model: str) -> None:
        """Restart a model, and ask it whether that has helped; see `repair.restart_model`."""
        self._probe.forget(model)
        restart_model(model, self._operator, self._workers, timeout_s=self._settings.loading_timeout_s)
        self._workers.discover()
        self._probe.ask(model)

    def restore(self, configurations: Mapping[str, Mapping[str, Any]]) -> None:
        """Have models serve the versions that they served in another server's life; see `repair.restore_versions`."""
        restore_versions(configurations, self._operator, timeout_s=self._settings.loading_timeout_s)

    def _look_at_workers(self) -> list[ModelAnswer]:
        ended, stopped = self._workers.look()
        for worker in stopped:
            _logger.warning(
                "a worker of model '%s' is stopped (process %d): ending it", worker.model, worker.process.pid
            )
            worker.process.send(signal.SIGKILL)
        if not ended:
            return []
        self._workers.discover()
        served = served_versions(self._operator)
        missed = [worker for worker in ended if int(worker.version) in served.get(worker.model, [])]
        answers = (answer for worker in missed if (answer := self._miss(worker)) is not None)
        return list({answer.model: answer for answer in answers}.values())  # one, however many workers it has lost

    def _miss(self, worker: ServerWorker) -> ModelAnswer | None:
        """A worker has ended whose model is READY: the model is dead, or has others, and is asked."""
        if self._workers.of(worker.model, worker.version):
            self._probe.ask(worker.model)
            return None
        return ModelAnswer(worker.model, Verdict.DEAD, "its worker has ended")

    def _ask_all(self) -> list[ModelAnswer]:
        """Ask the models with work of their own; an ensemble is as well as its parts."""
        answers = []
        self.configurations = configurations_of(self._operator)
        for model in self.configurations:
            if self._probe.has_answered_others(model):
                answers.append(ModelAnswer(model, Verdict.WORKS))
            else:
                self._probe.ask(model)
        return answers
