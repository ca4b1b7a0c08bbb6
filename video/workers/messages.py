"""What a worker process tells the process that started it: JSON fields and plain arrays.

Never a pickle: a worker reads media from strangers, and what it sends must not be able to run anything.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Message", "receive_message", "send_message"]

_DTYPES = ("uint8", "int64", "float16", "float32", "float64")
_LARGEST_ITEM_BYTES = 8


@dataclass(frozen=True, slots=True)
class Message:
    """One message.

    Attributes:
        fields: plain JSON values.
        arrays: name → array of any shape, of uint8, int64 or a float type.
    """

    fields: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)


def send_message(connection: Connection, message: Message) -> None:
    """Send a message: one JSON line, then the bytes of each array."""
    arrays = [[name, array.dtype.name, array.shape] for name, array in message.arrays.items()]
    connection.send_bytes(json.dumps({"fields": message.fields, "arrays": arrays}).encode())
    for array in message.arrays.values():
        connection.send_bytes(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def receive_message(connection: Connection, *, on_size: Callable[[int], None] = lambda num_bytes: None) -> Message:
    """Wait for a message.

    Args:
        connection: to the other side.
        on_size: called as soon as that is known with the number of bytes that its arrays will take.

    Raises:
        EOFError: the other side is gone.
        ValueError: what came is no message.
    """
    head = json.loads(connection.recv_bytes())
    on_size(sum(math.prod(shape) for _, _, shape in head["arrays"]) * _LARGEST_ITEM_BYTES)
    arrays = {name: _received(connection, dtype, shape) for name, dtype, shape in head["arrays"]}
    return Message(head["fields"], arrays)


def _received(connection: Connection, dtype: str, shape: list[int]) -> NDArray[Any]:
    content = connection.recv_bytes()
    if dtype not in _DTYPES or len(content) != math.prod(shape) * np.dtype(dtype).itemsize:
        raise ValueError(f"{len(content)} bytes are no array of {dtype} {shape}")
    return np.frombuffer(content, dtype).reshape(shape)
