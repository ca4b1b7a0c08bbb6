"""The first convolution on bytes: normalisation in its weights, four pixels at a time as channels.

A network normalises every byte before its first layer: (byte − mean) / deviation. Both are linear, so the divisor goes
into the weights and the mean into the bias, and the convolution reads the bytes of a clip as they are. Few channels
leave its arithmetic units idle, so of a convolution with stride two every square of four pixels becomes one place:

    bytes [M, H, W, C] → [M, H/2, W/2, 4·C] → Conv, kernel 4×4, stride 1 in place of 7×7, stride 2

What is outside a picture must be nothing to the network, which is another byte in each channel: that of its mean. So
pictures are framed with such pixels, and the convolution pads nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from onnxscript import ir

from cocon.embedding.contract import ModelContract
from cocon.export.artefacts.byte_graph import drop_unused

__all__ = ["Kernel", "read_bytes"]

_TO_CHANNELS = (0, 3, 1, 2)
_NORMALISING = {"Cast", "Reshape", "Transpose", "Sub", "Div"}


def read_bytes(graph: ir.Graph, contract: ModelContract) -> bool:
    """Rewrite the first convolution of an encoder so that it reads bytes.

    Args:
        graph: float, as `export_onnx` writes an encoder; changed in place.
        contract: the encoder's.

    Returns:
        Whether it has such a convolution; otherwise the graph stays as it is.
    """
    conv = _first_convolution(graph)
    if conv is None:
        return False
    *_, H, W, C = contract.clip_shape
    weight, bias, zero = _on_bytes(conv, contract)
    kernel = Kernel.of(conv, weight)
    squares = kernel.on_squares(H, W)
    side = 1 if squares is None else 2
    kernel = squares or kernel
    add = _Adder(graph, before=conv)
    pads = [side * pad for pad in kernel.pads]
    pixels = add.framed(add.node("Reshape", graph.inputs[0], add.integers("rows", [-1, H, W * C])), pads, contract)
    height, width = (size + pads[axis] + pads[axis + 2] for axis, size in enumerate((H, W)))
    if squares is not None:
        pairs = add.node("Reshape", pixels, add.integers("pairs", [-1, height // 2, 2, width // 2, 2 * C]))
        # Joining copies in a third of the time of a transposition.
        rows = (add.node("Gather", pairs, add.integers(f"row_{row}", [row]), axis=2) for row in (0, 1))
        pixels = add.node("Concat", *rows, axis=4)
    places = add.integers("places", [-1, height // side, width // side, side**2 * C])
    pixels = add.node("Reshape", pixels, places)
    scale = (add.constant("step", np.array(1, np.float32)), add.constant("zero", np.array(zero, np.uint8)))
    numbers = add.node("DequantizeLinear", add.node("Transpose", pixels, perm=_TO_CHANNELS), *scale)
    maps = add.convolution(numbers, replace(kernel, pads=(0, 0, 0, 0)), bias)
    conv.outputs[0].replace_all_uses_with(maps)
    drop_unused(graph)
    return True


@dataclass(frozen=True, slots=True)
class Kernel:
    """A convolution in two dimensions.

    Attributes:
        weight: `[C', C, kh, kw]`.
        strides: of rows and columns.
        pads: above, left, below, right.
    """

    weight: NDArray[np.float64]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]

    @classmethod
    def of(cls, conv: ir.Node, weight: NDArray[np.float64]) -> "Kernel":
        """That of a node, with another weight."""
        row_stride, column_stride = conv.attributes["strides"].as_ints()
        above, left, below, right = conv.attributes["pads"].as_ints()
        return cls(weight, (row_stride, column_stride), (above, left, below, right))

    def num_places(self, size: int, axis: int) -> int:
        """Size of the output, of an input's size."""
        padded = size + self.pads[axis] + self.pads[axis + 2]
        return (padded - self.weight.shape[axis + 2]) // self.strides[axis] + 1

    def on_squares(self, height: int, width: int) -> "Kernel | None":
        """The same on squares of two by two pixels.

        Args:
            height: of the input, in pixels.
            width: likewise.

        Returns:
            Its weight is `[C', 4·C, kh', kw']`, rows and columns of a square before channels; None unless it makes one
            place of every square.
        """
        if self.strides != (2, 2) or [2 * self.num_places(size, axis) for axis, size in enumerate((height, width))] != [
            height,
            width,
        ]:
            return None
        num_out, num_in, *size = self.weight.shape
        first = [-pad // 2 for pad in self.pads[:2]]
        last = [(taps - 1 - pad) // 2 for taps, pad in zip(size, self.pads[:2], strict=True)]
        weight = np.zeros((num_out, 2, 2, num_in, last[0] - first[0] + 1, last[1] - first[1] + 1))
        for row, column in np.ndindex(*size):
            (top, lower), (left, right) = divmod(row - self.pads[0], 2), divmod(column - self.pads[1], 2)
            weight[:, lower, right, :, top - first[0], left - first[1]] = self.weight[:, :, row, column]
        pads = (-first[0], -first[1], last[0], last[1])
        return Kernel(weight.reshape(num_out, 4 * num_in, *weight.shape[4:]), (1, 1), pads)


class _Adder:
    """Adds nodes and constants to a graph.

    Args:
        graph: the graph.
        before: the node before which they come.
    """

    def __init__(self, graph: ir.Graph, *, before: ir.Node) -> None:
        self._graph, self._before = graph, before

    def node(self, op: str, *inputs: ir.Value, **attributes: int | Sequence[int]) -> ir.Value:
        made = ir.node(op, inputs, attributes, name=f"bytes_{op}_{len(self._graph)}")
        made.outputs[0].name = f"{made.name}_output"
        self._graph.insert_before(self._before, made)
        return made.outputs[0]

    def constant(self, name: str, array: NDArray[np.generic]) -> ir.Value:
        value = ir.Value(name=f"bytes_{name}", const_value=ir.tensor(array, name=f"bytes_{name}"))
        self._graph.register_initializer(value)
        return value

    def integers(self, name: str, numbers: Sequence[int]) -> ir.Value:
        return self.constant(name, np.array(numbers, np.int64))

    def framed(self, rows: ir.Value, pads: Sequence[int], contract: ModelContract) -> ir.Value:
        """Bytes `[M, H, W·C]` with pixels of the mean colour around them, which are nothing to the convolution."""
        *_, H, W, C = contract.clip_shape
        mean = np.rint(255.0 * np.array(contract.view_spec.mean)).astype(np.uint8)
        count = self.node("Shape", rows, start=0, end=1)

        def outside(side: str, height: int, width: int) -> list[ir.Value]:
            if not height * width:
                return []
            shape = self.node("Concat", count, self.integers(f"{side}_shape", [height, width * C]), axis=0)
            pixels = np.tile(mean, height * width).reshape(1, height, width * C)
            return [self.node("Expand", self.constant(side, pixels), shape)]

        top, left, bottom, right = pads
        rows = self.node("Concat", *outside("above", top, W), rows, *outside("below", bottom, W), axis=1)
        height = top + H + bottom
        return self.node("Concat", *outside("left", height, left), rows, *outside("right", height, right), axis=2)

    def convolution(self, numbers: ir.Value, kernel: Kernel, bias: NDArray[np.float64]) -> ir.Value:
        arrays = {"weight": kernel.weight, "bias": bias}
        parameters = (self.constant(name, array.astype(np.float32)) for name, array in arrays.items())
        shape = kernel.weight.shape[2:]
        return self.node("Conv", numbers, *parameters, strides=kernel.strides, pads=kernel.pads, kernel_shape=shape)


def _first_convolution(graph: ir.Graph) -> ir.Node | None:
    """The one that reads normalised bytes of frames, if it is in two dimensions and alone in that."""
    value = graph.inputs[0]
    while True:
        users = [node for node, _ in value.uses() if node.op_type != "Shape"]
        if len(users) != 1:
            return None
        (user,) = users
        if user.op_type == "Conv" and user.inputs[1] is not None and user.inputs[1].const_value is not None:
            return user if len(user.inputs[1].const_value.shape) == 4 else None
        if user.op_type not in _NORMALISING:
            return None
        value = user.outputs[0]


def _on_bytes(conv: ir.Node, contract: ModelContract) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Weight and bias for bytes less their zero, and that zero."""
    weight, *rest = (
        value.const_value.numpy().astype(float) for value in conv.inputs[1:] if value and value.const_value
    )
    view = contract.view_spec
    zero = round(255.0 * float(np.mean(view.mean)))
    weight = weight / (255.0 * np.array(view.std))[:, None, None]
    bias = weight.sum(axis=(2, 3)) @ (zero - 255.0 * np.array(view.mean))
    return weight, bias + rest[0] if rest else bias, zero
