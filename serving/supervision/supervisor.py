"""Watch a server: restart models that died or hang, and the server itself when it ends.

    with ServerProcess(repository, address, log=log) as server:
        Supervisor(server, WatchSettings()).watch()

On Triton 2.51 a model whose worker has ended fails every request and stays READY for ever; a worker that stood still
for a second with a request aborts the whole server when it goes on. The server tells of neither, so somebody must look.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from cocon.core.errors import CoconError, ServerError
from cocon.serving.checking.repository_check import check_served
from cocon.serving.launcher import ServerProcess
from cocon.serving.record import exclusive
from cocon.serving.supervision.crash_logs import keep_log
from cocon.serving.supervision.incidents import Incident, IncidentFile
from cocon.serving.supervision.lookout import Lookout
from cocon.serving.supervision.probe import ModelAnswer, Verdict
from cocon.serving.supervision.settings import WatchSettings

__all__ = ["Supervisor"]

_logger = logging.getLogger(__name__)

# A worker that stands still is harmless for a second, and must be ended within it.
_LOOK_INTERVAL_S = 0.25
# So often in a row without help: the model is restarted, then the server, then we give up.
_MAX_MODEL_RESTARTS = 2
_MAX_SERVER_RESTARTS = 3
_SERVER = ""


class Supervisor:
    """Watches one server.

    Args:
        server: It runs, and its models are READY.
        settings: How closely to watch.
        on_start: Told when the server has been started anew, before its models are READY.
    """

    def __init__(
        self,
        server: ServerProcess,
        settings: WatchSettings,
        *,
        on_start: Callable[[], None] = lambda: None,
    ) -> None:
        self._server = server
        self._settings = settings
        self._on_start = on_start
        self._incidents = IncidentFile(server.log)
        self._restarts: Counter[str] = Counter()  # in a row, of each model and of the server
        self._have_worked: set[str] = set()
        self._served: Mapping[str, Mapping[str, Any]] = {}
        self._lookout = self._new_lookout()

    def watch(self, *, while_: Callable[[], bool] = lambda: True) -> None:
        """Watch until the server cannot be helped.

        Args:
            while_: Asked before every look; watching ends when it says so.

        Raises:
            ServerError: The server cannot be helped; it and its workers have ended.
        """
        try:
            while while_():
                self.look()
                time.sleep(_LOOK_INTERVAL_S)
        finally:
            self.close()

    def look(self) -> None:
        """Look once, and do what is to be done about it.

        Raises:
            ServerError: The server cannot be helped; it and its workers have ended.
        """
        if not self._server.is_alive():
            self._restart_server("it ended by itself")
            return
        try:
            answers = self._lookout.look()
            self._last_heard = time.monotonic()
        except ServerError as silence:
            if self._server.is_alive() and time.monotonic() - self._last_heard > self._settings.timeout_s:
                self._restart_server(str(silence))
            return
        lookout = self._lookout
        for answer in answers:
            self._take(answer)
            if self._lookout is not lookout:  # the rest is about a server that is no more
                return

    def close(self) -> None:
        """Watch no more; the server goes on."""
        self._lookout.close()

    def _take(self, answer: ModelAnswer) -> None:
        if answer.verdict is Verdict.WORKS:
            self._have_worked.add(answer.model)
            del self._restarts[answer.model], self._restarts[_SERVER]
        elif self._is_broken(answer):
            self._restart_model(answer.model, answer.why)

    def _is_broken(self, answer: ModelAnswer) -> bool:
        if answer.verdict is Verdict.FAILS:
            # A model that has never taken our question may be right about that.
            return answer.model in self._have_worked
        return answer.verdict in (Verdict.DEAD, Verdict.HANGS)

    def _restart_model(self, model: str, why: str) -> None:
        self._restarts[model] += 1
        if self._restarts[model] > _MAX_MODEL_RESTARTS + 1:
            self._give_up(f"model '{model}' does not work again: {why}")
        if self._restarts[model] > _MAX_MODEL_RESTARTS:
            self._restart_server(f"model '{model}' does not work again: {why}")
            return
        self._tell(f"restarted model '{model}'", why)
        try:
            with exclusive(self._server.address.grpc_port):
                check_served(self._server.repository, self._server.scrutiny, models=[model])
                self._lookout.restart(model)
        except (CoconError, OSError) as error:
            if self._server.is_alive():
                self._restart_server(f"model '{model}' does not load again: {error}")

    def _restart_server(self, why: str) -> None:
        self._restarts[_SERVER] += 1
        again = self._restarts[_SERVER] - 1
        if again == _MAX_SERVER_RESTARTS:
            self._give_up(f"{why}, {again} restarts have not helped")
        if again:
            time.sleep(2**again)
        self._served = self._lookout.configurations or self._served
        self._lookout.close()
        with exclusive(self._server.address.grpc_port):
            self._server.end()
            self._tell("restarted the server", why, self._keep_log())
            self._start_again()
            self._lookout = self._new_lookout()
            if self._server.is_alive():
                self._restore_versions()

    def _restore_versions(self) -> None:
        try:
            self._lookout.restore(self._served)
        except ServerError as error:
            why = str(error).partition(" At: ")[0]  # Python's traceback in Triton's words says nothing
            _logger.warning("the server may serve other versions than before: %s", why)

    def _start_again(self) -> None:
        try:
            self._server.start_again()
            self._on_start()
            self._server.wait_until_ready()
        except (CoconError, OSError) as error:  # the next look finds it ended
            _logger.error("the server does not start again: %s", error)
            self._server.end()
        except BaseException:  # an interrupt: nothing half-started may stay behind
            self._server.stop()
            raise

    def _give_up(self, why: str) -> NoReturn:
        self._server.stop()
        log = self._keep_log()
        self._tell("gave the server up", why, log)
        raise ServerError(f"tritonserver has ended: {why}; log: {log}")

    def _tell(self, what: str, why: str, log: Path | None = None) -> None:
        incident = Incident(time.time(), what, why, log)
        _logger.warning("%s", incident)
        try:
            self._incidents.add(incident)
        except (CoconError, OSError) as error:  # they are kept for information only
            _logger.warning("what has happened is not kept: %s", error)

    def _keep_log(self) -> Path | None:
        try:
            return keep_log(self._server.log)
        except OSError as error:
            _logger.warning("the log of the crash is not kept: %s", error)
            return None

    def _new_lookout(self) -> Lookout:
        self._last_heard = time.monotonic()
        return Lookout(self._server.address, self._server.identity, self._settings)
