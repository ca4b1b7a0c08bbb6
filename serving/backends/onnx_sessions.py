"""An ONNX Runtime session as a `config.pbtxt` asks for it, in the fields of Triton's own `onnxruntime` backend.

Of `optimization`:
    graph.level                   -1 basic, 1 extended, 2 none; all without it
    execution_accelerators        of a GPU `tensorrt` and `cuda` with their parameters, of a processor `openvino`

Of `parameters`:
    intra_op_thread_count, inter_op_thread_count    0: ONNX Runtime's choice
    execution_mode                                  0 node by node, 1 side by side
    enable_mem_arena, enable_mem_pattern, session.use_device_allocator_for_initializers     1 or 0
    cudnn_conv_algo_search, arena_extend_strategy, gpu_mem_limit, do_copy_in_default_stream     of CUDA, by number

An accelerator of another name is refused, as there; one that this machine lacks is passed over.
"""

import ctypes.util
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import onnxruntime

from cocon.embedding.repository import NO_OTHER_FILE

__all__ = ["open_session", "session_options", "session_providers"]

Config: TypeAlias = Mapping[str, Any]
"""A model's configuration in Triton's JSON form."""

Provider: TypeAlias = tuple[str, dict[str, str]]
"""ONNX Runtime's name of what may run a graph, and options for it."""

_LEVELS = {
    -1: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    1: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    2: onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
}
_MODES = {0: onnxruntime.ExecutionMode.ORT_SEQUENTIAL, 1: onnxruntime.ExecutionMode.ORT_PARALLEL}
_CPU, _CUDA, _TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
_OPENVINO = "OpenVINOExecutionProvider"

# ONNX Runtime's names of what the configuration gives by number, in its order, or by another name.
_CUDA_CHOICES = {
    "cudnn_conv_algo_search": ("EXHAUSTIVE", "HEURISTIC", "DEFAULT"),
    "arena_extend_strategy": ("kNextPowerOfTwo", "kSameAsRequested"),
}
_CUDA_PARAMETERS = (*_CUDA_CHOICES, "gpu_mem_limit", "do_copy_in_default_stream")
_TENSORRT_NAMES = {
    "max_workspace_size_bytes": "trt_max_workspace_size",
    "int8_calibration_table_name": "trt_int8_calibration_table_name",
    "int8_use_native_calibration_table": "trt_int8_use_native_calibration_table",
}


def open_session(content: bytes, config: Config, kind: str, device_id: str) -> onnxruntime.InferenceSession:
    """Open a model.

    Args:
        content: of the file; one that refers to other files is refused.
        config: of the model.
        kind: of the instance, as Triton has resolved it: `CPU` or `GPU`.
        device_id: number of the GPU.

    Raises:
        ValueError: the configuration has a value that is not in the table.
    """
    providers = session_providers(config, kind, device_id)
    if any(name == _CUDA for name, _ in providers) and hasattr(onnxruntime, "preload_dlls"):  # since 1.21
        onnxruntime.preload_dlls()  # CUDA and cuDNN from pip packages
    return onnxruntime.InferenceSession(content, session_options(config), providers=list(providers))


def session_options(config: Config) -> onnxruntime.SessionOptions:
    """What holds for a session on any device; raises like `open_session`."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(_parameter(config, "intra_op_thread_count", "0"))
    options.inter_op_num_threads = int(_parameter(config, "inter_op_thread_count", "0"))
    mode = int(_parameter(config, "execution_mode", "0"))
    if mode not in _MODES:
        raise ValueError(f"execution_mode is {mode}; it must be 0 or 1")
    options.execution_mode = _MODES[mode]
    # Protobuf's JSON has 64-bit numbers as text.
    level = int(config.get("optimization", {}).get("graph", {}).get("level", 0))
    options.graph_optimization_level = _LEVELS.get(level, onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL)
    options.enable_cpu_mem_arena = _is_on(_parameter(config, "enable_mem_arena", "1"))
    options.enable_mem_pattern = _is_on(_parameter(config, "enable_mem_pattern", "1"))
    on_device = "session.use_device_allocator_for_initializers"
    options.add_session_config_entry(on_device, _parameter(config, on_device, "0"))
    # Waiting threads sleep: other models and the server itself need the cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry(*NO_OTHER_FILE)
    return options


def session_providers(config: Config, kind: str, device_id: str) -> list[Provider]:
    """What runs the graph, best first; arguments as of `open_session`, and it raises like it."""
    accelerators = config.get("optimization", {}).get("execution_accelerators", {})
    present = onnxruntime.get_available_providers()
    providers: list[Provider] = []
    # Triton resolves KIND_AUTO to GPU only where it sees one; asking for CUDA elsewhere prints errors.
    if kind == "GPU" and _CUDA in present:
        providers += _on_gpu(accelerators.get("gpu_execution_accelerator", ()), config, device_id)
    for accelerator in accelerators.get("cpu_execution_accelerator", ()):
        _check_name(accelerator, ("openvino",))
        providers.append((_OPENVINO, {"device_type": "CPU"}))
    return [*(each for each in providers if each[0] in present), (_CPU, {})]


def _on_gpu(accelerators: list[Any], config: Config, device_id: str) -> Iterator[Provider]:
    cuda = {"device_id": device_id} | {
        name: _cuda_value(name, text) for name in _CUDA_PARAMETERS if (text := _parameter(config, name, ""))
    }
    for accelerator in accelerators:
        _check_name(accelerator, ("tensorrt", "cuda"))
        given = accelerator.get("parameters", {})
        if accelerator["name"] == "cuda":
            cuda |= given
        # ONNX Runtime lists TensorRT wherever it was built with it, and prints errors where its libraries are missing.
        elif ctypes.util.find_library("nvinfer"):
            yield _TENSORRT, {"device_id": device_id} | dict(_tensorrt_option(*pair) for pair in given.items())
    yield _CUDA, cuda


def _tensorrt_option(name: str, text: str) -> tuple[str, str]:
    if name == "precision_mode":
        if text == "FP32":
            return "trt_fp16_enable", "0"
        if text not in ("FP16", "BF16", "INT8"):
            raise ValueError(f"unsupported precision mode '{text}' is requested")
        return f"trt_{text.lower()}_enable", "1"
    return _TENSORRT_NAMES.get(name, name), text


def _cuda_value(name: str, text: str) -> str:
    if name not in _CUDA_CHOICES:
        return text
    choices = _CUDA_CHOICES[name]
    if not text.isdecimal() or int(text) >= len(choices):
        raise ValueError(f"{name} is '{text}'; it must be a number below {len(choices)}")
    return choices[int(text)]


def _check_name(accelerator: Config, known: tuple[str, ...]) -> None:
    if accelerator["name"] not in known:
        raise ValueError(f"unknown Execution Accelerator '{accelerator['name']}' is requested")


def _parameter(config: Config, name: str, default: str) -> str:
    return str(config.get("parameters", {}).get(name, {}).get("string_value", default))


def _is_on(text: str) -> bool:
    return text.lower() in ("1", "true")
