"""Stand-in for Triton's C++ `onnxruntime` backend, loaded by the Python worker of the wheel's server.

Honours from `config.pbtxt`: tensor names, `default_model_filename`, `instance_group` kind, and the parameters
`intra_op_thread_count` and `inter_op_thread_count` (0 or absent: ONNX Runtime's choice). `optimization` is ignored.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnxruntime

from cocon.serving.backends.batching import Arrays, Signature, respond


class TritonPythonModel:
    """One instance of one ONNX model; the name is Triton's."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Open the session.

        Raises:
            ValueError: The configuration names other tensors than the graph.
        """
        config = json.loads(args["model_config"])
        path = Path(args["model_repository"], args["model_version"], config["default_model_filename"] or "model.onnx")
        self._signature = Signature.from_config(config)
        self._session = onnxruntime.InferenceSession(path, _options(config["parameters"]), providers=_providers(args))
        _check_names("input", self._signature.inputs, [tensor.name for tensor in self._session.get_inputs()])
        _check_names("output", self._signature.outputs, [tensor.name for tensor in self._session.get_outputs()])

    def execute(self, requests: Sequence[object]) -> list[object]:
        """Answer the requests the dynamic batcher hands over, in one run."""
        return respond(requests, self._signature, self._infer)

    def _infer(self, inputs: Arrays) -> Arrays:
        feed = dict(zip(self._signature.inputs, inputs, strict=True))
        outputs: Arrays = self._session.run(list(self._signature.outputs), feed)
        return outputs


def _options(parameters: Mapping[str, Any]) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(parameters.get("intra_op_thread_count", {}).get("string_value", 0))
    options.inter_op_num_threads = int(parameters.get("inter_op_thread_count", {}).get("string_value", 0))
    # Waiting threads sleep: other models and the server itself need the cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _providers(args: Mapping[str, str]) -> list[str | tuple[str, dict[str, str]]]:
    # Triton resolves KIND_AUTO to GPU only where it sees one; asking for CUDA elsewhere prints errors.
    if args["model_instance_kind"] != "GPU" or "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        return ["CPUExecutionProvider"]
    if hasattr(onnxruntime, "preload_dlls"):  # since 1.21: CUDA and cuDNN from pip packages
        onnxruntime.preload_dlls()
    # The default search is exhaustive: seconds for each new batch size (onnxruntime issue 19838).
    cuda = {"device_id": args["model_instance_device_id"], "cudnn_conv_algo_search": "HEURISTIC"}
    return [("CUDAExecutionProvider", cuda), "CPUExecutionProvider"]


def _check_names(role: str, configured: Sequence[str], present: Sequence[str]) -> None:
    missing = set(configured) - set(present)
    if missing or (role == "input" and len(configured) < len(present)):
        raise ValueError(f"config.pbtxt has the {role}s {list(configured)}, the graph has {list(present)}")
