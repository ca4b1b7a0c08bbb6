"""Stand-in for Triton's C++ `onnxruntime` backend, loaded by the Python worker of the wheel's server.

Honours from `config.pbtxt`: tensor names, `default_model_filename`, `sha256.<version>`, `instance_group`, and what
`cocon.serving.backends.onnx_sessions` names. On a GPU, batches are filled up to the sizes of `model_warmup`.
"""

import json
from collections.abc import Mapping, Sequence

from cocon.embedding.repository import ONNX
from cocon.serving.backends.batches import Arrays, Batcher, Signature
from cocon.serving.backends.model_files import model_content
from cocon.serving.backends.onnx_sessions import open_session


class TritonPythonModel:
    """One instance of one ONNX model; the name is Triton's."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Open the session.

        Raises:
            MismatchError: The file is not the one that the configuration records.
            ValueError: The configuration names other tensors than the graph, or asks for what there is not.
        """
        config = json.loads(args["model_config"])
        content = model_content(args, config, ONNX)
        signature = Signature.from_config(config)
        kind = args["model_instance_kind"]
        self._session = open_session(content, config, kind, args["model_instance_device_id"])
        _check_names("input", signature.inputs, [tensor.name for tensor in self._session.get_inputs()])
        _check_names("output", signature.outputs, [tensor.name for tensor in self._session.get_outputs()])
        self._inputs, self._outputs = list(signature.inputs), list(signature.outputs)
        # A processor takes as long for a clip in a batch of three as of four.
        self._batcher = Batcher(signature, self._infer, sizes=signature.warm_up_sizes if kind == "GPU" else ())

    def execute(self, requests: Sequence[object]) -> list[object]:
        """Answer the requests the dynamic batcher hands over, in one run."""
        return self._batcher.respond(requests)

    def _infer(self, inputs: Arrays) -> Arrays:
        outputs: Arrays = self._session.run(self._outputs, dict(zip(self._inputs, inputs, strict=True)))
        return outputs


def _check_names(role: str, configured: Sequence[str], present: Sequence[str]) -> None:
    missing = set(configured) - set(present)
    if missing or (role == "input" and len(configured) < len(present)):
        raise ValueError(f"config.pbtxt has the {role}s {list(configured)}, the graph has {list(present)}")
