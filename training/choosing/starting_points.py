"""Encoders at hand that a training can start from: packed runs in a folder `pretrained` where the command is given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cocon.core.errors import CoconError, MismatchError
from cocon.embedding.contract import ModelContract
from cocon.training.config.learning_sections import TrunkSection
from cocon.training.models.architectures import ARCHITECTURES
from cocon.training.run_folder.files import RunFolder
from cocon.training.run_folder.view_files import ViewFiles

__all__ = ["PACKED_RUNS", "StartingPoint", "best_start", "start_of"]

PACKED_RUNS = Path("pretrained")


@dataclass(frozen=True, slots=True)
class StartingPoint:
    """A run whose encoders can be started from.

    Attributes:
        run: its folder.
        contracts: view → contract of its encoder, of the views that are wanted.
    """

    run: Path
    contracts: Mapping[str, ModelContract]

    @property
    def width(self) -> int:
        """Of its widest encoder."""
        return max(contract.encoder.width for contract in self.contracts.values())

    @property
    def num_videos(self) -> int:
        """That it was trained on; 0 where that is not known."""
        try:
            run = RunFolder.open(self.run)
            return run.failures()[1] if run.is_complete else 0
        except (CoconError, OSError, ValueError):
            return 0


def best_start(folder: Path, views: Sequence[str], frames_per_block: int) -> StartingPoint | None:
    """The run that has encoders of most views, the widest of those, of the most videos; None where none fits.

    Args:
        folder: of runs, which need not be there.
        views: that are to be trained.
        frames_per_block: T of the training's clips.
    """
    if not folder.is_dir():
        return None
    found = [StartingPoint(run, _fitting(run, views, frames_per_block)) for run in sorted(folder.iterdir())]
    fitting = [start for start in found if start.contracts]
    return max(fitting, key=lambda start: (len(start.contracts), start.width, start.num_videos), default=None)


def start_of(sources: Mapping[str, Path], frames_per_block: int) -> StartingPoint | None:
    """What is named to start from, by view, as far as it fits."""
    contracts = {
        view: found for view, run in sources.items() for found in _fitting(run, [view], frames_per_block).values()
    }
    return StartingPoint(next(iter(sources.values())), contracts) if contracts else None


def _fitting(run: Path, views: Sequence[str], frames_per_block: int) -> dict[str, ModelContract]:
    """Contracts of the encoders that see blocks and that a configuration can say; a run that is damaged has none."""
    contracts = {}
    for view in views:
        files = ViewFiles(run / "views" / view)
        if not files.has_encoder:
            continue
        try:
            contract = files.contract()
            trunk = TrunkSection.of(contract.encoder)
        except (MismatchError, OSError, ValueError):
            continue
        if not ARCHITECTURES[trunk.backbone].sees_single_frames and contract.clip.frames_per_block == frames_per_block:
            contracts[view] = contract
    return contracts
