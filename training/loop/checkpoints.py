"""What a pre-training saves on the way: its state, and the encoders as they are."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from lightning_fabric import Fabric

from cocon.training.data.stretches.opening import TrainingVideos
from cocon.training.distributed import any_process
from cocon.training.loop.learner import Learner
from cocon.training.loop.timing import Elapsed
from cocon.training.run_folder.files import RunFolder
from cocon.training.run_folder.view_files import contract_of
from cocon.training.run_folder.warm_start import aggregators_of

__all__ = ["Checkpoints"]

# Epochs of few videos take less time than saving would.
_LEAST_S = 20.0


class Checkpoints:
    """Saves a run; when it does decides nothing but from where an interrupted one goes on.

    Args:
        run: the folder.
        videos: what is trained on.
        learner: the networks, and what moves them.
        fabric: devices and precision, launched.
        elapsed: time spent on the run.
        parts: name → what else of the state there is to ask for.
    """

    def __init__(
        self,
        run: RunFolder,
        videos: TrainingVideos,
        learner: Learner,
        fabric: Fabric,
        elapsed: Elapsed,
        parts: Mapping[str, Callable[[], Mapping[str, Any]]],
    ) -> None:
        self._run, self._videos, self._learner = run, videos, learner
        self._fabric, self._elapsed, self._parts = fabric, elapsed, parts
        self._saved: float | None = None

    def is_due(self, *, is_urgent: bool) -> bool:
        """Whether to save at the end of an epoch: of the first one of a session, then every twenty seconds at most.

        Args:
            is_urgent: in any process, whether to do so at any time; by every process at once.
        """
        is_time = self._saved is None or time.monotonic() - self._saved >= _LEAST_S
        return any_process(is_time or is_urgent, self._fabric)

    def save(self, step: int) -> None:
        """Write what it takes to go on after a step, and what is learned so far; by every process at once."""
        state = self._learner.state(step) | {name: part() for name, part in self._parts.items()}
        frames, aside = self._videos.train, list(self._videos.set_aside)
        state |= {"footage": frames.footage, "held_out": aside, "seconds": self._elapsed.seconds}
        state |= {"trained_in": self._fabric.strategy.precision.precision}
        if self._fabric.is_global_zero:
            self._write(state)
        self._saved = time.monotonic()

    def _write(self, state: Mapping[str, Any]) -> None:
        run, method, made_by = self._run, self._learner.method, self._videos.train.made_by
        run.save_state(state)
        for view, encoder in method.encoders.items():
            contract = contract_of(run.config, view, encoder, method=run.config.method, labels=(), made_by=made_by)
            run.save_encoder(encoder, contract)
        for view, aggregator in aggregators_of(method).items():
            run.files_of(view).save_aggregator(aggregator)
