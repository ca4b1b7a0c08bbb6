"""What a server's list of models says of one: ready, to be waited for, not there, or replaced by another version."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tritonclient.grpc import InferenceServerClient
from tritonclient.utils import InferenceServerException

from cocon.client.models.failures import said
from cocon.core.errors import MismatchError, ServerError, UsageError

__all__ = [
    "ONE_MODEL",
    "DescribedVersion",
    "ListedModel",
    "VersionGoneError",
    "check_ready",
    "check_still_offered",
    "listed_without_key",
    "ready_names",
]

ONE_MODEL = "run the command again, with one model for all"

_ON_THE_WAY = ("LOADING", "UNLOADING")
# The reason of a model that somebody took away, who may be about to bring it back.
_UNLOADED = "unloaded"

# How a server that lists its models to its operator alone says that it has one, and no version of it at the moment.
_NO_VERSION = "has no available versions"

# Messages of Triton's protocol, each with name, version, state and reason, or what stands for them.
_Listed = Sequence[Any]


class VersionGoneError(MismatchError):
    """A version that was asked is served no more, and the server lives on."""


@dataclass(frozen=True, slots=True)
class ListedModel:
    """What stands for an entry of a server's list that is not to be had.

    Attributes:
        name: Of the model.
        version: Its number; empty where it has none at the moment.
        state: `READY` or `UNAVAILABLE`.
        reason: Why it is not ready.
    """

    name: str
    version: str
    state: str = "READY"
    reason: str = ""


def listed_without_key(client: InferenceServerClient, name: str, *, timeout_s: float) -> list[ListedModel]:
    """What a server that keeps its repository to its operator tells of its models: those that are ready.

    Args:
        client: Of the server.
        name: The model that is asked for, which may be on its way; empty for none.
        timeout_s: How long each of two requests may take.

    Raises:
        InferenceServerException: It tells nothing of the kind.
    """
    found = client.get_inference_statistics(client_timeout=timeout_s).model_stats
    listed = [ListedModel(model.name, model.version) for model in found]
    if name and all(model.name != name for model in listed):
        try:
            versions = client.get_model_metadata(name, client_timeout=timeout_s).versions
        except InferenceServerException as error:
            if _NO_VERSION in said(error):
                listed.append(ListedModel(name, "", "UNAVAILABLE", _UNLOADED))
        else:  # it came between the two requests
            listed += [ListedModel(name, version) for version in versions]
    return listed


@dataclass(frozen=True, slots=True)
class DescribedVersion:
    """One version of a model, as its server tells of it.

    Attributes:
        name: Of the model.
        version: Its number.
        config: Its configuration, a message of Triton's protocol.
        contract_key: Of the parameter that carries its contract.
        source: Where that is from, in words.
        parts: The models that it is made of, where it is an ensemble.
    """

    name: str
    version: str
    config: Any
    contract_key: str
    source: str
    parts: "tuple[DescribedVersion, ...]" = ()

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells it from others: of the same name and number too, where those are another server's."""
        return self.name, self.version, self.contract

    @property
    def contract_kind(self) -> str:
        """Of the key of its contract, that which holds for every version."""
        return self.contract_key.rpartition(".")[0]

    @property
    def calls(self) -> dict[str, int]:
        """Model → its version that is called, -1 for the newest; empty of what calls none."""
        return {step.model_name: step.model_version for step in self.config.ensemble_scheduling.step}

    @property
    def has_contract(self) -> bool:
        """Whether it carries one."""
        return self.contract_key in self.config.parameters

    @property
    def contract(self) -> str:
        """Text of its contract; empty where it carries none."""
        return str(self.config.parameters[self.contract_key].string_value) if self.has_contract else ""


def ready_names(listed: _Listed, *, awaits_others: bool = True) -> list[str]:
    """Models that are ready, in alphabetical order.

    Raises:
        InferenceServerException: One is being loaded, and those are awaited; to be asked again.
    """
    ready = {model.name for model in listed if model.state == "READY"}
    for model in listed if awaits_others else ():
        if model.name not in ready and model.state in _ON_THE_WAY:
            raise _too_early(model.name, model.state)
    return sorted(ready)


def check_ready(name: str, listed: _Listed, url: str, *, remedy: str) -> None:
    """Refuse a model that is not ready.

    Raises:
        InferenceServerException: It may be; to be asked again.
        ServerError: The server could not load it.
        UsageError: There is none; the message names those there are, and ends with the remedy.
    """
    states = {model.state: model.reason for model in listed if model.name == name}
    if "READY" in states:
        return
    for state, reason in states.items():
        if state in _ON_THE_WAY or reason == _UNLOADED:
            raise _too_early(name, state)
    if reason := next(filter(None, states.values()), ""):
        raise ServerError(f"model '{name}' on {url} is not ready: {reason}; see the server's log")
    known = ", ".join(sorted({model.name for model in listed if model.state == "READY"}))
    raise UsageError(
        f"server {url} has no model '{name}'; it has: {known or 'none'}" + (f"; {remedy}" if remedy else "")
    )


def check_still_offered(name: str, version: str, listed: _Listed, url: str) -> None:
    """Refuse to wait for a version that is not ready where the server lives on without it.

    Raises:
        VersionGoneError: It was replaced, or taken out of the repository.
    """
    states = {other.version: other.state for other in listed if other.name == name}
    ready = [other for other, state in states.items() if state == "READY"]
    if (ready and version not in ready) or not states:
        instead = f"version {ready[-1]} is in its place" if ready else "and there is no other"
        raise VersionGoneError(f"model '{name}' version {version} on {url} is gone, {instead}; {ONE_MODEL}")


def _too_early(name: str, state: str) -> InferenceServerException:
    """What a server would say if it were asked for a model too early."""
    return InferenceServerException(f"model '{name}' is {state}", status="UNAVAILABLE")
