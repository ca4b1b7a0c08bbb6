"""Tensors of requests in memory that client and server share, where both are on one machine: nothing of them is sent.

    tensors = SharedTensors(client)
    request = tensors.request({"clip": clips}, {"embedding": (len(clips), 64)}, deadline_s=time.monotonic() + 30)
    if request is not None:
        result = client.infer("cocon_rgb", request.inputs, outputs=request.outputs)
        embedding = request.answer(result)["embedding"]

Whether a server sees the memory of this process is never assumed. It is asked to open a region by a name that nobody
else knows, which fails in a container, on another machine behind a tunnel, and for another user. And an answer counts
only if every one of its numbers was written into that region after its request was made. Otherwise requests go over the
wire, as do small tensors, for which it is cheaper. A region that a request may still be written to is used no more.
"""

import logging
import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import tritonclient.grpc as grpc_client
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from cocon.client.models.failures import is_interruption, is_unreachable, said, status
from cocon.client.models.retries import seconds_until
from cocon.client.models.shared_region import SharedRegion, is_leftover, remove_leftovers

__all__ = ["SHARED_MEMORY_VARIABLE", "SharedRequest", "SharedTensors", "is_about_memory"]

SHARED_MEMORY_VARIABLE = "COCON_SHARED_MEMORY"
"""Of the environment; `0` turns it off."""

# Below, a copy into the region and its bookkeeping cost as much as the wire; at 1 MB the wire costs six times as much.
_LEAST_BYTES = 1 << 16
_MOST_BYTES = 1 << 28
_FIRST_BYTES = 1 << 20
_ALIGNMENT = 64
# The first release that refuses to let go of a region while a request uses it, and does not crash.
_OLDEST_SERVER = (2, 51)
# Regions that may be lost, by a server that was started anew or a deadline that was missed, or not be opened, before
# the wire is used.
_MOST_LOST = 4
_CLOSING_S = 1.0
# A NaN that no computation gives: what is not written over is no answer.
_UNWRITTEN = np.uint32(0x7FA5_C0C0)

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SharedRequest:
    """One request whose tensors are in a region.

    Attributes:
        inputs: For tritonclient.
        outputs: Likewise.
        answers: Name of an output → where it will be, `float32`.
    """

    inputs: list[grpc_client.InferInput]
    outputs: list[grpc_client.InferRequestedOutput]
    answers: Mapping[str, NDArray[np.float32]]

    def answer(self, result: grpc_client.InferResult) -> dict[str, NDArray[np.float32]] | None:
        """What the server has written; None where that is not all of it, or not what it says."""
        for name, values in self.answers.items():
            told = result.get_output(name)
            is_it = told is not None and told.datatype == "FP32" and tuple(told.shape) == values.shape
            if not is_it or (values.view(np.uint32) == _UNWRITTEN).any():
                return None
        return {name: values.copy() for name, values in self.answers.items()}


class SharedTensors:
    """The region of one connection. Not safe for several threads.

    Args:
        client: The connection; not closed here.
        is_wanted: Whether a region may be made at all: the server is on this machine, and nobody has said no.
        key: Reads the headers that unlock the verbs of shared memory, where the server is this user's; it is asked
            for each region, since a server that was started anew has another.
    """

    def __init__(
        self,
        client: grpc_client.InferenceServerClient,
        *,
        is_wanted: bool,
        key: Callable[[], dict[str, str]] = dict,
    ) -> None:
        self._client, self._key = client, key
        self._headers = key()
        self._may = is_wanted and sys.platform == "linux" and os.environ.get(SHARED_MEMORY_VARIABLE, "1") != "0"
        self._region: SharedRegion | None = None
        self._num_lost = 0
        self._lost: list[str] = []

    def suits(self, inputs: Mapping[str, NDArray[Any]]) -> bool:
        """Whether a request of these tensors, name → values, is better not sent over the wire."""
        return self._may and sum(values.nbytes for values in inputs.values()) >= _LEAST_BYTES

    def request(
        self, inputs: Mapping[str, NDArray[Any]], outputs: Mapping[str, tuple[int, ...]], *, deadline_s: float
    ) -> SharedRequest | None:
        """Put a request's tensors into the region; None where it is to go over the wire.

        Args:
            inputs: Name → values.
            outputs: Name → shape, of `float32`.
            deadline_s: Until when the server may take to open a region, by `time.monotonic`.

        Raises:
            InferenceServerException: The server is away.
        """
        needed = sum(_aligned(values.nbytes) for values in inputs.values())
        needed += sum(_aligned(4 * prod(shape)) for shape in outputs.values())
        region = self._with_room(needed, deadline_s) if self.suits(inputs) and needed <= _MOST_BYTES else None
        return None if region is None else _placed(region, inputs, outputs)

    def give_up(self, *, is_failure: bool = True) -> None:
        """Use the region no more: a request that has failed, or was given up, may still be written to it."""
        region, self._region = self._region, None  # who closes the connection may be another thread
        if region is not None:
            region.remove()
            self._lost.append(region.name)
            self._num_lost += is_failure

    def refuse(self) -> None:
        """Use the wire from now on: the server writes its answers somewhere else."""
        self.give_up()
        self._may = False
        _logger.debug("the server does not write into shared memory; requests go over the wire")

    def close(self) -> None:
        """Let the server forget the region, and remove it."""
        self._may = False
        self.give_up()
        self._forget(time.monotonic() + _CLOSING_S)

    def _with_room(self, num_bytes: int, deadline_s: float) -> SharedRegion | None:
        if self._region is not None and self._region.array.nbytes >= num_bytes:
            return self._region
        if self._region is not None:
            self.give_up(is_failure=False)
        if self._num_lost > _MOST_LOST:
            return None
        self._forget(deadline_s)
        size = max(_FIRST_BYTES, 1 << (num_bytes - 1).bit_length())
        try:
            self._region = self._registered(size, deadline_s)
        except InferenceServerException as error:
            if is_unreachable(error) or status(error) == "DEADLINE_EXCEEDED":
                raise
            # One that is about to end says something else when it is back: only this request goes over the wire.
            self._may = is_interruption(error)
            self._num_lost += 1
            _logger.debug("the server opens no shared memory: %s", said(error))
        except OSError as error:
            self._may = False
            _logger.debug("no shared memory here: %s", error)
        return self._region

    def _registered(self, num_bytes: int, deadline_s: float) -> SharedRegion | None:
        """A new region that the server has opened, or None where it must not be asked to."""
        if not self._is_safe(deadline_s):
            self._may = False
            return None
        region, self._headers = SharedRegion.create(num_bytes), self._key()
        try:
            left_s = seconds_until(deadline_s)
            self._client.register_system_shared_memory(
                region.name, region.key, num_bytes, headers=self._headers, client_timeout=left_s
            )
        except BaseException:
            region.remove()
            raise
        self._clean_up(deadline_s)
        return region

    def _is_safe(self, deadline_s: float) -> bool:
        server = self._client.get_server_metadata(client_timeout=seconds_until(deadline_s))
        found = tuple(int(number) for number in re.findall("[0-9]+", server.version)[:2])
        return server.name == "triton" and "system_shared_memory" in server.extensions and found >= _OLDEST_SERVER

    def _clean_up(self, deadline_s: float) -> None:
        """Have the server forget what killed processes have left: it sees the same files as this process."""
        remove_leftovers()
        with suppress(InferenceServerException):
            left_s = seconds_until(deadline_s)
            regions = self._client.get_system_shared_memory_status(headers=self._headers, client_timeout=left_s).regions
            self._lost += [name for name, region in regions.items() if is_leftover(region.key)]
            self._forget(deadline_s)

    def _forget(self, deadline_s: float) -> None:
        """Have the server let go of what was given up; what a request still uses, it keeps for the next time."""
        lost, self._lost = self._lost, []
        for name in lost:
            try:
                self._client.unregister_system_shared_memory(
                    name, headers=self._headers, client_timeout=seconds_until(deadline_s)
                )
            except InferenceServerException as error:
                if "in use" in said(error):
                    self._lost.append(name)
                elif status(error) == "DEADLINE_EXCEEDED":
                    return  # nobody waits as long again for each of the others; another client has them forgotten


def is_about_memory(error: BaseException) -> bool:
    """Whether a server says that it has a request, and not the memory that its tensors are in."""
    return isinstance(error, InferenceServerException) and "shared memory" in said(error).lower()


def _placed(
    region: SharedRegion, inputs: Mapping[str, NDArray[Any]], outputs: Mapping[str, tuple[int, ...]]
) -> SharedRequest:
    given, wanted, answers, start = [], [], {}, 0
    for name, values in inputs.items():
        region.array[start : start + values.nbytes].view(values.dtype).reshape(values.shape)[...] = values
        given.append(grpc_client.InferInput(name, list(values.shape), np_to_triton_dtype(values.dtype)))
        given[-1].set_shared_memory(region.name, values.nbytes, start)
        start += _aligned(values.nbytes)
    for name, shape in outputs.items():
        place = region.array[start : start + 4 * prod(shape)]
        place.view(np.uint32)[...] = _UNWRITTEN
        wanted.append(grpc_client.InferRequestedOutput(name))
        wanted[-1].set_shared_memory(region.name, place.nbytes, start)
        answers[name] = place.view(np.float32).reshape(shape)
        start += _aligned(place.nbytes)
    return SharedRequest(given, wanted, answers)


def _aligned(num_bytes: int) -> int:
    return -(-num_bytes // _ALIGNMENT) * _ALIGNMENT
