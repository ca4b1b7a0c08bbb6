"""For whom models are served decides their instances, threads, and what a GPU is told; the files stay."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tritonclient.grpc import model_config_pb2 as triton

from cocon.core.errors import UsageError
from cocon.embedding.config_files import read_config
from cocon.embedding.embedder import ENCODER
from cocon.embedding.locating.boundary_model import BOUNDARY_MODEL, BoundaryContract
from cocon.embedding.repository import ONNX, TORCHSCRIPT
from cocon.export.publishing import export_encoders
from cocon.export.repository.deployment import Deployment
from cocon.export.repository.model_config import kind_config
from cocon.export.sources import ExportOptions, ViewSource

MakeSource = Callable[..., ViewSource]


@pytest.mark.parametrize(
    ("given", "instances", "threads"),
    [
        ({}, 1, 8),
        ({"prefer": "throughput"}, 8, 1),
        ({"prefer": "throughput", "num_threads": 2}, 8, 2),
        ({"num_instances": 2}, 2, 4),
        ({"num_instances": 16}, 16, 1),
        ({"num_threads": 3}, 1, 3),
        ({"target": "gpu"}, 1, 8),
    ],
)
def test_instances_share_the_cores(given: dict[str, object], instances: int, threads: int) -> None:
    deployment = Deployment.on(8, **given)  # type: ignore[arg-type]
    assert (deployment.num_instances, deployment.num_threads) == (instances, threads)


def test_an_instance_per_core_is_nothing_for_a_gpu() -> None:
    with pytest.raises(UsageError, match="with --target gpu say --instances"):
        Deployment.on(8, prefer="throughput", target="gpu")


def test_the_configuration_has_instances_and_threads_of_each(make_source: MakeSource) -> None:
    contract = make_source("rgb").contract
    for model_format, key in ((ONNX, "intra_op_thread_count"), (TORCHSCRIPT, "INTRA_OP_THREAD_COUNT")):
        config = kind_config(ENCODER, contract, model_format, Deployment(num_instances=3, num_threads=2))
        assert [(group.count, group.kind) for group in config.instance_group] == [
            (3, triton.ModelInstanceGroup.KIND_AUTO)
        ]
        assert config.parameters[key].string_value == "2"
        assert not config.HasField("optimization")
        assert list(config.dynamic_batching.preferred_batch_size) == [1]  # no instance takes what another could
        alone = kind_config(ENCODER, contract, model_format, Deployment(num_threads=2))
        assert alone.HasField("dynamic_batching") and not alone.dynamic_batching.preferred_batch_size


def test_what_is_light_runs_once_on_the_processor() -> None:
    contract = BoundaryContract("rgb", "f" * 64, 32, 4, 0.5, 5.0, "w" * 64)
    config = kind_config(BOUNDARY_MODEL, contract, ONNX, Deployment("gpu", 4, 4))
    assert [(group.count, group.kind) for group in config.instance_group] == [(1, triton.ModelInstanceGroup.KIND_CPU)]
    assert config.parameters["intra_op_thread_count"].string_value == "1"
    assert not config.HasField("optimization")


def test_a_gpu_is_told_of_one_engine_for_all_batches_and_of_the_quick_search(make_source: MakeSource) -> None:
    contract = make_source("rgb").contract
    config = kind_config(ENCODER, contract, ONNX, Deployment("gpu"))
    (accelerator,) = config.optimization.execution_accelerators.gpu_execution_accelerator
    clip = "x".join(map(str, contract.clip_shape))
    assert accelerator.name == "tensorrt"
    assert accelerator.parameters["precision_mode"] == "FP32"
    assert accelerator.parameters["trt_profile_min_shapes"] == f"clip:1x{clip}"
    assert accelerator.parameters["trt_profile_max_shapes"] == f"clip:{config.max_batch_size}x{clip}"
    assert config.parameters["cudnn_conv_algo_search"].string_value == "1"
    warmed = {warm_up.batch_size for warm_up in config.model_warmup}
    assert set(config.dynamic_batching.preferred_batch_size) <= warmed
    assert not kind_config(ENCODER, contract, TORCHSCRIPT, Deployment("gpu")).HasField("optimization")


def test_other_settings_reach_a_model_that_is_up_to_date_and_nothing_else_changes(
    make_source: MakeSource, tmp_path: Path
) -> None:
    source, repository, told = make_source("rgb"), tmp_path / "repository", list[str]()
    options = ExportOptions(formats=(ONNX,))
    export_encoders([source], repository, options)
    model = repository / "cocon_rgb"
    before, mtime = read_config(model / "config.pbtxt"), (model / "1" / "model.onnx").stat().st_mtime_ns

    many = ExportOptions(formats=(ONNX,), deployment=Deployment(num_instances=2))
    (kept,) = export_encoders([source], repository, many, on_progress=told.append)
    after = read_config(model / "config.pbtxt")
    assert (kept.is_new, kept.version, told) == (False, 1, ["cocon_rgb: other settings for the server"])
    assert after.instance_group[0].count == 2
    assert (model / "1" / "model.onnx").stat().st_mtime_ns == mtime
    after.instance_group[0].count = 1
    after.dynamic_batching.ClearField("preferred_batch_size")
    assert after == before
