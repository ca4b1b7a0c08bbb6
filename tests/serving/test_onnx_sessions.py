"""A session is opened as the fields of the configuration say, in the form in which Triton hands them over."""

from pathlib import Path
from typing import Any

import onnxruntime
import pytest

from cocon.serving.backends.onnx_sessions import open_session, session_options, session_providers


def parameters(**values: str) -> dict[str, Any]:
    return {"parameters": {name: {"string_value": value} for name, value in values.items()}}


def test_threads_mode_memory_and_level_are_those_of_the_configuration() -> None:
    given = parameters(
        intra_op_thread_count="3",
        inter_op_thread_count="2",
        execution_mode="1",
        enable_mem_arena="0",
        enable_mem_pattern="0",
    )
    options = session_options(given | {"optimization": {"graph": {"level": -1}}})
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (3, 2)
    assert options.execution_mode == onnxruntime.ExecutionMode.ORT_PARALLEL
    assert (options.enable_cpu_mem_arena, options.enable_mem_pattern) == (False, False)
    assert options.graph_optimization_level == onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC


def test_what_is_not_said_is_as_in_tritons_own_backend() -> None:
    options = session_options({})
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (0, 0)
    assert options.execution_mode == onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    assert (options.enable_cpu_mem_arena, options.enable_mem_pattern) == (True, True)
    assert options.graph_optimization_level == onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    assert session_providers({}, "CPU", "0") == [("CPUExecutionProvider", {})]


def test_a_mode_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="execution_mode is 7; it must be 0 or 1"):
        session_options(parameters(execution_mode="7"))


needs_cuda = pytest.mark.skipif(
    "CUDAExecutionProvider" not in onnxruntime.get_available_providers(), reason="ONNX Runtime is built without CUDA"
)


@needs_cuda
def test_cuda_gets_its_parameters_by_name() -> None:
    given = parameters(cudnn_conv_algo_search="1", arena_extend_strategy="1", gpu_mem_limit="1073741824")
    accelerators = {"gpu_execution_accelerator": [{"name": "cuda", "parameters": {"use_tf32": "0"}}]}
    config = given | {"optimization": {"execution_accelerators": accelerators}}
    (cuda, options), cpu = session_providers(config, "GPU", "1")
    assert (cuda, cpu) == ("CUDAExecutionProvider", ("CPUExecutionProvider", {}))
    assert options == {
        "device_id": "1",
        "cudnn_conv_algo_search": "HEURISTIC",
        "arena_extend_strategy": "kSameAsRequested",
        "gpu_mem_limit": "1073741824",
        "use_tf32": "0",
    }
    assert session_providers(config, "CPU", "0") == [("CPUExecutionProvider", {})]


@needs_cuda
@pytest.mark.parametrize("search", ["3", "HEURISTIC", "-1"])
def test_a_search_that_does_not_exist_is_refused(search: str) -> None:
    with pytest.raises(ValueError, match="cudnn_conv_algo_search is"):
        session_providers(parameters(cudnn_conv_algo_search=search), "GPU", "0")


@pytest.mark.parametrize(
    ("kind", "accelerators"),
    [
        ("CPU", {"cpu_execution_accelerator": [{"name": "warp"}]}),
        pytest.param("GPU", {"gpu_execution_accelerator": [{"name": "warp"}]}, marks=needs_cuda),
    ],
)
def test_an_unknown_accelerator_is_refused(kind: str, accelerators: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="unknown Execution Accelerator 'warp'"):
        session_providers({"optimization": {"execution_accelerators": accelerators}}, kind, "0")


def test_a_session_runs_with_them(repository: Path) -> None:
    path = repository / "cocon_rgb" / "1" / "model.onnx"
    config = parameters(intra_op_thread_count="1") | {"optimization": {"graph": {"level": 2}}}
    session = open_session(path.read_bytes(), config, "CPU", "0")
    assert session.get_providers() == ["CPUExecutionProvider"]
    assert session.get_session_options().intra_op_num_threads == 1
