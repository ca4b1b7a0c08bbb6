"""The same graph with weights and activations of half precision, for GPUs; bytes in and float32 out as before."""

from pathlib import Path

import onnx
from onnx.compose import add_prefix, merge_models
from onnx.shape_inference import infer_shapes
from onnx.utils import Extractor

__all__ = ["halve"]


def halve(onnx_path: Path, path: Path) -> None:
    """Write an encoder's float32 ONNX file in half precision.

    What follows the last convolution stays float32: it costs nothing, and half precision cannot tell the length of a
    unit vector to a thousandth.

    Args:
        onnx_path: the file.
        path: file to write.
    """
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

    model = infer_shapes(onnx.load(onnx_path))
    graph, nodes = model.graph, model.graph.node
    last = max((place for place, node in enumerate(nodes) if node.op_type == "Conv"), default=-1)
    made = {name for node in nodes[: last + 1] for name in node.output}
    seam = sorted(made & {name for node in nodes[last + 1 :] for name in node.input})
    parts = Extractor(model)
    trunk = parts.extract_model([tensor.name for tensor in graph.input], seam)
    tail = parts.extract_model(seam, [tensor.name for tensor in graph.output])
    # S3D has maxima over frames. The converter leaves them in float32, needlessly, and puts their casts too late.
    kept = [name for name in DEFAULT_OP_BLOCK_LIST if name != "Max"]
    halved = convert_float_to_float16(trunk, keep_io_types=True, op_block_list=kept)
    for part in (halved, tail):
        del part.graph.value_info[:]
    # Both may hold the same constants: those of the tail get names of their own.
    tail = add_prefix(tail, "float32_", rename_edges=False, rename_inputs=False, rename_outputs=False)
    merged = merge_models(halved, tail, [(name, name) for name in seam])
    merged.producer_name = model.producer_name
    del merged.opset_import[len(model.opset_import) :]  # those of the tail are the same
    onnx.save(merged, path)
