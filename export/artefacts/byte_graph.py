"""A float graph in bytes: quantised after what computes, dequantised before it, with nothing around what only moves.

Convolutions and sums compute. Reshaping, transposing, gathering, joining and taking a maximum move bytes as they are:
all tensors on both sides of them share a scale. A rectifier is the lower end of a scale and needs no operator at all.
"""

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnxscript import ir

__all__ = ["ByteScale", "ByteTensors", "byte_tensors", "drop_unused", "hoist_rectifiers", "to_bytes"]

_MOVES = {"Reshape", "Transpose", "Gather", "Concat", "MaxPool", "Slice", "Flatten", "Squeeze", "Unsqueeze"}
_SHARES_OF_RANGE = tuple(share / 40 for share in range(40, 11, -1))
_FROM_BYTES, _TO_BYTES = "DequantizeLinear", "QuantizeLinear"


@dataclass(frozen=True, slots=True)
class ByteScale:
    """What a byte means: (byte - zero) · step."""

    step: float
    zero: int

    @classmethod
    def of_range(cls, low: float, high: float) -> "ByteScale":
        """Of all numbers of a range, and of zero exactly."""
        low, high = min(low, 0.0), max(high, 0.0)
        step = (high - low) / 255.0 or 1.0
        return cls(step, round(-low / step))

    @classmethod
    def nearest(cls, low: float, high: float, sample: NDArray[np.float32]) -> "ByteScale":
        """Of a range, or of less of it where its bytes are nearer to some numbers of it, in the mean of squares.

        One clip unlike the others may have numbers many times as large as theirs. A scale for all of them would leave
        few steps to the rest, so the range is narrowed while what is cut off costs less than finer steps are worth.
        """
        scales = [cls.of_range(low * share, high * share) for share in _SHARES_OF_RANGE]
        return min(scales, key=lambda scale: float(np.square(scale.rounded(sample) - sample).sum()))

    def rounded(self, numbers: NDArray[np.float32]) -> NDArray[np.float32]:
        """What numbers are as bytes."""
        places = np.clip(np.rint(numbers / self.step) + self.zero, 0, 255)
        return np.asarray((places - self.zero) * self.step, np.float32)


@dataclass(frozen=True, slots=True)
class ByteTensors:
    """Which tensors of a graph are to be bytes.

    Attributes:
        groups: those that share a scale, by the names of the tensors that something computed.
    """

    groups: tuple[tuple[ir.Value, ...], ...]

    @property
    def measured(self) -> tuple[str, ...]:
        """Names of the tensors whose ranges are to be known."""
        return tuple(str(value.name) for group in self.groups for value in group if not _is_moved(value))


def hoist_rectifiers(graph: ir.Graph) -> None:
    """Put every ReLU straight after what computes: moving and rectifying may change places."""
    relus = [node for node in graph if node.op_type == "Relu"]
    while relus:
        relu = relus.pop()
        moved = _data_inputs(relu)[0]
        mover = moved.producer()
        if mover is None or mover.op_type not in _MOVES or len(moved.uses()) > 1:
            continue
        relu.outputs[0].replace_all_uses_with(moved, replace_graph_outputs=True)
        graph.remove(relu, safe=True)
        for index, source in enumerate(mover.inputs):
            if source is None or not any(source is data for data in _data_inputs(mover)):
                continue
            hoisted = ir.node("Relu", [source], name=f"{mover.name}_relu_{index}")
            hoisted.outputs[0].name = f"{moved.name}_relu_{index}"
            graph.insert_before(mover, hoisted)
            mover.replace_input_with(index, hoisted.outputs[0])
            relus.append(hoisted)


def byte_tensors(graph: ir.Graph) -> ByteTensors:
    """Find the tensors that convolutions read and write, and those between."""
    wanted: dict[ir.Value, None] = {}
    for node in reversed(list(graph)):
        if _is_convolution(node) and not _is_from_bytes(node.inputs[0]):
            wanted[_first(node)] = None
        is_sum = node.op_type == "Add" and _rectified(node.outputs[0]) in wanted
        if is_sum or (node.op_type in _MOVES and node.outputs[0] in wanted):
            wanted |= {value: None for value in _data_inputs(node) if value.producer() is not None}
    for node in graph:
        if _is_convolution(node):
            wanted[_rectified(node.outputs[0])] = None
        elif node.op_type in _MOVES and all(value in wanted for value in _data_inputs(node)):
            wanted[node.outputs[0]] = None
    return ByteTensors(tuple(_groups(wanted)))


def to_bytes(graph: ir.Graph, tensors: ByteTensors, scales: Mapping[str, ByteScale]) -> None:
    """Rewrite a graph so that its convolutions read and write bytes.

    Args:
        graph: the float graph, changed in place.
        tensors: as `byte_tensors` found them in it.
        scales: of the measured tensors, the same for all of a group.
    """
    scale_of = {
        value: next(scales[str(each.name)] for each in group if not _is_moved(each))
        for group in tensors.groups
        for value in group
    }
    writer = _Writer(graph)
    for node in list(graph):
        if _is_convolution(node):
            writer.convolution(node, scale_of.get(_first(node)))
    for value, scale in scale_of.items():
        writer.value(value, scale, scale_of)
    drop_unused(graph)


class _Writer:
    """Puts quantising and dequantising nodes into a graph."""

    def __init__(self, graph: ir.Graph) -> None:
        self.graph = graph

    def constant(self, name: str, array: NDArray[np.generic]) -> ir.Value:
        if name in self.graph.initializers:
            return self.graph.initializers[name]
        value = ir.Value(name=name, const_value=ir.tensor(array, name=name))
        self.graph.register_initializer(value)
        return value

    def scale(self, name: str, scale: ByteScale) -> list[ir.Value]:
        step, zero = np.array(scale.step, np.float32), np.array(scale.zero, np.uint8)
        return [self.constant(f"{name}_step", step), self.constant(f"{name}_zero", zero)]

    def value(self, value: ir.Value, scale: ByteScale, all_bytes: Container[ir.Value]) -> None:
        """Make a tensor bytes; who computes with it reads floats again."""
        uses = list(value.uses())
        producer = value.producer()
        assert producer is not None
        bounds = self.scale(str(value.name), scale)
        as_bytes = value
        if _is_moved(value):
            value.type = None  # what the exporter noted
        else:
            source = value
            if producer.op_type == "Relu" and scale.zero == 0 and len(_first(producer).uses()) == 1:
                source = _first(producer)
            write = ir.node(_TO_BYTES, [source, *bounds], name=f"{value.name}_to_bytes")
            write.outputs[0].name = f"{value.name}_bytes"
            self.graph.insert_after(producer, write)
            as_bytes = write.outputs[0]
        read = ir.node(_FROM_BYTES, [as_bytes, *bounds], name=f"{value.name}_from_bytes")
        read.outputs[0].name = f"{value.name}_read"
        self.graph.insert_after(as_bytes.producer(), read)
        for user, index in uses:
            moves = user.op_type == "Shape" or (user.op_type in _MOVES and user.outputs[0] in all_bytes)
            user.replace_input_with(index, as_bytes if moves else read.outputs[0])

    def convolution(self, node: ir.Node, scale: ByteScale | None) -> None:
        """Make weights and bias integers."""
        weight = node.inputs[1]
        assert weight is not None and weight.const_value is not None
        step = scale.step if scale is not None else float(_constant(_first(node).producer().inputs[1]))
        array = weight.const_value.numpy()
        steps = (np.abs(array).max(axis=(1, 2, 3)) / 127.0).astype(np.float32)
        steps[steps == 0] = 1.0
        integers = np.rint(array / steps[:, None, None, None]).astype(np.int8)
        self._integers(node, 1, f"{weight.name}", integers, steps)
        if len(node.inputs) > 2 and node.inputs[2] is not None:
            bias = _constant(node.inputs[2])
            steps = (steps * step).astype(np.float32)
            self._integers(node, 2, f"{node.inputs[2].name}_{node.name}", np.rint(bias / steps).astype(np.int32), steps)

    def _integers(
        self, node: ir.Node, index: int, name: str, integers: NDArray[np.generic], steps: NDArray[np.float32]
    ) -> None:
        inputs = [self.constant(f"{name}_integers", integers), self.constant(f"{name}_steps", steps)]
        inputs.append(self.constant(f"{name}_zeros", np.zeros(len(steps), integers.dtype)))
        read = ir.node(_FROM_BYTES, inputs, {"axis": 0}, name=f"{node.name}_read_{index}")
        read.outputs[0].name = f"{node.name}_read_{index}"
        self.graph.insert_before(node, read)
        node.replace_input_with(index, read.outputs[0])


def _groups(values: Iterable[ir.Value]) -> Iterator[tuple[ir.Value, ...]]:
    """Tensors that something moves into one another, together."""
    group_of = {value: [value] for value in values}
    for value in list(group_of):
        if not _is_moved(value):
            continue
        for source in _sources(value):
            mine, theirs = group_of[value], group_of.get(source)
            if theirs is not None and theirs is not mine:
                mine += theirs
                group_of |= dict.fromkeys(theirs, mine)
    yield from {id(group): tuple(group) for group in group_of.values()}.values()


def _is_convolution(node: ir.Node) -> bool:
    return (
        node.op_type == "Conv"
        and node.inputs[1] is not None
        and node.inputs[1].const_value is not None
        and len(node.inputs[1].const_value.shape) == 4
    )


def _is_from_bytes(value: ir.Value | None) -> bool:
    producer = None if value is None else value.producer()
    return producer is not None and producer.op_type == _FROM_BYTES


def _is_moved(value: ir.Value) -> bool:
    producer = value.producer()
    return producer is not None and producer.op_type in _MOVES


def _sources(value: ir.Value) -> list[ir.Value]:
    producer = value.producer()
    assert producer is not None
    return _data_inputs(producer)


def _data_inputs(node: ir.Node) -> list[ir.Value]:
    """What it computes with or moves, without shapes and positions."""
    inputs = node.inputs if node.op_type in ("Concat", "Add") else node.inputs[:1]
    return [value for value in inputs if value is not None]


def _first(node: ir.Node) -> ir.Value:
    value = node.inputs[0]
    assert value is not None
    return value


def _rectified(value: ir.Value) -> ir.Value:
    """What a tensor becomes if nobody sees it before its ReLU."""
    (user, _), *more = value.uses()
    return user.outputs[0] if not more and user.op_type == "Relu" else value


def _constant(value: ir.Value | None) -> NDArray[np.float32]:
    assert value is not None and value.const_value is not None
    array: NDArray[np.float32] = value.const_value.numpy()
    return array


def drop_unused(graph: ir.Graph) -> None:
    """Remove nodes and weights that nobody reads any more."""
    for node in reversed(list(graph)):
        if not any(value.uses() or value.is_graph_output() for value in node.outputs):
            graph.remove(node, safe=True)
    for name, value in list(graph.initializers.items()):
        if not value.uses():
            del graph.initializers[name]
