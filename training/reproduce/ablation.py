"""The ablation: its cells, and its page with the claims checked."""

from collections.abc import Sequence
from dataclasses import dataclass

from cocon.training.config.run import Config
from cocon.training.reproduce.cells import Cell, ablation_cells
from cocon.training.reproduce.claims import check_claims
from cocon.training.reproduce.notes import PROTOCOL, data_note, recipe_note, reproduce_command
from cocon.training.reproduce.page import ablation_page
from cocon.training.reproduce.rows import Row
from cocon.training.reproduce.running import Plan
from cocon.training.reproduce.table import Table
from cocon.video.store.dataset import DatasetFolder

__all__ = ["AblationTable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationTable(Table):
    """Random, CPC, CPC + sim, CPC + sync and CoCon.

    Attributes:
        extras: see `ablation_cells`.
        finetune_epochs: see `ablation_cells`.
    """

    kind = "ablation"
    why_two_views = "an ablation needs two or more"
    extras: bool
    finetune_epochs: int

    def cells(self, plan: Plan, config: Config) -> list[Cell]:
        """See `ablation_cells`."""
        return ablation_cells(config.views, seeds=self.seeds, finetune_epochs=self.finetune_epochs, extras=self.extras)

    def page(self, rows: Sequence[Row], plan: Plan, config: Config, dataset: DatasetFolder) -> str:
        """See `ablation_page`."""
        more = ("--finetune-epochs", str(self.finetune_epochs), *(() if self.extras else ("--no-extras",)))
        return ablation_page(
            rows,
            check_claims(rows, config.views),
            config.views,
            data=self.name,
            command=reproduce_command(self.kind, plan, name=self.name, seeds=self.seeds, more=more),
            notes=[*self.notes, data_note(dataset), recipe_note(config, plan), *PROTOCOL],
        )
