"""Finds the version of a model that callers are to take, and asks for something of that one alone."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from tritonclient.utils import InferenceServerException

from cocon.client.models.connections.asking_in_turn import AskingInTurn
from cocon.client.models.failures import is_interruption, is_refused, is_restricted, is_unreachable
from cocon.client.models.versions.offered import (
    DescribedVersion,
    check_ready,
    check_still_offered,
    listed_without_key,
    ready_names,
)
from cocon.core.errors import MismatchError, UsageError
from cocon.embedding.config_files import CURRENT_KEY
from cocon.embedding.repository import version_key

__all__ = ["ServedVersions"]

_Answer = TypeVar("_Answer")


class ServedVersions:
    """What servers say of their models. Not safe for several threads.

    Args:
        servers: Are asked; not closed here.
        on_failure: Called when a request of a version has failed, after which its name may be another's.
    """

    def __init__(self, servers: AskingInTurn, on_failure: Callable[[], None]) -> None:
        self._servers, self._on_failure = servers, on_failure
        self._gone_from: set[str] = set()

    def model_names(self, *, awaits_others: bool = True) -> list[str]:
        """Models that are ready, in alphabetical order; those that are being loaded are waited for, or left out."""
        return self._servers.ask(lambda left_s: ready_names(self._index(left_s), awaits_others=awaits_others))

    def is_ready(self, name: str) -> bool:
        """Whether a model is ready, whatever becomes of others; one that is being loaded is waited for."""
        return self._servers.ask(
            lambda left_s: name in ready_names([model for model in self._index(left_s) if model.name == name])
        )

    def described(self, name: str, contract_key: str, *, version: int = 0, remedy: str = "") -> DescribedVersion:
        """See `TritonChannel.described`."""
        return self._servers.ask(lambda left_s: self._described(name, contract_key, version, remedy, left_s))

    def config_now(self, model: DescribedVersion) -> Any:  # noqa: ANN401  # generated, untyped
        """The configuration of the model that has the same name and number now; raises as `ask_of`."""
        return self.ask_of(model, lambda left_s: self._config(model.name, model.version, left_s))

    def ask_of(self, model: DescribedVersion, request: Callable[[float], _Answer]) -> _Answer:
        """Ask for something of one version, which may be gone for good.

        Raises:
            VersionGoneError: It is gone from all servers.
            ServerError: There is no answer in time.
            MismatchError: The server refuses the request.
        """

        def once(left_s: float) -> _Answer:
            try:
                answer = request(left_s)
            except InferenceServerException as error:
                if is_refused(error):  # it is the same, and need not be asked more
                    raise
                self._on_failure()  # it may be another server by now
                if is_interruption(error) and not is_unreachable(error):
                    with suppress(InferenceServerException):  # it is the server that is not ready
                        self._check_still_offered(model.name, model.version, self._index(left_s, model.name))
                raise
            self._gone_from.clear()
            return answer

        return self._servers.ask(once)

    def _index(self, left_s: float, name: str = "") -> Sequence[Any]:
        """What the server tells of its models, and of the one that is asked for."""
        client = self._servers.client
        try:
            models: Sequence[Any] = client.get_model_repository_index(client_timeout=left_s).models
        except InferenceServerException as error:
            if not is_restricted(error):
                raise
            return listed_without_key(client, name, timeout_s=left_s)
        return models

    def _described(self, name: str, contract_key: str, wanted: int, remedy: str, left_s: float) -> DescribedVersion:
        listed, server = self._index(left_s, name), self._servers.target.name
        try:
            check_ready(name, listed, server, remedy=remedy)
        except UsageError:
            self._servers.check_live(left_s)
            raise
        if wanted:
            self._check_still_offered(name, str(wanted), listed)
        version, config = self._current(name, wanted, left_s)
        source = f"the contract of model '{name}' version {version} on {server}"
        described = DescribedVersion(name, version, config, version_key(contract_key, version), source)
        if contract_key and not described.has_contract:
            problem = f"carries no '{described.contract_key}'"
            raise MismatchError(f"model '{name}' on {server} {problem}; export it with 'cocon export'")
        return described

    def _current(self, name: str, wanted: int, left_s: float) -> tuple[str, Any]:
        """The version that is wanted, or else the one that its operator named, or the newest; and its configuration."""
        versions = self._servers.client.get_model_metadata(name, client_timeout=left_s).versions
        version = str(wanted or max(map(int, versions)))
        config = self._config(name, version, left_s)
        self._gone_from.clear()
        current = str(config.parameters[CURRENT_KEY].string_value) if CURRENT_KEY in config.parameters else version
        if not wanted and current != version and current in versions:  # both are there while versions change
            return current, self._config(name, current, left_s)
        return version, config

    def _config(self, name: str, version: str, left_s: float) -> Any:  # noqa: ANN401  # generated, untyped
        return self._servers.client.get_model_config(name, version, client_timeout=left_s).config

    def _check_still_offered(self, name: str, version: str, listed: Sequence[Any]) -> None:
        """See `check_still_offered`; what one server has no more, another may still have."""
        server = self._servers.target.name
        try:
            check_still_offered(name, version, listed, server)
        except MismatchError:
            self._gone_from.add(server)
            if len(self._gone_from) == self._servers.num_servers:
                raise
