"""The classifier on top of pre-trained encoders, frozen or fine-tuned with it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from types import MappingProxyType

import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from torch import Tensor, nn

from cocon.core.progress import no_progress
from cocon.training.config.learning_sections import ClassifierSection
from cocon.training.config.run import Config
from cocon.training.data.frames import VideoFrames
from cocon.training.data.loader import Batch, clip_batches, steps_per_epoch, to_device
from cocon.training.distributed import any_process, mean_over_processes, seed_of_process
from cocon.training.loop.classifiers.fitting import start_classifiers
from cocon.training.loop.divergence import refuse_divergence
from cocon.training.loop.failures import fail_too_often, refuse_failures
from cocon.training.loop.interruption import interruptible
from cocon.training.loop.journal import Journal
from cocon.training.loop.timing import EpochLines
from cocon.training.models.encoder import Encoder, build_classifier
from cocon.training.models.heads import GRUClassifier
from cocon.training.run_folder.files import RunFolder
from cocon.training.run_folder.warm_start import named_sources

__all__ = ["Classification", "train_classifiers"]

# Order, moments and augmentation differ from those of pre-training.
_SEED_OFFSET = 1_000_003


class Classification(nn.Module):
    """Encoders with new classifiers; a frozen encoder stays in evaluation mode and outside the graph.

    Args:
        encoders: view → encoder; given a classifier here.
        section: head, dropout, and whether encoders are frozen.
        num_classes: K.
        aggregators: view → state of the `ConvGRU` that a recurrent classifier of it starts from.
    """

    def __init__(
        self,
        encoders: Mapping[str, Encoder],
        section: ClassifierSection,
        num_classes: int,
        aggregators: Mapping[str, Mapping[str, Tensor]] = MappingProxyType({}),
    ) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict(encoders)
        self._is_frozen = section.mode == "frozen"
        for view, encoder in encoders.items():
            head = build_classifier(encoder, section.head, num_classes, dropout=section.dropout)
            if isinstance(head, GRUClassifier) and view in aggregators:
                head.aggregator.load_state_dict(aggregators[view])
            encoder.classifier = None
            encoder.requires_grad_(not self._is_frozen)
            encoder.classifier = head

    def train(self, mode: bool = True) -> "Classification":
        """Training mode, but for frozen encoders."""
        super().train(mode)
        for encoder in self.encoders.values():
            assert isinstance(encoder, Encoder) and encoder.classifier is not None
            encoder.train(mode and not self._is_frozen)
            encoder.classifier.train(mode)
        return self

    def forward(self, clips: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """View → logits `float [B, K]` of view → `uint8 [B, N, T, H, W, C]`."""
        logits = {}
        for view, encoder in self.encoders.items():
            assert isinstance(encoder, Encoder) and encoder.classifier is not None
            with torch.set_grad_enabled(torch.is_grad_enabled() and not self._is_frozen):
                maps = encoder.feature_maps(clips[view])
            logits[view] = encoder.classifier(maps)
        return logits

    def parameter_groups(self, section: ClassifierSection) -> list[dict[str, object]]:
        """Classifiers, and unless they are frozen the backbones at their share of the learning rate, in `lr`."""
        names = {"heads": [], "backbones": []}  # type: dict[str, list[nn.Parameter]]
        for name, parameter in self.named_parameters():
            if parameter.requires_grad:
                names["heads" if ".classifier." in name else "backbones"].append(parameter)
        rates = {
            "heads": section.learning_rate,
            "backbones": section.learning_rate * section.backbone_learning_rate_share,
        }
        return [{"params": parameters, "lr": rates[which]} for which, parameters in names.items() if parameters]


def train_classifiers(
    run: RunFolder,
    encoders: Mapping[str, Encoder],
    frames: VideoFrames,
    labels: Sequence[str],
    fabric: Fabric,
    *,
    aggregators: Mapping[str, Mapping[str, Tensor]],
    first_step: int,
    on_progress: Callable[[int, int], None],
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Give every encoder a classifier and train it on labelled clips; each view learns on its own.

    Args:
        run: what is trained, and where its journal is.
        encoders: view → encoder; changed in place, on the CPU and in evaluation mode afterwards.
        frames: labelled training videos.
        labels: class names in the order of the logits.
        fabric: devices and precision, launched.
        aggregators: see `Classification`.
        first_step: steps of pre-training, which the journal counts on from.
        on_progress: called with (steps done, steps in all).
        say: called with a line of an epoch, see `EpochLines`; only by the first process.

    Raises:
        KeyboardInterrupt: a stop was asked for, of any process; the phase starts again next time.
        CoconError: loss or weights are not finite.
        VideoError: too many videos failed.
    """
    config = run.config
    seed = config.training.seed + _SEED_OFFSET
    torch.manual_seed(seed)
    classification = Classification(encoders, config.classifier, len(labels), aggregators)
    if _starts_fitted(config):
        start_classifiers(run, encoders, frames.for_judging(), labels, fabric, on_progress=no_progress)
    per_epoch = steps_per_epoch(len(frames), config.training.batch_size)
    num_epochs = config.classifier.num_epochs(per_epoch)
    num_steps = per_epoch * num_epochs
    optimizer, schedule = _optimizer(classification, config.classifier, num_steps)
    trained, stepping = fabric.setup(classification, optimizer)
    trained.train()
    torch.manual_seed(seed_of_process(seed, fabric.global_rank))  # each process drops other units
    clips = clip_batches(
        frames,
        config,
        labels,
        first_step=0,
        num_steps=num_steps,
        seed=seed,
        share=(fabric.global_rank, fabric.world_size),
    )
    folder = run.path if fabric.is_global_zero else None
    told = EpochLines("training classifiers", num_epochs, say)
    written = Journal(folder, next_step=first_step, on_figures=told)
    with written as journal, interruptible() as asked, closing(iter(clips)) as batches:
        for step, batch in enumerate(batches, start=1):
            journal.add(_step(batch, trained, stepping, fabric, smoothing=config.classifier.label_smoothing))
            schedule.step()
            on_progress(step, num_steps)
            if step % per_epoch == 0:
                means = journal.write("classify", step=first_step + step, epoch=step // per_epoch)
                _refuse_divergence(means["loss"], classification, fabric, epoch=step // per_epoch)
            if any_process(asked.is_requested or fail_too_often(frames, config.data), fabric):
                refuse_failures(frames, config.data)
                raise KeyboardInterrupt
    classification.requires_grad_(True).to("cpu").eval()


def _starts_fitted(config: Config) -> bool:
    """Whether encoders have learned something that a classifier can be fitted to, and one is to be."""
    section, has_learned = config.classifier, bool(config.training.epochs or named_sources(config))
    return section.starts_fitted and section.head == "mean" and section.mode == "finetune" and has_learned


def _optimizer(
    classification: Classification, section: ClassifierSection, num_steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    optimizer = torch.optim.AdamW(classification.parameter_groups(section), weight_decay=section.weight_decay)
    rates = [group["lr"] for group in optimizer.param_groups]
    return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, num_steps)


def _refuse_divergence(loss: float, classification: Classification, fabric: Fabric, *, epoch: int) -> None:
    """Raise `CoconError` if there is nothing worth saving; pre-training is saved already."""
    remedy = "lower classifier.learning_rate or use training.precision=32-true"
    phase, kept = "training the classifiers", "pre-training is kept"
    refuse_divergence(phase, classification, [loss], fabric, epoch=epoch, remedy=remedy, kept=kept)


def _step(
    batch: Batch, trained: nn.Module, optimizer: torch.optim.Optimizer, fabric: Fabric, *, smoothing: float
) -> dict[str, Tensor]:
    """Take a step; returns what there is to log of it."""
    clips, targets = to_device(batch, fabric.device)
    logits: dict[str, Tensor] = trained(clips)
    losses = [F.cross_entropy(values.float(), targets, label_smoothing=smoothing) for values in logits.values()]
    loss = torch.stack(losses).sum()
    optimizer.zero_grad(set_to_none=True)
    fabric.backward(loss)
    optimizer.step()
    figures = {f"accuracy/{v}": (values.argmax(dim=1) == targets).float().mean() for v, values in logits.items()}
    return mean_over_processes(figures | {"loss": loss})
