"""A channel to a Triton server, over the KServe v2 protocol (gRPC): what can be asked."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tritonclient.grpc as grpc_client
from numpy.typing import NDArray

from cocon.client.models.connections.asking_in_turn import AskingInTurn
from cocon.client.models.connections.credentials import NO_CREDENTIALS, Credentials
from cocon.client.models.connections.request_log import asked
from cocon.client.models.connections.request_tensors import answer_shapes, sent_inputs
from cocon.client.models.connections.row_chunks import RowChunks
from cocon.client.models.retries import seconds_until
from cocon.client.models.served_work import ServedWork
from cocon.client.models.shared_tensors import is_about_memory
from cocon.client.models.target import Target
from cocon.client.models.versions.described import ServedVersions
from cocon.client.models.versions.offered import DescribedVersion
from cocon.client.models.versions.unchanged import UnchangedModels
from cocon.core.errors import MismatchError

__all__ = ["TritonChannel"]


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
        self._unchanged, self._chunks = UnchangedModels(), RowChunks()
        self._servers = AskingInTurn(
            [target, *others],
            timeout_s=timeout_s,
            deadline_s=deadline_s,
            awaits_start=awaits_start,
            shares_memory=shares_memory,
            credentials=credentials,
            on_turn=self._unchanged.forget,
        )
        self._versions = ServedVersions(self._servers, on_failure=self._unchanged.forget)

    @property
    def target(self) -> Target:
        """The server whose turn it is."""
        return self._servers.target

    @property
    def software(self) -> str:
        """Triton and its version."""
        metadata = self._servers.ask(lambda left_s: self._servers.client.get_server_metadata(client_timeout=left_s))
        return f"{metadata.name} {metadata.version}"

    def model_names(self, *, awaits_others: bool = True) -> list[str]:
        """Models that are ready, in alphabetical order; those that are being loaded are waited for, or left out."""
        return self._versions.model_names(awaits_others=awaits_others)

    def is_ready(self, name: str) -> bool:
        """Whether a model is ready, whatever becomes of others; one that is being loaded is waited for."""
        return self._versions.is_ready(name)

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
        return self._versions.described(name, contract_key, version=version, remedy=remedy)

    def statistics(self, name: str, version: str) -> ServedWork:
        """What the server has done for a version of a model so far.

        Raises:
            ServerError: It does not answer, or tells nobody.
        """
        found = self._servers.ask(
            lambda left_s: self._servers.client.get_inference_statistics(name, version, client_timeout=left_s)
        )
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
        self._unchanged.confirm(self._versions)

    def close(self) -> None:
        """Close the channel; who waits for an answer in another thread waits no longer."""
        self._servers.close()

    def _infer(
        self, model: DescribedVersion, inputs: Mapping[str, NDArray[Any]], outputs: Mapping[str, str]
    ) -> dict[str, NDArray[np.float32]]:
        """The same by one request."""
        tensors = self._versions.ask_of(model, lambda left_s: self._answer(model, inputs, outputs, left_s))
        self._unchanged.answered(model, self._versions)
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
        num_rows, memory = len(next(iter(inputs.values()))), self._servers.shared
        shapes = answer_shapes(model, outputs, num_rows) if memory.suits(inputs) else None
        shared = memory.request(inputs, shapes, deadline_s=deadline_s) if shapes else None
        if shared is not None:
            try:
                found = shared.answer(self._once(model, shared.inputs, shared.outputs, deadline_s))
            except BaseException as error:
                memory.give_up()
                if not is_about_memory(error):
                    raise
            else:
                if found is not None:
                    return {output: found[name] for output, name in outputs.items()}
                memory.refuse()
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
            return self._servers.client.infer(
                model.name,
                inputs,
                model_version=model.version,
                outputs=outputs,
                request_id=request_id,
                client_timeout=left_s,
            )
