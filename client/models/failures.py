"""What the errors of a gRPC server mean: which are worth asking again, and how they are told."""

import re

from tritonclient.utils import InferenceServerException

from cocon.client.models.connections.credentials import Credentials
from cocon.client.models.connections.tls_answers import told_by_tls
from cocon.client.models.http_ports import told_by_http
from cocon.client.models.target import Target
from cocon.core.errors import MismatchError, ServerError
from cocon.core.proxies import Proxy

__all__ = [
    "RequestTooLargeError",
    "is_distrusted",
    "is_interruption",
    "is_late",
    "is_refused",
    "is_restricted",
    "is_unreachable",
    "said",
    "status",
    "translated",
]

# What gRPC itself says where no server does.
_UNREACHABLE = re.compile(r"connect|[Rr]esol|Socket closed|recvmsg|sendmsg|Broken pipe|GOAWAY|keepalive")
# What gRPC says where a certificate shows nothing, or there is no TLS: it is so the next time too.
_DISTRUSTED = re.compile(r"CERTIFICATE_VERIFY_FAILED|[Vv]erification check failed|WRONG_VERSION_NUMBER")
# What Triton says where a queue is full, or a request has waited in one for too long.
_REFUSED = re.compile(r"maximum queue size|[Tt]imeout expired|max_inflight|[Oo]verload")
# Of a model whose worker has died; who watches the server starts another. And of one that was given a request together
# with a stranger's whose tensors are not what it says they are: Triton refuses all of them.
_UNHEALTHY = re.compile(r"[Ss]tub process .*is not healthy|[Uu]nhealthy|batch size \d+ for .*, max allowed is")
# RESOURCE_EXHAUSTED too, and no less so the next time.
_TOO_LARGE = re.compile(r"larger than max|message length")
_KEY = "name a key that it knows: --api-key-file FILE"
_START = "start it with 'cocon serve', or work without one: --url local:model_repository"


class RequestTooLargeError(ServerError):
    """A request, or its answer, is larger than a server or a proxy before it takes."""


def status(error: InferenceServerException) -> str:
    """Name of the gRPC status, such as `NOT_FOUND`."""
    return str(error.status() or "").removeprefix("StatusCode.")


def said(error: InferenceServerException) -> str:
    """The message, on one line."""
    return " ".join((error.message() or "").split())


def is_interruption(error: InferenceServerException) -> bool:
    """Whether the request was not worked on and may be later: the server stops, starts, loads, mends, or has no room.

    A server that ends knows its models no longer, and cancels the requests it has.
    """
    is_worker_gone = status(error) == "INTERNAL" and _UNHEALTHY.search(said(error)) is not None
    if is_restricted(error) or is_distrusted(error):
        return False
    return status(error) in ("UNAVAILABLE", "CANCELLED", "NOT_FOUND") or is_worker_gone or is_refused(error)


def is_refused(error: InferenceServerException) -> bool:
    """Whether a sound server has no room for the request now."""
    if status(error) == "RESOURCE_EXHAUSTED":
        return _TOO_LARGE.search(said(error)) is None
    return status(error) == "UNAVAILABLE" and _REFUSED.search(said(error)) is not None


def is_restricted(error: InferenceServerException) -> bool:
    """Whether the server keeps this verb to those who have a key."""
    return "protocol is restricted" in said(error)


def is_distrusted(error: InferenceServerException) -> bool:
    """Whether a server did not show by a certificate that it is the one, which it will not the next time either."""
    return _DISTRUSTED.search(said(error)) is not None


def is_late(error: InferenceServerException) -> bool:
    """Whether the time of a request was up before there was an answer."""
    return status(error) == "DEADLINE_EXCEEDED"


def is_unreachable(error: InferenceServerException) -> bool:
    """Whether there was no server to say so."""
    return status(error) == "UNAVAILABLE" and _UNREACHABLE.search(said(error)) is not None


def translated(
    error: InferenceServerException,
    target: Target,
    proxy: Proxy | None,
    credentials: Credentials,
    *,
    timeout_s: float,
    deadline_s: float | None = None,
    has_answered: bool,
) -> ServerError | MismatchError:
    """Our error for one of tritonclient's.

    Args:
        error: The last one.
        target: The server.
        proxy: What stands before it.
        credentials: That it was shown.
        timeout_s: How long a request had.
        deadline_s: How long they had together, if not as long.
        has_answered: Whether the server ever did.
    """
    message = said(error)
    url = f"{target.name} ({_way(proxy, target, message)})" if proxy else target.name
    within = f"within {deadline_s or timeout_s:g} s"
    longer = f"{'--timeout-s' if deadline_s is None else '--deadline-s'} waits longer"
    match status(error):
        case "UNAVAILABLE" | "RESOURCE_EXHAUSTED" if is_refused(error):
            return ServerError(f"server {url} has no room ({message}), and had none {within}; ask it less, or {longer}")
        case "RESOURCE_EXHAUSTED":
            return RequestTooLargeError(f"server {url} refuses the size of a request or of its answer: {message}")
        case "UNAVAILABLE" | "CANCELLED" | "NOT_FOUND" | "INTERNAL" if has_answered and is_interruption(error):
            reason = (
                "went away, and was not back" if is_unreachable(error) else f"is not ready ({message}), and was not"
            )
            return ServerError(f"server {url} {reason} {within}; see that it runs, and run the command again; {longer}")
        case "UNAVAILABLE" if is_unreachable(error):
            other = None if proxy and proxy.is_usable else told_by_tls(target, credentials) or told_by_http(target)
            return ServerError(other or f"no Triton server answers at {url}; {_START}")
        case "UNAUTHENTICATED" | "PERMISSION_DENIED":
            return ServerError(f"server {url} refuses who asks: {message or 'no reason given'}; {_KEY}")
        case "UNAVAILABLE" if is_restricted(error):
            return ServerError(f"server {url} refuses who asks: {message}; {_KEY} --api-key-header NAME")
        case "DEADLINE_EXCEEDED":
            return ServerError(f"server {url} did not answer within {timeout_s:g} s; raise --timeout-s")
        case "INVALID_ARGUMENT":
            return MismatchError(f"server {url} refuses the request: {message}")
        case "UNIMPLEMENTED":
            return ServerError(f"what answers at {url} is no Triton: {message}; name the gRPC port of one")
        case other_status:
            return ServerError(f"server {url} failed: {message} ({other_status})")


def _way(proxy: Proxy, target: Target, message: str) -> str:
    """What the environment has to do with it."""
    if not proxy.is_usable:
        return f"asked directly: the proxy {proxy.url} of {proxy.variable} is none of http://HOST:PORT"
    answer = re.search(r"HTTP proxy returned response code \d+", message)
    told = f" ({answer[0]})" if answer else ""
    return f"asked through the proxy {proxy.url} of {proxy.variable}{told}; no_proxy={target.host} asks without"
