"""Devices and processes of a training: one, or as many as torchrun started.

    torchrun --nproc-per-node 2 --no-python cocon train …

Statistics of batch normalisation are those of each process's share of a batch; the run keeps those of the first one.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from torch.distributed.constants import default_pg_timeout

from cocon.core.errors import UsageError
from cocon.training.config.method_sections import METHODS
from cocon.training.config.run import Config
from cocon.training.distributed import num_processes
from cocon.training.loop.schedule import StepPlan
from cocon.training.machine.precision import PrecisionName
from cocon.training.models.encoder import default_device

__all__ = ["check_share", "launched_fabric", "make_fabric", "resources"]

# BatchNorm of a classifier cannot see one clip alone.
_MIN_CLIPS_PER_PROCESS = 2

# While the first process judges the encoders the others wait, and not for half an hour alone.
_JUDGING_TIMEOUT = timedelta(days=1)


def make_fabric(config: Config, precision: PrecisionName) -> Fabric:
    """Devices: every process torchrun started, in `precision`.

    Raises:
        UsageError: torchrun started more processes than there are CUDA devices.
    """
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    if world_size == 1:
        return Fabric(accelerator="auto", devices=1, precision=precision)
    local_size = int(os.environ.get("LOCAL_WORLD_SIZE", str(world_size)))
    if torch.cuda.is_available() and local_size > torch.cuda.device_count():
        raise UsageError(
            f"torchrun started {local_size} processes, but this machine has {torch.cuda.device_count()} CUDA devices; "
            "start one per device with --nproc-per-node"
        )
    # Each process keeps statistics of its own share until an epoch ends; no weight depends on them.
    is_judged = config.training.probe_every_epochs or config.training.held_out_share
    timeout = _JUDGING_TIMEOUT if is_judged else default_pg_timeout
    has_unused = METHODS[config.method].leaves_some_out
    strategy = DDPStrategy(broadcast_buffers=False, timeout=timeout, find_unused_parameters=has_unused)
    accelerator = default_device().type
    num_nodes = world_size // local_size
    return Fabric(
        accelerator=accelerator, devices=local_size, num_nodes=num_nodes, strategy=strategy, precision=precision
    )


@contextmanager
def launched_fabric(config: Config, precision: PrecisionName) -> Iterator[Fabric]:
    """A Fabric whose processes know each other while the block runs; only the first one warns."""
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    fabric = make_fabric(config, precision)
    fabric.launch()
    check_share(config, fabric.world_size)
    logger = logging.getLogger("cocon")
    level = logger.level
    if not fabric.is_global_zero:
        logger.setLevel(logging.ERROR)
    try:
        yield fabric
        if num_processes() > 1:
            dist.destroy_process_group()  # not after an error: the others may be waiting in it
    finally:
        logger.setLevel(level)


def check_share(config: Config, world_size: int) -> None:
    """Raise `UsageError` unless the batch parts into equal shares of two clips at least."""
    size = config.training.batch_size
    if size % world_size or (world_size > 1 and size // world_size < _MIN_CLIPS_PER_PROCESS):
        raise UsageError(
            f"training.batch_size is {size}, over all {world_size} processes; it must be a multiple of {world_size}, "
            f"at least {_MIN_CLIPS_PER_PROCESS * world_size}"
        )


def resources(config: Config, fabric: Fabric, num_videos: int, plan: StepPlan, *, reason: str = "") -> str:
    """What a training uses, in a line of text.

    Args:
        config: everything that decides the run.
        fabric: devices and precision, launched.
        num_videos: training videos.
        plan: the steps of pre-training.
        reason: why this precision.
    """
    device = fabric.device
    name = f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)
    processes = f"{fabric.world_size} processes, " if fabric.world_size > 1 else ""
    is_floor = config.training.steps is None and plan.num_steps > plan.per_epoch * config.training.epochs
    floor = f", for {config.training.epochs} are fewer than training.least_steps" if is_floor else ""
    return (
        f"{config.method} of {', '.join(config.views)} on {num_videos} videos: {plan.num_steps} steps in "
        f"{plan.num_epochs} epochs{floor}; {processes}{name}, {torch.get_num_threads()} thread(s), "
        f"{fabric.strategy.precision.precision}{f' ({reason})' if reason else ''}, "
        f"up to {config.data.cache_gib:g} GiB of decoded frames"
    )
