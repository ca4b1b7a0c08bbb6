"""The classifier on top of pre-trained encoders, frozen or fine-tuned with it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from lightning_fabric import Fabric

from cocon.training.config import Config
from cocon.training.data.frames import VideoFrames
from cocon.training.data.loader import clip_batches, steps_per_epoch, to_device
from cocon.training.interruption import interruptible
from cocon.training.journal import Journal
from cocon.training.models.encoder import Encoder
from cocon.training.models.heads import CLASSIFIERS

__all__ = ["train_classifiers"]

# Order, moments and augmentation differ from those of pre-training.
_SEED_OFFSET = 1_000_003


def train_classifiers(
    config: Config,
    run: Path,
    encoders: Mapping[str, Encoder],
    frames: VideoFrames,
    labels: Sequence[str],
    fabric: Fabric,
    *,
    first_step: int,
    on_progress: Callable[[int, int], None],
) -> None:
    """Give every encoder a classifier and train it on labelled clips; each view learns on its own.

    Args:
        config: everything that decides the run.
        run: the run folder, for the journal.
        encoders: view → encoder; changed in place, on the CPU and in evaluation mode afterwards.
        frames: labelled training videos.
        labels: class names in the order of the logits.
        fabric: device and precision.
        first_step: steps of pre-training, which the journal counts on from.
        on_progress: called with (steps done, steps in all).

    Raises:
        KeyboardInterrupt: a stop was asked for; the phase starts again next time.
    """
    seed = config.training.seed + _SEED_OFFSET
    torch.manual_seed(seed)
    for encoder in encoders.values():
        encoder.classifier = CLASSIFIERS[config.classifier.head](encoder.embedding_dim, len(labels))
    method = torch.nn.ModuleDict(encoders)
    is_frozen = config.classifier.mode == "frozen"
    trained = [p for e in encoders.values() for p in (_head(e) if is_frozen else e).parameters()]
    optimizer = torch.optim.AdamW(
        trained, lr=config.classifier.learning_rate, weight_decay=config.classifier.weight_decay
    )
    per_epoch = steps_per_epoch(len(frames), config.training.batch_size)
    num_steps = per_epoch * config.classifier.epochs
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.classifier.learning_rate, num_steps)
    method.to(fabric.device)
    batches = clip_batches(frames, config, labels, first_step=0, num_steps=num_steps, seed=seed)
    with Journal(run, next_step=first_step) as journal, interruptible() as interruption:
        for step, batch in enumerate(batches, start=1):
            clips, targets = to_device(batch, fabric.device)
            losses, accuracies = [], {}
            for view, encoder in encoders.items():
                with fabric.autocast():
                    logits = _logits(encoder, clips[view], is_frozen=is_frozen)
                losses.append(F.cross_entropy(logits.float(), targets))
                accuracies[f"accuracy/{view}"] = (logits.argmax(dim=1) == targets).float().mean()
            optimizer.zero_grad(set_to_none=True)
            fabric.backward(torch.stack(losses).sum())
            optimizer.step()
            schedule.step()
            journal.add(accuracies | {"loss": torch.stack(losses).detach().sum()})
            on_progress(step, num_steps)
            if step % per_epoch == 0:
                journal.write("classify", step=first_step + step, epoch=step // per_epoch)
            if interruption.is_requested:
                raise KeyboardInterrupt
    method.to("cpu").eval()


def _head(encoder: Encoder) -> torch.nn.Module:
    assert encoder.classifier is not None
    return encoder.classifier


def _logits(encoder: Encoder, clips: torch.Tensor, *, is_frozen: bool) -> torch.Tensor:
    """Logits of a batch; a frozen encoder stays in evaluation mode and outside the graph."""
    encoder.train(not is_frozen)
    head = _head(encoder).train()
    with torch.set_grad_enabled(not is_frozen):
        maps = encoder.feature_maps(clips)
    logits: torch.Tensor = head(maps)
    return logits
