"""A channel to a Triton server, over the KServe v2 protocol (gRPC): what can be asked."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
import tritonclient.grpc as grpc_client
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from cocon.client.models.connections.alike_servers import AlikeServers
from cocon.client.models.connections.credentials import NO_CREDENTIALS, Credentials
from cocon.client.models.connections.request_log import asked
from cocon.client.models.connections.request_tensors import answer_shapes, sent_inputs
from cocon.client.models.connections.row_chunks import RowChunks
from cocon.client.models.connections.server_connection import ServerConnection
from cocon.client.models.failures import (
    is_distrusted,
    is_interruption,
    is_late,
    is_refused,
    is_restricted,
    is_unreachable,
    translated,
)
from cocon.client.models.offered import (
    ONE_MODEL,
    DescribedVersion,
    VersionGoneError,
    check_ready,
    check_still_offered,
    listed_without_key,
    ready_names,
)
from cocon.client.models.retries import NoAnswerError, Retries, seconds_until
from cocon.client.models.served_work import ServedWork
from cocon.client.models.shared_tensors import SharedTensors, is_about_memory
from cocon.client.models.target import Target
from cocon.core.errors import MismatchError, UsageError
from cocon.embedding.config_files import CURRENT_KEY
from cocon.embedding.repository import version_key

__all__ = ["TritonChannel"]

# How long a model that was seen to be the one described is believed to be it. To ask costs a server half as much as the
# rest of a small request; one that is started anew takes longer, and its clients are told by the interruption.
_BELIEVED_S = 1.0

_Answer = TypeVar("_Answer")


class TritonChannel:
    """Holds a channel; not safe for several threads.

    Args:
        target: The server.
        others: Servers with the same models, which are asked in turn where it fails.
        timeout_s: Deadline of every request.
        deadline_s: Of a request and its repetitions while the server is away or has no room; `timeout_s` by default.
        awaits_start: Whether a server that has never answered is waited for as long.
        shares_memory: Whether large tensors go through memory that a server on this machine sees too, where it does.
        credentials: By which the server is known, and who asks it.

    Raises:
        UsageError: The credentials are none, or not for this server.
    """

    def __init__(
        self,
        target: Target,
        others: Sequence[Target] = (),
        *,
        timeout_s: float,
        deadline_s: float | None = None,
        awaits_start: bool = False,
        shares_memory: bool = True,
        credentials: Credentials = NO_CREDENTIALS,
    ) -> None:
        self._credentials = credentials
        self._timeout_s, self._deadline_s = timeout_s, deadline_s
        connected = partial(ServerConnection.open, credentials=credentials, shares_memory=shares_memory)
        self._servers = AlikeServers([target, *others], connected)
        self._asked = self._servers.current
        self._gone_from: set[str] = set()
        self._chunks = RowChunks()
        self._retries = Retries(
            self._servers.names,
            self._check_live,
            timeout_s=timeout_s,
            # Where one hangs, there is time for each of the others.
            deadline_s=timeout_s * (1 + len(others)) if deadline_s is None else deadline_s,
            awaits_start=awaits_start,
            num_servers=self._servers.number,
        )
        self._seen_at: dict[tuple[str, ...], float] = {}
        self._unseen: dict[tuple[str, ...], DescribedVersion] = {}

    @property
    def target(self) -> Target:
        """The server whose turn it is."""
        return self._servers.current.target

    @property
    def software(self) -> str:
        """Triton and its version."""
        metadata = self._ask(lambda left_s: self._client.get_server_metadata(client_timeout=left_s))
        return f"{metadata.name} {metadata.version}"

    def model_names(self) -> list[str]:
        """Models that are ready, in alphabetical order; those that are being loaded are waited for."""
        return self._ask(lambda left_s: ready_names(self._index(left_s)))

    def is_ready(self, name: str) -> bool:
        """Whether a model is ready, whatever becomes of others; one that is being loaded is waited for."""
        return self._ask(
            lambda left_s: name in ready_names([model for model in self._index(left_s) if model.name == name])
        )

    def described(self, name: str, contract_key: str, *, version: int = 0, remedy: str = "") -> DescribedVersion:
        """The version of a model that callers are to take: the newest one, unless its operator has named another.

        Args:
            name: Model.
            contract_key: Of the parameter that carries the contract, before the version; empty where nobody reads one.
            version: To be taken in place of it.
            remedy: Ends the message where there is no such model.

        Raises:
            ServerError: The server does not answer, or has the model and cannot load it.
            UsageError: It has no such model; the message names those it has.
            MismatchError: The model carries no contract of that kind, or the version wanted is gone.
        """
        return self._ask(lambda left_s: self._described(name, contract_key, version, remedy, left_s))

    def statistics(self, name: str, version: str) -> ServedWork:
        """What the server has done for a version of a model so far.

        Raises:
            ServerError: It does not answer, or tells nobody.
        """
        found = self._ask(lambda left_s: self._client.get_inference_statistics(name, version, client_timeout=left_s))
        return ServedWork.of(found.model_stats[0])

    def infer(
        self, model: DescribedVersion, inputs: Mapping[str, NDArray[Any]], outputs: Mapping[str, str]
    ) -> dict[str, NDArray[np.float32]]:
        """What a model says of some rows: by one request, or by several where it does not take as much at once.

        The answer is of the model that was described, and of no other by its name. That is asked at most once a second,
        and after each interruption; `confirm` asks it of the answers since.

        Args:
            model: The version to ask.
            inputs: Name of a tensor → its values `[B, ...]`.
            outputs: Contract's name of a tensor wanted → the model's name of it.

        Returns:
            Contract's name → `float32 [B, ...]`.

        Raises:
            MismatchError: The model has changed, the server gave other tensors than those wanted, or it refuses the
                request.
            ServerError: It does not answer in time.
        """
        return self._chunks.ask(model, inputs, lambda part: self._infer(model, part, outputs))

    def confirm(self) -> None:
        """See that the answers so far are of the models that were described.

        Raises:
            MismatchError: One has changed.
            ServerError: The server does not answer in time.
        """
        for model in tuple(self._unseen.values()):
            self._check_unchanged(model)

    def close(self) -> None:
        """Close the channel; who waits for an answer in another thread waits no longer."""
        self._retries.close()
        self._servers.close()

    def _infer(
        self, model: DescribedVersion, inputs: Mapping[str, NDArray[Any]], outputs: Mapping[str, str]
    ) -> dict[str, NDArray[np.float32]]:
        """The same by one request."""
        tensors = self._ask_of(model, lambda left_s: self._answer(model, inputs, outputs, left_s))
        self._unseen[model.identity] = model
        if time.monotonic() - self._seen_at.get(model.identity, -math.inf) > _BELIEVED_S:
            self._check_unchanged(model)
        num_rows = len(next(iter(inputs.values())))
        for output, values in tensors.items():
            if values is None or values.dtype != np.float32 or len(values) != num_rows:
                where = f"model '{model.name}' on {self.target.name}"
                raise MismatchError(f"{where} gave no sound '{output}'; export it again")
        return tensors

    def _answer(
        self, model: DescribedVersion, inputs: Mapping[str, NDArray[Any]], outputs: Mapping[str, str], left_s: float
    ) -> dict[str, NDArray[Any]]:
        """Ask once: in memory that the server sees too, or else over the wire."""
        deadline_s = time.monotonic() + left_s
        num_rows = len(next(iter(inputs.values())))
        shapes = answer_shapes(model, outputs, num_rows) if self._shared.suits(inputs) else None
        shared = self._shared.request(inputs, shapes, deadline_s=deadline_s) if shapes else None
        if shared is not None:
            try:
                found = shared.answer(self._once(model, shared.inputs, shared.outputs, deadline_s))
            except BaseException as error:
                self._shared.give_up()
                if not is_about_memory(error):
                    raise
            else:
                if found is not None:
                    return {output: found[name] for output, name in outputs.items()}
                self._shared.refuse()
        wanted = [grpc_client.InferRequestedOutput(name) for name in outputs.values()]
        result = self._once(model, sent_inputs(inputs), wanted, deadline_s)
        return {output: result.as_numpy(name) for output, name in outputs.items()}

    def _once(
        self,
        model: DescribedVersion,
        inputs: list[grpc_client.InferInput],
        outputs: list[grpc_client.InferRequestedOutput],
        deadline_s: float,
    ) -> grpc_client.InferResult:
        left_s = seconds_until(deadline_s)
        with asked(self.target.name, model.name, model.version) as request_id:
            return self._client.infer(
                model.name,
                inputs,
                model_version=model.version,
                outputs=outputs,
                request_id=request_id,
                client_timeout=left_s,
            )

    def _index(self, left_s: float, name: str = "") -> Sequence[Any]:
        """What the server tells of its models, and of the one that is asked for."""
        try:
            models: Sequence[Any] = self._client.get_model_repository_index(client_timeout=left_s).models
        except InferenceServerException as error:
            if not is_restricted(error):
                raise
            return listed_without_key(self._client, name, timeout_s=left_s)
        return models

    def _described(self, name: str, contract_key: str, wanted: int, remedy: str, left_s: float) -> DescribedVersion:
        listed = self._index(left_s, name)
        try:
            check_ready(name, listed, self.target.name, remedy=remedy)
        except UsageError:
            self._check_live(left_s)
            raise
        if wanted:
            self._check_still_offered(name, str(wanted), listed)
        versions = self._client.get_model_metadata(name, client_timeout=left_s).versions
        version = str(wanted or max(map(int, versions)))
        config = self._config(name, version, left_s)
        self._gone_from.clear()
        current = str(config.parameters[CURRENT_KEY].string_value) if CURRENT_KEY in config.parameters else version
        if not wanted and current != version and current in versions:  # both are there while versions change
            version, config = current, self._config(name, current, left_s)
        source = f"the contract of model '{name}' version {version} on {self.target.name}"
        described = DescribedVersion(name, version, config, version_key(contract_key, version), source)
        if contract_key and not described.has_contract:
            problem = f"carries no '{described.contract_key}'"
            raise MismatchError(f"model '{name}' on {self.target.name} {problem}; export it with 'cocon export'")
        return described

    def _config(self, name: str, version: str, left_s: float) -> Any:  # noqa: ANN401  # generated, untyped
        return self._client.get_model_config(name, version, client_timeout=left_s).config

    def _check_live(self, left_s: float) -> None:
        """Raise what a server says that is about to end."""
        try:
            if self._client.is_server_live(client_timeout=left_s):
                return
        except InferenceServerException as error:
            if not is_interruption(error):
                return
            raise
        raise InferenceServerException("it is not live", status="UNAVAILABLE")

    def _check_unchanged(self, model: DescribedVersion) -> None:
        """The same name and number are another model's where the server was started anew with other files."""
        asked_at = time.monotonic()
        try:
            now = self._ask_of(model, lambda left_s: self._config(model.name, model.version, left_s))
        except VersionGoneError:
            if not model.parts or -1 in model.calls.values():
                raise
            # No number is used twice, so what it said was its own if those are unchanged that it called.
        else:
            if replace(model, config=now).contract != model.contract:
                raise MismatchError(f"{model.source} has changed meanwhile; {ONE_MODEL}")
        for part in model.parts:
            self._check_part(model, part)
        self._seen_at[model.identity] = asked_at
        self._unseen.pop(model.identity, None)

    def _check_part(self, model: DescribedVersion, part: DescribedVersion) -> None:
        """What an ensemble calls must be what was described."""
        if model.calls.get(part.name) == int(part.version):
            self._check_unchanged(part)
        elif self.described(part.name, part.contract_kind).identity != part.identity:
            raise MismatchError(f"{part.source} has changed meanwhile; {ONE_MODEL}")

    def _ask_of(self, model: DescribedVersion, request: Callable[[float], _Answer]) -> _Answer:
        """Ask for something of one version, which may be gone for good."""

        def once(left_s: float) -> _Answer:
            try:
                answer = request(left_s)
            except InferenceServerException as error:
                if is_refused(error):  # it is the same, and need not be asked more
                    raise
                self._seen_at.clear()  # it may be another server by now
                if is_interruption(error) and not is_unreachable(error):
                    with suppress(InferenceServerException):  # it is the server that is not ready
                        self._check_still_offered(model.name, model.version, self._index(left_s, model.name))
                raise
            self._gone_from.clear()
            return answer

        return self._ask(once)

    def _check_still_offered(self, name: str, version: str, listed: Sequence[Any]) -> None:
        """See `check_still_offered`; what one server has no more, another may still have."""
        try:
            check_still_offered(name, version, listed, self.target.name)
        except MismatchError:
            self._gone_from.add(self.target.name)
            if len(self._gone_from) == self._servers.number:
                raise

    def _ask(self, request: Callable[[float], _Answer]) -> _Answer:
        """The one place where tritonclient's errors become ours."""
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
            if self._servers.number > 1:
                told = type(told)(f"{told} (asked in turn: {self._servers.names})")
            raise told from error

    def _ask_in_turn(self, request: Callable[[float], _Answer], left_s: float) -> _Answer:
        """Ask the server whose turn it is; where it does not answer, the next request is for another."""
        if self._servers.turn_home():
            self._seen_at.clear()  # it may have other models
        self._asked = self._servers.current
        try:
            return request(left_s)
        except InferenceServerException as error:
            is_to_turn = is_interruption(error) or is_late(error) or is_distrusted(error)
            if is_to_turn and self._servers.turn_to_next():
                self._seen_at.clear()
            raise

    @property
    def _client(self) -> grpc_client.InferenceServerClient:
        return self._servers.current.client

    @property
    def _shared(self) -> SharedTensors:
        return self._servers.current.shared
