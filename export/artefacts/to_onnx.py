"""ONNX, the artefact that every runtime reads: one file with the weights inside and a free batch dimension."""

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import onnx
import torch
from onnxscript import GraphBuilder, OpBuilder, ir
from torch import nn

from cocon.core.errors import GateError
from cocon.embedding.open_model import Contract

__all__ = ["Formula", "check_signature", "export_onnx", "write_formula"]

# The newest that ONNX Runtime 1.19, in Triton images of 2024, understands; the exporter's default moves on.
_OPSET = 20
_IR_VERSION = 10  # what the exporter writes for this opset; onnx's own default is newer than many servers

Shape: TypeAlias = tuple[int, ...]

Formula: TypeAlias = Callable[[OpBuilder, Mapping[str, ir.Value]], Mapping[str, ir.Value]]
"""Makes the outputs of a graph out of its inputs, both by name, with the operators of ONNX."""

_BATCH = "batch"
_TYPES = {"uint8": onnx.TensorProto.UINT8, "float32": onnx.TensorProto.FLOAT}


def export_onnx(module: nn.Module, contract: Contract, path: Path) -> None:
    """Write a network from bytes to numbers as ONNX.

    Args:
        module: in evaluation mode, on the CPU; its argument is called as the input is, and it gives outputs in order.
        contract: its contract; the file's tensors are checked against it.
        path: file to write.

    Raises:
        GateError: the graph does not have the contract's tensors, or its batch dimension is not free.
    """
    inputs, outputs = contract.input_shapes, contract.output_shapes
    # Two rows: a dimension of one would be taken for a constant.
    rows = tuple(torch.zeros(2, *shape, dtype=torch.uint8) for shape in inputs.values())
    with _quiet_exporter():
        program = torch.onnx.export(
            module,
            rows,
            dynamo=True,
            dynamic_shapes={name: {0: torch.export.Dim(_BATCH)} for name in inputs},
            opset_version=_OPSET,
            input_names=list(inputs),
            output_names=list(outputs),
            verbose=False,
        )
        assert program is not None
        program.save(path, external_data=False)
    model = onnx.load(path)
    _forget_origins(model)
    onnx.save(model, path)
    onnx.checker.check_model(path, full_check=True)
    check_signature(path, contract)


def write_formula(
    name: str, formula: Formula, path: Path, inputs: Mapping[str, Shape], outputs: Mapping[str, Shape]
) -> None:
    """Write a formula as ONNX, operator by operator: what may be of any size is so, whatever the exporter thinks of it.

    Args:
        name: of the graph.
        formula: what it computes.
        path: file to write.
        inputs: name → shape of one row, float32; -1 is any number, the same in all of them.
        outputs: likewise, of what `formula` returns.
    """
    builder = GraphBuilder(ir.Graph([], [], nodes=[], opset_imports={"": _OPSET}, name=name))
    given = {name: builder.input(name, ir.DataType.FLOAT, _free(shape)) for name, shape in inputs.items()}
    found = formula(builder.op, given)
    for output, shape in outputs.items():
        found[output].type, found[output].shape = ir.TensorType(ir.DataType.FLOAT), ir.Shape(_free(shape))
        builder.add_output(found[output], output)
    model = ir.to_proto(ir.Model(builder.graph, ir_version=_IR_VERSION))
    _forget_origins(model)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def _free(shape: Shape) -> list[int | str]:
    return [_BATCH, *("length" if size == -1 else size for size in shape)]


def check_signature(path: Path, contract: Contract) -> None:
    """Compare the tensors of an ONNX file with a contract.

    Raises:
        GateError: a name, type or shape differs, or the batch dimension is a number.
    """
    graph = onnx.load(path).graph
    expected = {name: ("uint8", shape) for name, shape in contract.input_shapes.items()}
    expected |= {name: ("float32", shape) for name, shape in contract.output_shapes.items()}
    found = {tensor.name: tensor.type.tensor_type for tensor in [*graph.input, *graph.output]}
    if list(found) != list(expected):
        raise GateError(f"'{path}' has the tensors {list(found)} instead of {list(expected)}")
    for name, (dtype, shape) in expected.items():
        batch, *dims = found[name].shape.dim
        if found[name].elem_type != _TYPES[dtype] or [dim.dim_value for dim in dims] != list(shape):
            raise GateError(f"tensor '{name}' of '{path}' is not {dtype} [B, {', '.join(map(str, shape))}]")
        if not batch.dim_param:
            raise GateError(f"the batch dimension of '{name}' in '{path}' is fixed to {batch.dim_value}")


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Hide what the exporter says about itself; everything else stays visible."""
    registration = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = registration.level
    registration.setLevel(logging.ERROR)  # "torchvision is not installed"
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning)
            yield
    finally:
        registration.setLevel(level)


def _forget_origins(model: onnx.ModelProto) -> None:
    """Remove what tools note of themselves: stack traces hold this machine's paths and make equal models differ."""
    graph = model.graph
    for part in [graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer]:
        del part.metadata_props[:]
    del graph.value_info[:]
