"""What is done when an epoch of pre-training ends: journal, plateau, probe."""

import logging
from collections.abc import Iterable

from lightning_fabric import Fabric

from cocon.core.errors import CoconError
from cocon.training.config.run import Config
from cocon.training.data.frames import VideoFrames
from cocon.training.data.loader import clip_batches, steps_per_epoch
from cocon.training.data.samples import pretraining_sampler
from cocon.training.distributed import broadcast_number, share_buffers
from cocon.training.loop.divergence import refuse_divergence
from cocon.training.loop.journal import Journal
from cocon.training.loop.learner import Learner
from cocon.training.loop.online import EncoderJudge
from cocon.training.loop.verdict.early_stop import EarlyStop

__all__ = ["EpochEnd"]

_logger = logging.getLogger(__name__)


class EpochEnd:
    """Called at the end of every epoch, by every process at once.

    Args:
        config: everything that decides the run.
        learner: what is trained.
        journal: where figures go.
        fabric: devices and precision, launched.
        val: videos whose loss the plateau schedule follows; that of the training videos if None.
        probe: what judges the encoders every `training.probe_every_epochs`, or None.

    Attributes:
        early_stop: what the probes say of going on; in the first process alone.
    """

    def __init__(
        self,
        config: Config,
        learner: Learner,
        journal: Journal,
        fabric: Fabric,
        *,
        val: VideoFrames | None,
        probe: EncoderJudge | None,
    ) -> None:
        self._config = config
        self._learner = learner
        self._journal = journal
        self._fabric = fabric
        self._probe = probe
        self.early_stop = EarlyStop(config.training.early_stop, config.training.least_steps)
        self._val_batches = None
        if val is not None and learner.schedule.follows_the_loss:
            batch_size = _validation_batch_size(len(val), config.training.batch_size, fabric.world_size)
            self._val_batches = clip_batches(  # the same clips every time
                val,
                config,
                first_step=0,
                num_steps=steps_per_epoch(len(val), batch_size),
                share=(fabric.global_rank, fabric.world_size),
                batch_size=batch_size,
                sampler=pretraining_sampler(config),
            )

    def __call__(self, epoch: int, *, step: int, rate: float) -> None:
        """Write the epoch's line, adapt the learning rate, judge the encoders if it is time.

        Raises:
            CoconError: the loss is not finite; nothing of this epoch must be saved.
        """
        share_buffers(self._learner.method)
        more = {"learning_rate": rate}
        if self._val_batches is not None:
            more["validation_loss"] = self._learner.validation_loss(self._val_batches)
        means = self._journal.write("pretrain", step=step, epoch=epoch, **more)
        self.refuse_divergence([means["loss"]], epoch)
        if self._learner.schedule.follows_the_loss:
            loss = means.get("validation_loss", self._learner.method.full_loss(means))
            self._learner.schedule.epoch_ended(broadcast_number(loss, self._fabric))
        every = self._config.training.probe_every_epochs
        if self._probe is not None and every and epoch % every == 0 and self._fabric.is_global_zero:
            self._judge(self._probe, epoch, step=step)

    def refuse_divergence(self, losses: Iterable[float], epoch: int) -> None:
        """Raise `CoconError` if the networks hold nothing that is worth saving; by every process at once."""
        remedy = "lower optimizer.learning_rate or use training.precision=32-true"
        kept = "what was saved before is kept" if epoch > 1 else "nothing is kept"
        method = self._learner.method
        refuse_divergence("pre-training", method, losses, self._fabric, epoch=epoch, remedy=remedy, kept=kept)

    def _judge(self, probe: EncoderJudge, epoch: int, *, step: int) -> None:
        """Only the first process does; the others wait, so it must not end here for want of a figure."""
        try:
            figures = probe.figures(self._learner.method.encoders)
        except (CoconError, ValueError) as error:
            _logger.warning("epoch %d: the encoders are not judged: %s", epoch, error)
        else:
            self._journal.write_figures("probe", figures, step=step, epoch=epoch, judged_on=probe.judged_on)
            self.early_stop.seen(figures, self._learner.method.encoders, epoch=epoch, step=step)


def _validation_batch_size(num_videos: int, batch_size: int, num_processes: int) -> int:
    """No more clips than there are videos, in equal shares: clips of one video are no negatives of each other."""
    return min(batch_size, max(1, num_videos // num_processes) * num_processes)
