"""Whether the memory that a server shares with its workers has room for what its models will put there.

    check_worker_memory(Path("model_repository"))

A container has 64 MiB of it unless it is told otherwise, and a server that finds it full ends by a signal, in the midst
of a request.
"""

import shutil
from math import prod
from pathlib import Path

from tritonclient.grpc import model_config_pb2 as triton

from cocon.core.errors import MismatchError, UsageError
from cocon.core.printable import printable
from cocon.embedding.config_files import read_config
from cocon.embedding.repository import CONFIG_FILE, ENSEMBLE_PLATFORM

__all__ = ["check_worker_memory", "worker_memory"]

SHARED_MEMORY = Path("/dev/shm")
"""Where it is on Linux, the one system that Triton runs on."""

_MEBIBYTE = 1 << 20
# Of each worker, whatever its model: what Triton begins with, and its messages.
_LEAST_BYTES = 2 * _MEBIBYTE


def check_worker_memory(repository: Path, *, free_bytes: int | None = None, freed_bytes: int = 0) -> None:
    """Refuse to serve what there is no room for.

    Args:
        repository: The model repository.
        free_bytes: How much memory there is; by default, what the system says.
        freed_bytes: How much more there will be.

    Raises:
        UsageError: It is too little; the message says how much it takes.
    """
    needed = worker_memory(repository)
    free = freed_bytes + (shutil.disk_usage(SHARED_MEMORY).free if free_bytes is None else free_bytes)
    if free < needed:
        sizes = f"has {free // _MEBIBYTE} MiB free, and the workers of '{printable(repository)}' take up to"
        whole = -(-needed // _MEBIBYTE)
        remedy = f"give the container more: --shm-size={2 * whole}m (shm_size in Compose), or export fewer instances"
        raise UsageError(f"{SHARED_MEMORY} {sizes} {whole} MiB: {remedy}")


def worker_memory(repository: Path) -> int:
    """Bytes that the workers of all models take at the most: a full batch in, and what it gives out, for each."""
    return sum(map(_taken_by, repository.glob(f"*/{CONFIG_FILE}")))


def _taken_by(path: Path) -> int:
    try:
        config = read_config(path)
    except (MismatchError, OSError):  # the server says more of it than could be said here
        return 0
    if config.platform == ENSEMBLE_PLATFORM:
        return 0
    rows = max(1, config.max_batch_size)
    batch = rows * sum(map(_row_bytes, [*config.input, *config.output]))
    return max(1, sum(group.count for group in config.instance_group)) * (_LEAST_BYTES + batch)


def _row_bytes(tensor: triton.ModelInput | triton.ModelOutput) -> int:
    width = 1 if tensor.data_type == triton.TYPE_UINT8 else 4
    return width * prod(size for size in tensor.dims if size > 0)
