"""Pre-training: one screen, resumable at any step, bit for bit on the CPU."""

import logging
import math
from collections.abc import Callable
from pathlib import Path

import torch
from lightning_fabric import Fabric

from cocon.training.checkpoint import (
    contract_of,
    load_state,
    random_states,
    restore_random_states,
    save_encoder,
    save_state,
)
from cocon.training.config import Config
from cocon.training.data.frames import VideoFrames
from cocon.training.data.loader import clip_batches, steps_per_epoch, to_device
from cocon.training.interruption import interruptible
from cocon.training.journal import Journal
from cocon.training.learning_sections import OptimizerSection
from cocon.training.methods.cocon import CoCon
from cocon.training.methods.cpc import PredictiveNetwork
from cocon.training.models.encoder import build_encoder
from cocon.video.views import view_named

__all__ = ["build_method", "learning_rate_at", "make_fabric", "pretrain"]

_logger = logging.getLogger(__name__)


def pretrain(
    config: Config, run: Path, frames: VideoFrames, fabric: Fabric, *, on_progress: Callable[[int, int], None]
) -> CoCon:
    """Train the method's networks on unlabelled clips.

    Args:
        config: everything that decides the run.
        run: the run folder; a state in it is taken up.
        frames: the training videos.
        fabric: device and precision.
        on_progress: called with (steps done, steps in all).

    Returns:
        The trained method.

    Raises:
        KeyboardInterrupt: a stop was asked for; the state is saved.
    """
    torch.manual_seed(config.training.seed)
    method = build_method(config)
    optimizer = torch.optim.Adam(
        method.parameters(), lr=config.optimizer.learning_rate, weight_decay=config.optimizer.weight_decay
    )
    per_epoch = steps_per_epoch(len(frames), config.training.batch_size)
    num_steps = per_epoch * config.training.epochs
    state = load_state(run)
    if state is not None:
        method.load_state_dict(state["method"])
        optimizer.load_state_dict(state["optimizer"])
    first_step = 0 if state is None else state["step"]
    trained, optimizer = fabric.setup(method, optimizer)
    trained.train()
    batches = clip_batches(frames, config, (), first_step=first_step, num_steps=num_steps, seed=config.training.seed)
    with Journal(run, next_step=first_step) as journal, interruptible() as interruption:
        if state is not None:
            restore_random_states(state["random"])
            journal.restore(state["journal"])
        on_progress(first_step, num_steps)
        for step, batch in enumerate(batches, start=first_step + 1):
            rate = learning_rate_at(step, per_epoch, num_steps, config.optimizer)
            for group in optimizer.param_groups:
                group["lr"] = rate
            clips, _ = to_device(batch, fabric.device)
            terms = trained(clips, step / num_steps)
            optimizer.zero_grad(set_to_none=True)
            fabric.backward(terms.total)
            optimizer.step()
            journal.add(terms.logged)
            on_progress(step, num_steps)
            if step % per_epoch == 0:
                means = journal.write("pretrain", step=step, epoch=step // per_epoch, learning_rate=rate)
                _sound_collapse_alarm(means, config, epoch=step // per_epoch)
            if step % per_epoch == 0 or interruption.is_requested:
                _save(run, config, method, optimizer, journal, step)
            if interruption.is_requested:
                raise KeyboardInterrupt
    return method


def build_method(config: Config) -> CoCon:
    """The untrained networks of every view, drawn from torch's global generator."""
    networks = {}
    for view in config.views:
        encoder = build_encoder(config.encoder_spec(), view_named(view))
        # Clips arrive with channels last; weights stored alike spare a copy per convolution (1.4× as fast on the CPU).
        encoder.backbone.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]  # not in the stubs
        networks[view] = PredictiveNetwork(encoder, num_predicted=config.model.num_predicted)
    return CoCon(networks, config.loss.weights())


def make_fabric(config: Config) -> Fabric:
    """Device and precision: bfloat16 mixed on a CUDA device that has it, else 32 bit."""
    precision = config.training.precision
    if precision == "auto":
        has_bf16 = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
        precision = "bf16-mixed" if has_bf16 else "32-true"
    return Fabric(accelerator="auto", devices=1, precision=precision)


def learning_rate_at(step: int, per_epoch: int, num_steps: int, optimizer: OptimizerSection) -> float:
    """Linear warm-up, then a cosine to `final_share` of the learning rate; steps count from 1."""
    warmup = min(round(optimizer.warmup_epochs * per_epoch), num_steps - 1)
    if step <= warmup:
        return optimizer.learning_rate * step / warmup
    share = (step - warmup) / (num_steps - warmup)
    cosine = 0.5 * (1 + math.cos(math.pi * share))
    return optimizer.learning_rate * (optimizer.final_share + (1 - optimizer.final_share) * cosine)


def _sound_collapse_alarm(means: dict[str, float], config: Config, *, epoch: int) -> None:
    for view in config.views:
        spread = means[f"spread/{view}"]
        if spread < config.training.collapse_alarm:
            _logger.warning(
                "epoch %d: embeddings of view '%s' are collapsing (spread %.2f, healthy is near 1); "
                "lower loss.sync or raise loss.sync_ramp", epoch, view, spread,
            )  # fmt: skip


def _save(
    run: Path, config: Config, method: CoCon, optimizer: torch.optim.Optimizer, journal: Journal, step: int
) -> None:
    state = {
        "method": method.state_dict(),
        "optimizer": optimizer.state_dict(),
        "random": random_states(),
        "journal": journal.state(),
        "step": step,
    }
    save_state(run, state)
    for view, network in method.networks.items():
        assert isinstance(network, PredictiveNetwork)
        contract = contract_of(config, view, network.encoder, method=config.loss.losses, labels=())
        save_encoder(run, network.encoder, contract)
