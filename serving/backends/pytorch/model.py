"""Stand-in for Triton's C++ `pytorch` backend, loaded by the Python worker of the wheel's server.

It maps names as that backend does (`GetNamingConvention` in its `libtorch.cc`). Inputs, by the first rule that fits:

1. the name of an argument of `forward` (`clip`);
2. `<name>__<index>`: that position among the arguments (`INPUT__0`);
3. the order of the configuration.

Outputs, the position in the tuple (or NamedTuple, or list) that `forward` returns; a single tensor is position 0:

1. all are called `<name>__<index>`: that index, the name before it is free (`embedding__0`, `OUTPUT__1`);
2. otherwise the order of the configuration (`embedding`, `blocks`, `logits`), and it may stop early.

Honours from `config.pbtxt`: `default_model_filename`, `instance_group` kind, `sha256.<version>`, and the parameters
`INTRA_OP_THREAD_COUNT` and `INTER_OP_THREAD_COUNT` (0 or absent: PyTorch's choice).
"""

import io
import json
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from cocon.embedding.repository import TORCHSCRIPT
from cocon.serving.backends.batches import Arrays, Batcher, Signature
from cocon.serving.backends.model_files import model_content


class TritonPythonModel:
    """One instance of one TorchScript model; the name is Triton's."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Load the module.

        Raises:
            MismatchError: The file is not the one that the configuration records.
            ValueError: The configuration has another number of inputs than `forward`.
        """
        config = json.loads(args["model_config"])
        content = io.BytesIO(model_content(args, config, TORCHSCRIPT))
        _set_thread_counts(config["parameters"])
        gpu = args["model_instance_kind"] == "GPU" and torch.cuda.is_available()
        self._device = torch.device(f"cuda:{args['model_instance_device_id']}" if gpu else "cpu")
        self._module = torch.jit.load(content, map_location=self._device).eval()  # type: ignore[no-untyped-call]
        signature = Signature.from_config(config)
        arguments = [argument.name for argument in self._module.forward.schema.arguments[1:]]  # without self
        if len(arguments) != len(signature.inputs):
            raise ValueError(f"config.pbtxt has the inputs {list(signature.inputs)}, forward takes {arguments}")
        self._input_positions = positions(signature.inputs, arguments)
        self._output_positions = positions(signature.outputs)
        self._batcher = Batcher(signature, self._infer, sizes=signature.warm_up_sizes if gpu else ())
        # Triton's memory is not to be written to, and nobody does.
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")

    def execute(self, requests: Sequence[object]) -> list[object]:
        """Answer the requests the dynamic batcher hands over, in one run."""
        return self._batcher.respond(requests)

    @torch.inference_mode()
    def _infer(self, inputs: Arrays) -> Arrays:
        by_position = sorted(zip(self._input_positions, inputs, strict=True), key=lambda pair: pair[0])
        tensors = [torch.from_numpy(array).to(self._device) for _, array in by_position]
        returned = self._module(*tensors)
        outputs = [returned] if isinstance(returned, torch.Tensor) else list(returned)
        last = max(self._output_positions)
        if last >= len(outputs):
            raise ValueError(f"config.pbtxt asks for output {last}, forward returns {len(outputs)} tensors")
        return [outputs[position].cpu().contiguous().numpy() for position in self._output_positions]


def _set_thread_counts(parameters: Mapping[str, Any]) -> None:
    if count := int(parameters.get("INTRA_OP_THREAD_COUNT", {}).get("string_value", 0)):
        torch.set_num_threads(count)
    if count := int(parameters.get("INTER_OP_THREAD_COUNT", {}).get("string_value", 0)):
        torch.set_num_interop_threads(count)


def positions(names: Sequence[str], arguments: Sequence[str] = ()) -> list[int]:
    """Positions of the named tensors among the arguments, or in the result, of `forward`.

    The first rule that fits all names holds: they are argument names; they are `<name>__<index>`; else they are taken
    in the order given. Results have no names: leave `arguments` empty.
    """
    if arguments and set(names) <= set(arguments):
        return [arguments.index(name) for name in names]
    indices = [name.partition("__")[2] for name in names]
    if all(index.isascii() and index.isdigit() for index in indices):
        return [int(index) for index in indices]
    return list(range(len(names)))
