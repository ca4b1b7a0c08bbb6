"""Where the time of embedding videos goes, stage by stage.

| stage | what | seconds |
|---|---|---|
| start | importing, loading models, connecting | of this process's processor |
| decode | reading and decoding packets, and the sum over the file | of processors |
| views | pictures, their size, flow, people, cutting blocks | of processors |
| pack | clips on their way out of a worker process and into batches | of processors |
| send | a request's way to a server and back | waited for |
| queue | in the server, until an instance of the model is free | waited for |
| compute | in the encoder | of processors; waited for, where a server or a GPU computes |
| fuse | vectors of videos, made of those of blocks | of processors |
| other | all else of this process, such as writing rows | of its processor |

What several threads wait for at a time counts for each. A server counts for all who ask it meanwhile.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from rich.table import Column

from cocon.client.models.served_work import ServedWork
from cocon.client.pipeline.stage_times import StageTimes
from cocon.core.atomic import replacing
from cocon.core.tables import new_table, plain_console

__all__ = ["Profile", "tell_profile"]

_STAGES = ("start", "decode", "views", "pack", "send", "queue", "compute", "fuse", "other")


class Profile:
    """The seconds of the stages of one embedder, which begins now.

    Args:
        num_cores: That it may use.
    """

    def __init__(self, num_cores: int) -> None:
        self._num_cores = num_cores
        self._begin_s, self._processor_s = time.perf_counter(), time.process_time()
        self._here, self._elsewhere = StageTimes(), StageTimes()
        self._asked, self._is_waited = StageTimes(), False
        self._served: Callable[[], Sequence[ServedWork]] = tuple
        self._served_before: Sequence[ServedWork] = ()

    def opened(self, *, is_waited: bool, served: Callable[[], Sequence[ServedWork]] = tuple) -> None:
        """The models are there: what comes now is work.

        Args:
            is_waited: Whether the threads that ask the models wait for others that compute.
            served: What a server has done for each of the models so far.
        """
        self._is_waited, self._served, self._served_before = is_waited, served, served()
        self._here.add("start", time.process_time())

    def here(self, stage: str) -> AbstractContextManager[None]:
        """Count the processor time of this thread within the block."""
        return self._here.thread(stage)

    def told(self, seconds: Mapping[str, float]) -> None:
        """Count what a worker process says of its stages."""
        for stage, spent_s in seconds.items():
            self._elsewhere.add(stage, spent_s)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Count the block, in which this thread asks the models for something."""
        if not self._is_waited:
            with self.here("compute"):
                yield
            return
        begin_s = time.perf_counter()
        yield
        self._asked.add("wall", time.perf_counter() - begin_s)

    def conclude(self) -> dict[str, Any]:
        """All of it: `seconds` by the clock and `cores`, the share of them that was `busy`, and seconds by `stages`.

        Raises:
            ServerError: The server does not say what it has done.
        """
        wall_s, processor_s = time.perf_counter() - self._begin_s, time.process_time()
        work = [now.since(then) for now, then in zip(self._served(), self._served_before, strict=True)]
        queue_s = sum(each.queue_s for each in work)
        compute_s = sum(each.input_s + each.infer_s + each.output_s for each in work)
        waited_s = self._asked.seconds.get("wall", 0.0)
        stages = {"queue": queue_s, "compute": compute_s, "send": max(0.0, waited_s - queue_s - compute_s)}
        if not work:
            stages = {"compute": waited_s}
        here, elsewhere = self._here.seconds, self._elsewhere.seconds
        stages["other"] = max(0.0, processor_s - sum(here.values()))
        for stage, spent_s in (*here.items(), *elsewhere.items()):
            stages[stage] = stages.get(stage, 0.0) + spent_s
        used_s = processor_s - self._processor_s + sum(elsewhere.values())
        return {
            "seconds": round(wall_s, 4),
            "cores": self._num_cores,
            "busy": round(used_s / (wall_s * self._num_cores), 3),
            "stages": {stage: round(stages.get(stage, 0.0), 4) for stage in _STAGES},
        }


def tell_profile(found: Mapping[str, Any], output: Path | None) -> None:
    """Print what `Profile.conclude` gives as a table on standard error, or write it to a file as JSON."""
    if output is not None:
        with replacing(output) as partial:
            partial.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        return
    table = new_table("stage", Column("seconds", justify="right"), Column("share", justify="right"))
    total_s = sum(found["stages"].values()) or 1.0
    for stage, spent_s in found["stages"].items():
        table.add_row(stage, f"{spent_s:.3f}", f"{spent_s / total_s:.0%}")
    console = plain_console()
    console.print(table)
    console.print(
        f"{found['seconds']:.3f} s by the clock; {found['cores']} cores, busy for {found['busy']:.0%} of it here"
    )
