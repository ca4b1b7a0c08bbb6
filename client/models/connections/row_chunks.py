"""A request of many rows as several: of no more rows than the model takes, and no more bytes than its server does.

    answer = RowChunks().ask(model, {"clip": clips}, lambda part: channel.once(model, part))

What a server or a proxy before it takes is not told by anybody. So a request that is refused for its size is made again
in halves, and those that follow are as small.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocon.client.models.failures import RequestTooLargeError
from cocon.client.models.versions.offered import DescribedVersion

__all__ = ["MOST_REQUEST_BYTES", "RowChunks"]

MOST_REQUEST_BYTES = 64 << 20
"""Of a request: some 30 clips of RGB, or four of all views. More at once takes room on both sides."""

_Tensors = Mapping[str, NDArray[Any]]


class RowChunks:
    """Remembers what was refused. Not safe for several threads."""

    def __init__(self) -> None:
        self._most_rows: dict[tuple[str, ...], int] = {}

    def ask(
        self, model: DescribedVersion, inputs: _Tensors, ask: Callable[[_Tensors], dict[str, NDArray[np.float32]]]
    ) -> dict[str, NDArray[np.float32]]:
        """What is said of all rows.

        Args:
            model: That is asked.
            inputs: Name of a tensor → its values `[B, ...]`.
            ask: Asks for some of the rows: what is said of them, name → `float32 [b, ...]`.

        Raises:
            RequestTooLargeError: The server refuses a single row for its size; or what `ask` raises.
        """
        num_rows, begin = len(next(iter(inputs.values()))), 0
        most = self._most(model, inputs, num_rows)
        answers = []
        while begin < num_rows:
            end = min(num_rows, begin + most)
            part = inputs if end - begin == num_rows else {name: rows[begin:end] for name, rows in inputs.items()}
            try:
                answers.append(ask(part))
            except RequestTooLargeError:
                if end - begin == 1:
                    raise
                most = self._most_rows[model.identity] = (end - begin) // 2
            else:
                begin = end
        if len(answers) == 1:
            return answers[0]
        return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}

    def _most(self, model: DescribedVersion, inputs: _Tensors, num_rows: int) -> int:
        if model.config.max_batch_size == 0:  # its first axis is not of rows
            return num_rows
        row_bytes = sum(values.nbytes for values in inputs.values()) / num_rows
        by_bytes = max(1, int(MOST_REQUEST_BYTES / max(1, row_bytes)))
        return min(model.config.max_batch_size, by_bytes, self._most_rows.get(model.identity, by_bytes))
