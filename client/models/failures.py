"""What the errors of a gRPC server mean: which are worth asking again, and how they are told."""

import re

from tritonclient.utils import InferenceServerException

from cocon.client.models.http_ports import told_by_http
from cocon.client.models.target import Target
from cocon.core.errors import MismatchError, ServerError
from cocon.core.proxies import Proxy

__all__ = ["is_interruption", "is_unreachable", "said", "status", "translated"]

# What gRPC itself says where no server does.
_UNREACHABLE = re.compile(r"connect|[Rr]esol|Socket closed|recvmsg|sendmsg|Broken pipe|GOAWAY|keepalive")
_START = "start it with 'cocon serve', or work without one: --url local:model_repository"


def status(error: InferenceServerException) -> str:
    """Name of the gRPC status, such as `NOT_FOUND`."""
    return str(error.status() or "").removeprefix("StatusCode.")


def said(error: InferenceServerException) -> str:
    """The message, on one line."""
    return " ".join((error.message() or "").split())


def is_interruption(error: InferenceServerException) -> bool:
    """Whether the request was not worked on and may be later: the server stops, starts, loads, or has no room.

    A server that ends knows its models no longer, and cancels the requests it has.
    """
    return status(error) in ("UNAVAILABLE", "CANCELLED", "NOT_FOUND")


def is_unreachable(error: InferenceServerException) -> bool:
    """Whether there was no server to say so."""
    return status(error) == "UNAVAILABLE" and _UNREACHABLE.search(said(error)) is not None


def translated(
    error: InferenceServerException, target: Target, proxy: Proxy | None, *, timeout_s: float, has_answered: bool
) -> ServerError | MismatchError:
    """Our error for one of tritonclient's.

    Args:
        error: The last one.
        target: The server.
        proxy: What stands before it.
        timeout_s: How long it had.
        has_answered: Whether the server ever did.
    """
    message = said(error)
    url = f"{target.name} ({_way(proxy, target, message)})" if proxy else target.name
    match status(error):
        case "UNAVAILABLE" | "CANCELLED" | "NOT_FOUND" if has_answered:
            reason = (
                "went away, and was not back" if is_unreachable(error) else f"is not ready ({message}), and was not"
            )
            remedy = "see that it runs, and run the command again; --timeout-s waits longer"
            return ServerError(f"server {url} {reason} within {timeout_s:g} s; {remedy}")
        case "UNAVAILABLE" if is_unreachable(error):
            other = None if proxy and proxy.is_usable else told_by_http(target)
            return ServerError(other or f"no Triton server answers at {url}; {_START}")
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
