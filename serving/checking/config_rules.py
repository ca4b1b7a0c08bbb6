"""What a `config.pbtxt` may say without further trust.

It names what is known rather than what is known to be dangerous. Of the rest, these ran code on the wheel's server: a
backend `python`, none, or one that is a path; `runtime` with a library; the parameters EXECUTION_ENV_PATH and
TRITON_BATCH_STRATEGY_PATH; and a folder, a file or an instance with `$(…)` in its name, because that server starts its
workers by a shell. `model_repository_agents`, `model_operations` and accelerators load libraries on others.
"""

import re
from collections.abc import Mapping

from cocon.core.printable import printable
from cocon.embedding.config_files import CURRENT_KEY, PREVIOUS_KEY, PROBE_TIMEOUT_KEY
from cocon.embedding.repository import CONFIG_FILE, ENSEMBLE_PLATFORM, LABELS_FILE, is_version
from cocon.embedding.videos.call_record import DEADLINE_KEY, LIMITS_KEY
from cocon.serving.checking.configured_model import MODEL_FILES, ConfiguredModel
from cocon.serving.checking.faults import Faults, Matter, in_model
from cocon.serving.checking.folder_rules import is_plain_name

__all__ = ["config_faults"]

_FIELDS = frozenset(
    {
        "name",
        "platform",
        "backend",
        "version_policy",
        "max_batch_size",
        "input",
        "output",
        "optimization",
        "dynamic_batching",
        "ensemble_scheduling",
        "instance_group",
        "default_model_filename",
        "metric_tags",
        "parameters",
        "model_warmup",
        "model_transaction_policy",
        "response_cache",
    }
)

_PARAMETERS = frozenset(
    {
        # ONNX Runtime
        "intra_op_thread_count",
        "inter_op_thread_count",
        "execution_mode",
        "enable_mem_arena",
        "enable_mem_pattern",
        "session.use_device_allocator_for_initializers",
        "cudnn_conv_algo_search",
        "arena_extend_strategy",
        "gpu_mem_limit",
        "do_copy_in_default_stream",
        # PyTorch
        "INTRA_OP_THREAD_COUNT",
        "INTER_OP_THREAD_COUNT",
        "DISABLE_OPTIMIZED_EXECUTION",
        "INFERENCE_MODE",
        "ENABLE_WEIGHT_SHARING",
        "ENABLE_CACHE_CLEANING",
        # ours
        CURRENT_KEY,
        PREVIOUS_KEY,
        PROBE_TIMEOUT_KEY,
        DEADLINE_KEY,
        LIMITS_KEY,
    }
)
_RECORD = re.compile(r"[a-z][a-z0-9_]*")  # of a version: contract.3

# Accelerator → its parameters. Others are files that it loads or writes.
_ACCELERATORS: Mapping[str, frozenset[str]] = {
    "cuda": frozenset(),
    "openvino": frozenset(),
    "tensorrt": frozenset(
        {"precision_mode", "max_workspace_size_bytes"}
        | {f"trt_profile_{which}_shapes" for which in ("min", "opt", "max")}
    ),
}
_MAX_INSTANCES = 256  # each is a process


def config_faults(model: ConfiguredModel) -> Faults:
    """What the configuration of a model says and may not."""
    yield from _name_faults(model)
    yield from _runtime_faults(model)
    for field, _ in model.config.ListFields():
        if field.name not in _FIELDS:
            yield in_model(
                model.name, f"its {CONFIG_FILE} has the field '{field.name}', which is none known", Matter.TRUST
            )
    for name in sorted(model.config.parameters):
        if not _is_known_parameter(name):
            yield in_model(model.name, f"its parameter '{printable(name)}' is none that is known", Matter.TRUST)
    yield from _instance_faults(model)
    yield from _accelerator_faults(model)
    yield from _named_file_faults(model.of_version(model.promoted) if model.promoted in model.versions else model)


def _name_faults(model: ConfiguredModel) -> Faults:
    rule = "a name has letters, digits, '_', '.', '+', '-' and begins with none of the last three"
    if not is_plain_name(model.name):
        yield in_model(
            model.name, f"its folder has a name that a shell may read as something else; {rule}", Matter.FORM
        )
    if (name := str(model.config.name)) not in ("", model.name):
        yield in_model(
            model.name, f"its {CONFIG_FILE} calls it '{printable(name)}'; a model has its folder's name", Matter.FORM
        )
    file_name = str(model.config.default_model_filename)
    if file_name and not is_plain_name(file_name):
        yield in_model(model.name, f"its default_model_filename is '{printable(file_name)}'; {rule}", Matter.FORM)
    elif (expected := MODEL_FILES.get(model.kind)) and file_name not in ("", expected):
        yield in_model(
            model.name, f"its default_model_filename is '{file_name}'; it must be '{expected}'", Matter.TRUST
        )


def _runtime_faults(model: ConfiguredModel) -> Faults:
    backend, platform = str(model.config.backend), str(model.config.platform)
    if backend in MODEL_FILES.keys() - {ENSEMBLE_PLATFORM} and not platform:
        return
    if platform == ENSEMBLE_PLATFORM and not backend:
        return
    named = f"backend '{printable(backend)}'" + (f" and platform '{printable(platform)}'" if platform else "")
    known = ", ".join(f"'{name}'" for name in MODEL_FILES if name != ENSEMBLE_PLATFORM)
    yield in_model(
        model.name, f"it has {named}; known are the backends {known} and the platform 'ensemble'", Matter.TRUST
    )


def _is_known_parameter(name: str) -> bool:
    key, _, version = name.rpartition(".")
    return name in _PARAMETERS or (is_version(version) and _RECORD.fullmatch(key) is not None)


def _instance_faults(model: ConfiguredModel) -> Faults:
    for group in model.config.instance_group:
        if group.name and not is_plain_name(group.name):
            what = f"an instance_group is called '{printable(group.name)}', which a shell may read as something else"
            yield in_model(model.name, what, Matter.FORM)
    if (count := sum(group.count for group in model.config.instance_group)) > _MAX_INSTANCES:
        yield in_model(model.name, f"it has {count} instances, and may have {_MAX_INSTANCES}", Matter.TRUST)


def _accelerator_faults(model: ConfiguredModel) -> Faults:
    accelerators = model.config.optimization.execution_accelerators
    for each in (*accelerators.gpu_execution_accelerator, *accelerators.cpu_execution_accelerator):
        if each.name not in _ACCELERATORS:
            yield in_model(model.name, f"its accelerator '{printable(each.name)}' is none that is known", Matter.TRUST)
            continue
        for parameter in sorted(each.parameters.keys() - _ACCELERATORS[each.name]):
            what = f"its accelerator {each.name} has the parameter '{printable(parameter)}', which is none known"
            yield in_model(model.name, what, Matter.TRUST)


def _named_file_faults(model: ConfiguredModel) -> Faults:
    """Files that the server reads and gives to clients, or computes with."""
    for output in model.config.output:
        if output.label_filename not in ("", LABELS_FILE):
            what = f"output '{printable(output.name)}' has the labels of '{printable(output.label_filename)}'"
            yield in_model(model.name, f"{what}, which must be '{LABELS_FILE}'", Matter.TRUST)
    for warm_up in model.config.model_warmup:
        for name, tensor in warm_up.inputs.items():
            if tensor.input_data_file:
                what = f"its warm-up reads '{printable(tensor.input_data_file)}' for '{printable(name)}'"
                yield in_model(model.name, f"{what}; zeros are known", Matter.TRUST)
