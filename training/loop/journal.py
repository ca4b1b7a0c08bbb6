"""What a run measures on the way: one JSON object per line, and the same in TensorBoard."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from io import FileIO
from pathlib import Path

from torch import Tensor

from cocon.core.atomic import append, replacing
from cocon.core.closing import Closing
from cocon.core.storage import storing
from cocon.training.loop.board import Board

__all__ = ["Journal"]


class Journal(Closing):
    """Keeps running sums of a step's figures and writes their means per epoch.

    Args:
        run: the run folder; None keeps sums and writes nothing, as all processes but the first do.
        next_step: step that training goes on from; later lines of an interrupted run are dropped.
        on_figures: called with (phase, epoch, figures) of every line that is written.
    """

    def __init__(
        self,
        run: Path | None,
        *,
        next_step: int,
        on_figures: Callable[[str, int, Mapping[str, float]], None] = lambda phase, epoch, figures: None,
    ) -> None:
        self._files = None if run is None else _opened(run, next_step)
        self._on_figures = on_figures
        self._sums: dict[str, float] = defaultdict(float)
        self._counts: Counter[str] = Counter()

    def add(self, figures: Mapping[str, Tensor]) -> None:
        """Take one step's scalars in."""
        for name, value in figures.items():
            self._sums[name] += float(value)
            self._counts[name] += 1

    @property
    def sums(self) -> Mapping[str, float]:
        """Of each figure since the last `write`."""
        return self._sums

    def state(self) -> dict[str, object]:
        """Sums since the last `write`, to be kept in a checkpoint."""
        return {"sums": dict(self._sums), "counts": dict(self._counts)}

    def restore(self, state: Mapping[str, object]) -> None:
        """Take up the sums of a checkpoint; nothing of an older one, which did not count figure by figure."""
        if "counts" not in state:
            return
        sums, counts = state["sums"], state["counts"]
        assert isinstance(sums, dict) and isinstance(counts, dict)
        self._sums, self._counts = defaultdict(float, sums), Counter(counts)

    def write(self, phase: str, *, step: int, epoch: int, **more: float) -> dict[str, float]:
        """Write the means since the last call.

        Args:
            phase: `pretrain` or `classify`.
            step: steps done.
            epoch: epochs done.
            more: further figures of this moment.

        Returns:
            What was written.
        """
        means = {name: total / self._counts[name] for name, total in self._sums.items()} | more
        self._sums.clear()
        self._counts.clear()
        self.write_figures(phase, means, step=step, epoch=epoch)
        return means

    def write_figures(self, phase: str, figures: Mapping[str, float], *, step: int, epoch: int, **texts: str) -> None:
        """Write figures as they are, such as those of phase `probe`, and what there is to say about them."""
        if self._files is None:
            return
        lines, board = self._files
        rounded = {name: round(value, 6) for name, value in figures.items()}
        with storing(lines.name):
            line = json.dumps({"phase": phase, "step": step, "epoch": epoch, **texts, **rounded})
            append(lines, f"{line}\n".encode())
        with storing(board.path):
            for name, value in figures.items():
                board.add(f"{phase}/{name}", value, step)
            board.flush()
        self._on_figures(phase, epoch, figures)

    def close(self) -> None:
        """Close both files."""
        for file in self._files or ():
            with suppress(OSError):  # a disk that was full when it was told takes no last bytes either
                file.close()


def _opened(run: Path, next_step: int) -> tuple[FileIO, Board]:
    path = run / "metrics.jsonl"
    _keep_lines_before(path, next_step)
    return path.open("ab", buffering=0), Board(run / "tensorboard", first_step=next_step + 1)


def _keep_lines_before(path: Path, next_step: int) -> None:
    if not path.is_file():
        return
    lines = [line for line in path.read_text().splitlines() if _step_of(line) <= next_step]
    with replacing(path) as partial:
        partial.write_text("".join(f"{line}\n" for line in lines))


def _step_of(line: str) -> float:
    """Step of a line; infinite for the last one of a machine that crashed while writing it."""
    try:
        return float(json.loads(line)["step"])
    except ValueError:
        return float("inf")
