"""What machine and what load models are to be served for: instances, threads, and what a GPU is told.

    Deployment.on(8)                           one instance whose inferences take eight threads
    Deployment.on(8, prefer="throughput")      eight instances of one thread
    Deployment.on(8, num_instances=2)          two of four
    Deployment("gpu")

`model_config` writes it down in fields that Triton's own ONNX Runtime backend and our stand-in read alike.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self, TypeAlias

from tritonclient.grpc import model_config_pb2 as triton

from cocon.core.errors import UsageError
from cocon.embedding.repository import FP16, INT8, ONNX_RUNTIME, ModelFormat

__all__ = ["ONE_THREAD", "WARM_UP_SIZES", "Deployment", "Preference", "TargetName"]

TargetName: TypeAlias = Literal["cpu", "gpu"]
Preference: TypeAlias = Literal["latency", "throughput"]

# On a GPU each new batch size costs seconds, for the choice of its algorithms; there others are padded to these.
WARM_UP_SIZES = (1, 2, 4, 8, 16)

# What TensorRT may compute in, by the format of the file: that which its gate was about.
_PRECISIONS = {FP16: "FP16", INT8: "INT8"}
_WORKSPACE_BYTES = 1 << 30
# Requests that wait go to the instances one by one. Joined, all would go to one of them while the others wait, and a
# processor computes a clip hardly faster in a larger batch.
_ALONE = 1
# ONNX Runtime's number of the search that estimates. Its default tries every algorithm, for seconds per batch size.
_HEURISTIC = "1"


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where and how the models of a repository are to run.

    Attributes:
        target: `cpu`, or `gpu` for TensorRT and CUDA. A server without a GPU runs both on its processor, and one with
            a GPU runs both on that.
        num_instances: of every model; each computes one batch at a time and has its own copy of the weights.
        num_threads: of one inference on a processor.
    """

    target: TargetName = "cpu"
    num_instances: int = 1
    num_threads: int = 1

    @classmethod
    def on(
        cls,
        num_cores: int,
        *,
        target: TargetName = "cpu",
        prefer: Preference = "latency",
        num_instances: int | None = None,
        num_threads: int | None = None,
    ) -> Self:
        """Share the cores of a machine among the instances of a model.

        Args:
            num_cores: of the machine.
            target: as of the class.
            prefer: `latency`: one instance, whose inferences take all cores. `throughput`: an instance per core, whose
                inferences take one thread; no thread waits for another, so a clip costs less.
            num_instances: if it is to be another number; they share the cores.
            num_threads: if it is to be another number.

        Raises:
            UsageError: throughput is preferred on a GPU, whose models do not share the cores.
        """
        per_core = prefer == "throughput"
        if per_core and target == "gpu":
            raise UsageError(
                "--prefer throughput shares out the cores of a processor; with --target gpu say --instances"
            )
        instances = num_instances or (num_cores if per_core else 1)
        return cls(target, instances, num_threads or max(1, num_cores // instances))

    def describe(
        self, config: triton.ModelConfig, model_format: ModelFormat, inputs: Mapping[str, Sequence[int]]
    ) -> None:
        """Write it into the configuration of a model.

        Args:
            config: is written to.
            model_format: of the model.
            inputs: name → shape of a row.
        """
        config.instance_group.add(count=self.num_instances, kind=triton.ModelInstanceGroup.KIND_AUTO)
        config.parameters[model_format.threads_parameter].string_value = str(self.num_threads)
        if self.target == "cpu" and self.num_instances > 1:
            config.dynamic_batching.preferred_batch_size.append(_ALONE)
        if self.target == "gpu" and model_format.backend == ONNX_RUNTIME:
            config.dynamic_batching.preferred_batch_size.extend(WARM_UP_SIZES[1:])
            config.parameters["cudnn_conv_algo_search"].string_value = _HEURISTIC
            accelerators = config.optimization.execution_accelerators.gpu_execution_accelerator
            accelerators.add(name="tensorrt", parameters=_tensorrt(model_format, inputs))


ONE_THREAD = Deployment()
"""One instance with one thread."""


def _tensorrt(model_format: ModelFormat, inputs: Mapping[str, Sequence[int]]) -> dict[str, str]:
    """Parameters of Triton's TensorRT accelerator: one engine for batches of any size."""
    profiles = {"min": WARM_UP_SIZES[0], "opt": WARM_UP_SIZES[-2], "max": WARM_UP_SIZES[-1]}
    shapes = {
        f"trt_profile_{name}_shapes": ",".join(f"{tensor}:{_by_x((size, *shape))}" for tensor, shape in inputs.items())
        for name, size in profiles.items()
    }
    precision = _PRECISIONS.get(model_format, "FP32")
    return {"precision_mode": precision, "max_workspace_size_bytes": str(_WORKSPACE_BYTES)} | shapes


def _by_x(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
