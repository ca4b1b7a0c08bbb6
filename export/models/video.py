"""Publish `cocon_video`: bytes of a video in, vectors of its clips out, by the encoders of the same repository."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tritonclient.grpc import model_config_pb2 as triton

from cocon.embedding.config_files import PROBE_TIMEOUT_KEY
from cocon.embedding.contract import BLOCKS, EMBEDDING, PROBABILITIES, ModelContract
from cocon.embedding.repository import LABELS_FILE, model_name
from cocon.embedding.videos.call_record import (
    DEADLINE_KEY,
    LIMITS_KEY,
    VIDEO_BACKEND,
    VIDEO_DEADLINE_S,
    VIDEO_FILE,
    VIDEO_MODEL,
    CalledEncoder,
    CallRecord,
)
from cocon.export.repository.deployment import Deployment
from cocon.export.repository.model_config import MAX_BATCH_SIZE
from cocon.video.decoding.limits import MediaLimits
from cocon.video.views import VIEWS

__all__ = ["call_record", "video_config", "video_limits", "write_video"]

_ANY = -1
# One long video must not keep all others waiting; more workers than this feed no encoder.
_LEAST_INSTANCES, _MOST_INSTANCES = 2, 8
# Smaller than what the client reads: bytes of a request lie in memory, and a worker keeps as much as its largest took.
_LIMITS = {"max_bytes": 512 << 20, "max_seconds": 7200}
_QUEUED_PER_INSTANCE = 4


def call_record(
    contracts: Sequence[ModelContract],
    versions: Mapping[str, int],
    weights: Mapping[str, float],
    lacking: frozenset[str] = frozenset(),
) -> CallRecord:
    """What the model calls: the encoders of those views that can be made of a video alone.

    Args:
        contracts: Of the encoders that there are.
        versions: Name of an encoder → the version to call.
        weights: View → how much it counts.
        lacking: Outputs `<name>_<view>` that an encoder of before does not give.
    """
    calls = {}
    for contract in contracts:
        view, model = contract.view, model_name(contract.view)
        if VIEWS[view].maker != "user":
            outputs = tuple(name for name in contract.output_shapes if f"{name}_{view}" not in lacking)
            calls[view] = CalledEncoder(model, versions[model], contract, outputs)
    return CallRecord(calls, {view: weights[view] for view in calls}, MAX_BATCH_SIZE)


def video_config(record: CallRecord, deployment: Deployment, limits: str) -> triton.ModelConfig:
    """Its configuration, without any version yet.

    Args:
        record: What it calls.
        deployment: Whose cores its instances share.
        limits: As `video_limits` gives them.
    """
    config = triton.ModelConfig(name=VIDEO_MODEL, backend=VIDEO_BACKEND, default_model_filename=VIDEO_FILE)
    config.input.add(name="video", data_type=triton.TYPE_UINT8, dims=[_ANY])
    for name, data_type, dims in _outputs(record):
        labels = LABELS_FILE if name == PROBABILITIES and record.fusion.labels else ""
        config.output.add(name=name, data_type=data_type, dims=dims, label_filename=labels)
    cores = deployment.num_instances * deployment.num_threads
    count = min(max(cores, _LEAST_INSTANCES), _MOST_INSTANCES)
    config.instance_group.add(count=count, kind=triton.ModelInstanceGroup.KIND_CPU)
    # Who waits holds a whole video in memory; who comes when these do is refused at once.
    policy = config.dynamic_batching.default_queue_policy
    policy.max_queue_size, policy.default_timeout_microseconds = (
        _QUEUED_PER_INSTANCE * count,
        VIDEO_DEADLINE_S * 1_000_000,
    )
    config.parameters[LIMITS_KEY].string_value = limits
    config.parameters[DEADLINE_KEY].string_value = str(VIDEO_DEADLINE_S)
    # Who asks whether it lives: when all instances have a long video, an answer may take as long.
    config.parameters[PROBE_TIMEOUT_KEY].string_value = str(VIDEO_DEADLINE_S + 60)
    return config


def video_limits(settings: Sequence[str] = (), *, before: str = "") -> str:
    """How much of a video is read before it is refused: `NAME=NUMBER` with blanks between them.

    Args:
        settings: `NAME=NUMBER` in place of what it was, or is by itself.
        before: What it was, as this function gives it.

    Raises:
        UsageError: One has another form, an unknown name, or a number out of range.
    """
    all_settings = (*before.split(), *settings)
    MediaLimits.parse(all_settings)
    given = dict(setting.split("=", 1) for setting in all_settings)
    return " ".join(f"{name}={number}" for name, number in (_LIMITS | given).items())


def write_video(record: CallRecord, path: Path) -> None:
    """Write what the backend reads."""
    path.write_text(record.to_json(), encoding="utf-8")


def _outputs(record: CallRecord) -> Iterator[tuple[str, int, list[int]]]:
    """Name, type and shape of every output."""
    contracts = {view: encoder.contract for view, encoder in sorted(record.encoders.items())}
    num_blocks = next(iter(contracts.values())).clip.num_blocks
    yield "start_seconds", triton.TYPE_FP64, [_ANY]
    yield "end_seconds", triton.TYPE_FP64, [_ANY]
    yield EMBEDDING, triton.TYPE_FP32, [_ANY, _ANY]
    yield BLOCKS, triton.TYPE_FP32, [_ANY, num_blocks, _ANY]
    if any(contract.labels for contract in contracts.values()):
        yield PROBABILITIES, triton.TYPE_FP32, [_ANY, _ANY]
    for view, contract in contracts.items():
        yield f"{EMBEDDING}_{view}", triton.TYPE_FP32, [_ANY, contract.vector_dim]
    yield "about", triton.TYPE_STRING, [1]
