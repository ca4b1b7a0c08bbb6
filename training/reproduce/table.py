"""What every table is made by: run the recipe's cells, average them, write page and rows."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

from cocon.core.atomic import replacing
from cocon.core.errors import UsageError
from cocon.core.progress import OnProgress
from cocon.training.config.files import load_config, path_setting
from cocon.training.config.run import Config
from cocon.training.data.datasets import open_dataset
from cocon.training.reproduce.cells import Cell
from cocon.training.reproduce.rows import Row, collect_rows
from cocon.training.reproduce.running import Plan, run_cells
from cocon.video.store.dataset import DatasetFolder

__all__ = ["Table", "reproduce_table"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of the paper's on one data set; a subclass says of which cells it is made, and how it reads.

    Attributes:
        kind: what it is called; begins the names of the result files.
        why_two_views: ends the message where a recipe has one view only.
        name: of the data set; ends the names of the result files.
        seeds: of every row.
        jobs: cells at a time.
        notes: further lines for the page.
    """

    kind: ClassVar[str]
    why_two_views: ClassVar[str]
    name: str
    seeds: int
    jobs: int
    notes: tuple[str, ...] = ()

    def cells(self, plan: Plan, config: Config) -> list[Cell]:
        """Each after the one it starts from.

        Args:
            plan: recipe, data and runs.
            config: the recipe without what differs from row to row.
        """
        raise NotImplementedError

    def page(self, rows: Sequence[Row], plan: Plan, config: Config, dataset: DatasetFolder) -> str:
        """The text for people, in Markdown.

        Args:
            rows: of the cells.
            plan: recipe, data and runs.
            config: the recipe without what differs from row to row.
            dataset: what it was trained and judged on.
        """
        raise NotImplementedError


def reproduce_table(table: Table, plan: Plan, output: Path, *, on_progress: OnProgress) -> Path:
    """Run what is missing and write `<kind>-<name>.md` and `.json`.

    Args:
        table: what the page is made of.
        plan: recipe, data and runs.
        output: folder of both files.
        on_progress: called with (epochs done, epochs in all).

    Returns:
        The page; the rows lie beside it.

    Raises:
        UsageError: the recipe has one view only, or the data cannot be judged on.
        KeyboardInterrupt: the same call goes on.
    """
    config = load_config(plan.preset, [*plan.settings, path_setting("data.folder", plan.data)])
    if len(config.views) < 2:
        raise UsageError(f"recipe '{plan.preset}' has the view '{config.views[0]}' only; {table.why_two_views}")
    dataset = open_dataset(config.data)
    cells = table.cells(plan, config)
    run_cells(cells, plan, jobs=table.jobs, on_progress=on_progress)
    rows = collect_rows(cells, plan.runs)
    page = output / f"{table.kind}-{table.name}.md"
    text = table.page(rows, plan, config, dataset)
    output.mkdir(parents=True, exist_ok=True)
    with replacing(page.with_suffix(".json")) as partial:
        partial.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    with replacing(page) as partial:
        partial.write_text(text)
    return page
