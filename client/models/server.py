"""Models behind a Triton server.

    with TritonServer("127.0.0.1:8001") as server:
        outputs = server.open(ENCODER, "rgb").embed(clips)

The client keeps no constants: what a model takes and gives is read from the contract in its configuration.
"""

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from cocon.client.models.channel import TritonChannel
from cocon.client.models.connections.credentials import NO_CREDENTIALS, Credentials
from cocon.client.models.joint_encoders import JointEncoders
from cocon.client.models.served_work import ServedWork
from cocon.client.models.target import Target
from cocon.client.models.versions.offered import DescribedVersion
from cocon.core.closing import Closing
from cocon.core.errors import MismatchError
from cocon.embedding.embedder import ENCODER, ModelEmbedder
from cocon.embedding.fusion_record import FUSION_KEY, FusionRecord
from cocon.embedding.model_kind import ModelKind
from cocon.embedding.open_model import Contract, OpenModel, outputs_given
from cocon.embedding.repository import ENSEMBLE, FORMATS, ONNX, FormatName
from cocon.video.views import VIEWS

__all__ = ["TritonServer", "TritonSession"]

_Contract = TypeVar("_Contract", bound=Contract)
_Model = TypeVar("_Model", bound=OpenModel[Any])


class TritonSession(Generic[_Contract]):
    """A `Session` over one version of one model of a server. Not safe for several threads.

    Args:
        channel: Is asked; not closed here.
        described: The version.
        contract: Its contract, read.

    Raises:
        MismatchError: The contract is of another model.
    """

    def __init__(self, channel: TritonChannel, described: DescribedVersion, contract: _Contract) -> None:
        self.name, self.version, self.contract = described.name, described.version, contract
        self.max_batch_size = max(1, described.config.max_batch_size)
        self._channel, self._described = channel, described
        (self._input,) = contract.input_shapes
        # Triton's PyTorch backend finds outputs by position, in names like `embedding__0`.
        outputs = {tensor.name.partition("__")[0]: tensor for tensor in described.config.output}
        shapes = {tensor.name: tuple(tensor.dims) for tensor in described.config.input}
        shapes |= {name: tuple(tensor.dims) for name, tensor in outputs.items()}
        if shapes != contract.input_shapes | outputs_given(contract, outputs):
            raise MismatchError(f"{described.source} is of another model: its tensors are {shapes}; export it again")
        self._outputs = {name: tensor.name for name, tensor in outputs.items()}
        self.output_names = tuple(outputs)

    def run(self, values: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
        """See `Session.run`.

        Raises:
            MismatchError: The model is gone or has changed, or gives other tensors.
            ServerError: The server does not answer in time.
        """
        return self._channel.infer(self._described, {self._input: values}, self._outputs)

    def close(self) -> None:
        """Nothing is held: the channel is the server's."""


class TritonServer(Closing):
    """A Triton server, as far as these models go. Holds a channel; not safe for several threads.

    Args:
        url: As `Target.parse_all` takes it: of several servers with the same models one is asked at a time, and the
            next where it fails.
        timeout_s: Deadline of every request.
        deadline_s: As of `TritonChannel`.
        awaits_start: Likewise.
        model_format: Which export of a view is used.
        shares_memory: Whether large tensors go through memory that a server on this machine sees too, where it does.
        credentials: By which the server is known, and who asks it.
        lane: Its number among connections that work side by side: each begins with another server.

    Raises:
        UsageError: The URL has another form, or the credentials are none or not for it.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 30.0,
        deadline_s: float | None = None,
        awaits_start: bool = False,
        model_format: FormatName = "onnx",
        shares_memory: bool = True,
        credentials: Credentials = NO_CREDENTIALS,
        lane: int = 0,
    ) -> None:
        self._format = FORMATS[model_format]
        self._opened: dict[str, DescribedVersion] = {}
        self._joined: DescribedVersion | Literal["unknown"] | None = "unknown"
        targets = Target.parse_all(url)
        self._num_servers, first = len(targets), lane % len(targets)
        self._channel = TritonChannel(
            targets[first],
            (*targets[first + 1 :], *targets[:first]),
            timeout_s=timeout_s,
            deadline_s=deadline_s,
            awaits_start=awaits_start,
            shares_memory=shares_memory,
            credentials=credentials,
        )

    @property
    def url(self) -> str:
        """What it is connected to now."""
        return self._channel.target.url

    @property
    def num_lanes(self) -> int:
        """Two a server: one batch is packed and sent while the other is computed."""
        return 2 * self._num_servers

    @property
    def num_calls(self) -> int:
        """One: a channel belongs to a thread."""
        return 1

    @property
    def computes_in_threads(self) -> bool:
        """No: the server does."""
        return False

    @property
    def software(self) -> str:
        """Triton and its version."""
        return self._channel.software

    @property
    def views(self) -> tuple[str, ...]:
        """Views that have an encoder here, in the order of the view table."""
        return self._views_of(self._channel.model_names())

    @property
    def ready_views(self) -> tuple[str, ...]:
        """Views whose encoder is ready by now; those that are being loaded are not waited for."""
        return self._views_of(self._channel.model_names(awaits_others=False))

    def open(self, kind: ModelKind[_Contract, _Model], view: str) -> _Model:
        """Look up the current model of a kind and view, and check that its contract describes it.

        It is the version that the ensemble of all views calls, so that all views are of one moment; else the one that
        the operator has named, else the newest. It is asked until `look_again`, whatever is promoted meanwhile.

        Raises:
            ServerError: The server does not answer.
            UsageError: It has no such model; the message names those it has.
            MismatchError: The model carries no contract, a damaged one, or one of another model.
        """
        name = kind.name(view, self._format)
        described = self._channel.described(name, kind.contract_key, version=self._called(name), remedy=kind.remedy)
        contract = kind.read(described.contract, source=described.source)
        if contract.view != view:
            raise MismatchError(f"{described.source} is of another model, of view '{contract.view}'; export it again")
        self._opened[name] = described
        return kind.model(TritonSession(self._channel, described, contract))

    def look_again(self) -> bool:
        """Have the next `open` take what is current by then; whether that is another version of what was opened.

        Raises:
            ServerError: The server does not answer.
            UsageError: It has a model no more.
            MismatchError: A model carries no contract.
        """
        self._joined = "unknown"
        return any(self._current(model).identity != model.identity for model in self._opened.values())

    def statistics(self, name: str, version: str) -> ServedWork:
        """What the server has done for a version of a model so far, for all of its callers.

        Raises:
            ServerError: It does not answer, or tells nobody.
        """
        return self._channel.statistics(name, version)

    def fusion(self) -> FusionRecord | None:
        """How the views are to be fused, as the ensemble says that is here; None where there is none.

        Raises:
            ServerError: The server does not answer.
            MismatchError: The ensemble carries no such record, or a damaged one.
        """
        described = self._ensemble()
        return None if described is None else FusionRecord.from_json(described.contract, source=described.source)

    def joint(self, models: Mapping[str, ModelEmbedder]) -> JointEncoders | None:
        """The ensemble that asks these encoders together, which were opened here; None where there is none of them.

        Raises:
            ServerError: The server does not answer.
            MismatchError: The ensemble carries no record of what it fuses, or a damaged one.
        """
        described = self._ensemble() if self._format is ONNX else None
        if described is None:
            return None
        record = FusionRecord.from_json(described.contract, source=described.source)
        if record.fingerprints != {view: model.contract.fingerprint for view, model in models.items()}:
            return None  # of some of the views, or of others
        parts = tuple(self._opened[model.name] for model in models.values())
        joint = JointEncoders(models, self._channel, replace(described, parts=parts))
        return joint if joint.is_sound else None

    def confirm(self) -> None:
        """See that all answers so far are of the models that were opened; raises like `TritonSession.run`."""
        self._channel.confirm()

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def _views_of(self, names: Collection[str]) -> tuple[str, ...]:
        return tuple(view for view in VIEWS if ENCODER.name(view, self._format) in names)

    def _ensemble(self) -> DescribedVersion | None:
        """That of all views, where it is ready, as it was when it was first looked for."""
        if self._joined == "unknown":
            is_ready = self._channel.is_ready(ENSEMBLE)
            self._joined = self._channel.described(ENSEMBLE, FUSION_KEY) if is_ready else None
        return self._joined

    def _called(self, name: str) -> int:
        """The version of a model that the ensemble calls; 0 where it calls none by number."""
        with suppress(MismatchError):  # a damaged ensemble is no matter of who asks one view
            ensemble = self._ensemble()
            return max(0, ensemble.calls.get(name, 0)) if ensemble is not None else 0
        return 0

    def _current(self, model: DescribedVersion) -> DescribedVersion:
        return self._channel.described(model.name, model.contract_kind, version=self._called(model.name))
