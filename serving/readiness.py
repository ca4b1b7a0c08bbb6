"""Wait until every model of a server is READY, or say which one is not and why, in Triton's own words."""

import re
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tritonclient.grpc import InferenceServerClient
from tritonclient.utils import InferenceServerException

from cocon.core.errors import ServerError, UsageError
from cocon.embedding.repository import ENSEMBLE
from cocon.serving.address import Address
from cocon.serving.operator_client import OperatorClient

__all__ = ["ModelState", "model_states", "wait_until_ready"]

_POLL_INTERVAL_S = 0.05
_CALL_TIMEOUT_S = 10.0
# Triton's reason of a version that an operator took away.
_UNLOADED = "unloaded"


@dataclass(frozen=True, slots=True)
class ModelState:
    """One row of the table `cocon serve` prints.

    Attributes:
        model: Name of the model.
        version: Its version; empty when none could be read.
        state: `READY`, `LOADING`, `UNLOADING`, `UNAVAILABLE`.
        backend: What executes it: `onnxruntime`, `pytorch`, `ensemble`; empty when it is not READY.
        reason: Why it is not READY, as Triton gives it, on one line.
    """

    model: str
    version: str
    state: str
    backend: str
    reason: str = ""


def wait_until_ready(
    address: Address, models: Sequence[str], *, log: Path, is_alive: Callable[[], bool], timeout_s: float
) -> list[ModelState]:
    """Wait until every model in the server's repository is READY.

    Args:
        address: Where the server listens.
        models: The models it must serve.
        log: The server's log, read for reasons that the protocol does not carry.
        is_alive: Whether the server process still runs.
        timeout_s: How long to wait, in seconds.

    Returns:
        The models, sorted by name; all READY.

    Raises:
        ServerError: The server ended, or was not ready in time.
        UsageError: A model does not load; the message names it and Triton's reason.
    """
    deadline = time.monotonic() + timeout_s
    # Triton opens its ports only after the last model has loaded or failed.
    while not _accepts(address):
        if not is_alive():
            raise ServerError(f"tritonserver ended before it was ready: {_last_error(log)}; log: {log}")
        if time.monotonic() > deadline:
            raise ServerError(f"not READY within {timeout_s:g} s: {_loading(log)}; raise --timeout-s; log: {log}")
        time.sleep(_POLL_INTERVAL_S)
    states = model_states(address)
    if any(_was_starved(state) for state in states):
        _load_again(address, [state.model for state in states if state.state != "READY"], deadline)
        states = model_states(address)
    reasons = {state.model: state.reason or _reason(log, state.model) for state in states if state.state != "READY"}
    reasons |= {model: _reason(log, model) for model in set(models) - {state.model for state in states}}
    if reasons:
        raise UsageError("; ".join(f"model '{model}' does not load: {why}" for model, why in _causes(reasons)))
    return states


def model_states(address: Address) -> list[ModelState]:
    """Ask a server for its models, sorted by name; versions that another one has taken the place of are left out.

    Raises:
        ServerError: It does not answer.
    """
    with OperatorClient(address) as server:
        entries = [entry for entry in server.index() if not entry.name.startswith(".")]
        ready = {entry.name for entry in entries if entry.state == "READY"}
        entries = [entry for entry in entries if entry.name not in ready or not _is_leaving(entry)]
        try:
            states = [
                ModelState(
                    entry.name,
                    entry.version,
                    entry.state or "UNAVAILABLE",
                    _backend(server.connection, entry.name, entry.version) if entry.state == "READY" else "",
                    _one_line(entry.reason),
                )
                for entry in entries
            ]
        except InferenceServerException as error:
            raise ServerError(f"the server at {address.url} does not answer: {error.message()}") from error
    return sorted(states, key=lambda state: (state.model, state.version))


def _is_leaving(entry: Any) -> bool:  # noqa: ANN401  # generated, untyped
    """Whether a version has gone, or is about to: by the operator's wish."""
    return bool(entry.reason == _UNLOADED or entry.state == "UNLOADING")


def _was_starved(state: ModelState) -> bool:
    """Whether its worker got no processor for a second while it loaded, which Triton takes for its death."""
    return state.state != "READY" and "is not healthy" in state.reason


def _load_again(address: Address, models: Sequence[str], deadline: float) -> None:
    """Load models once more, ensembles last; why one does not load is in the server's index."""
    with OperatorClient(address) as server:
        for model in sorted(models, key=lambda model: model == ENSEMBLE):
            with suppress(ServerError):
                server.load(model, timeout_s=max(_CALL_TIMEOUT_S, deadline - time.monotonic()))


def _backend(client: InferenceServerClient, model: str, version: str) -> str:
    config = client.get_model_config(model, version, client_timeout=_CALL_TIMEOUT_S).config
    return str(config.backend or config.platform)


def _accepts(address: Address) -> bool:
    try:
        with socket.create_connection((address.interface, address.grpc_port), timeout=1.0):
            return True
    except OSError:
        return False


def _one_line(reason: str) -> str:
    # The Python worker appends the traceback of the backend, which says nothing about the model.
    return " ".join(reason.partition("\n\nAt:\n")[0].split())


def _errors(log: Path) -> list[str]:
    """The error lines of the log, without time stamp and source line."""
    text = log.read_text(encoding="utf-8", errors="replace")
    return re.findall(r"^E\d{4} \S+ \d+ [^\]]+\] \"?(.+?)\"?$", text, flags=re.MULTILINE)


def _reason(log: Path, model: str) -> str:
    about = [_one_line(error.replace("\\n", "\n")) for error in _errors(log) if f"'{model}'" in error]
    return about[0] if about else f"see {log}"


def _causes(reasons: Mapping[str, str]) -> list[tuple[str, str]]:
    """The models that fail by themselves; an ensemble that only lacks one of them adds nothing."""
    causes = [
        (model, why) for model, why in reasons.items() if not any(f"depends on '{other}'" in why for other in reasons)
    ]
    return sorted(causes or reasons.items())


def _last_error(log: Path) -> str:
    lines = _errors(log) or log.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((_one_line(line) for line in reversed(lines) if line.strip()), "it wrote nothing")


def _loading(log: Path) -> str:
    text = log.read_text(encoding="utf-8", errors="replace")
    loaded = set(re.findall(r"successfully loaded '([^']+)'", text))
    started = re.findall(r"\"loading: ([^:]+):", text)
    waiting = ", ".join(f"'{model}'" for model in dict.fromkeys(started) if model not in loaded)
    return f"still loading {waiting}" if waiting else "the server has not come up"
